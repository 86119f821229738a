#include "cli/task_places.h"

#include <optional>

namespace leat::cli {
namespace {

using Step = MemberOutput::Step;

// A look at all members takes a moment, in which the task may have been started again.
constexpr int kLooksMax = 5;
// Long enough for the places of hundreds of ranks, and no burden where a rank has written much.
constexpr std::uint32_t kReadAtOnce = 64 * 1024;

MemberPlace read_member(Shell& shell, MemberOutput& output) {
  MemberPlace member;
  member.node = output.node();
  member.address = output.address();
  member.output = output.is_stored() ? MemberPlace::Output::kStored : MemberPlace::Output::kOnNode;
  spool::RankPlaceReader places;
  Step step = output.connect() ? Step::kMore : Step::kAway;
  try {
    while (step == Step::kMore) {
      const kj::Maybe<MemberOutput::Answer> answer = output.ask().wait(shell.io.waitScope);
      step = output.take(answer, [&places](std::string_view bytes) { places.feed(bytes); });
      if (step != Step::kMore) break;
      const std::uint64_t within = places.subtasks().empty() ? kPlacesWithin : kSubtasksWithin;
      const bool enough = output.members() == 0 || places.is_complete();
      member.read_whole = enough || output.offset() < within;
      if (enough || !member.read_whole) step = Step::kDone;
    }
  } catch (const Failure& failure) {
    if (failure.code != ExitCode::kWorkFailed) throw;
    member.output = MemberPlace::Output::kLost;
    member.lost = failure.message;
    member.finished = true;
    return member;
  }
  if (step == Step::kAway) member.output = MemberPlace::Output::kNoAnswer;
  member.finished = output.is_finished();
  member.ranks = places.places();
  for (const auto& [frame, subtask] : places.subtasks()) member.subtasks.push_back(subtask);
  return member;
}

// Nothing if the members were not all of one attempt.
std::optional<TaskPlaces> look_once(Shell& shell, MemberOutput& output, OutputWanted wanted) {
  TaskPlaces found;
  for (wanted.member = 0; wanted.member == 0 || wanted.member < output.members(); ++wanted.member) {
    output.begin(wanted);
    const bool has_run = output.find() == Step::kMore;
    if (wanted.member > 0 && (!has_run || output.attempt() != found.attempt)) return std::nullopt;
    if (!has_run) break;
    found.attempt = output.attempt();
    found.gang = output.members() > 0;
    found.members.push_back(read_member(shell, output));
  }
  return found;
}

}  // namespace

TaskPlaces find_task(Shell& shell, Head& head, OutputWanted wanted) {
  wanted.error = true;
  wanted.at_once = kReadAtOnce;
  MemberOutput output(shell, head);
  for (int look = 0; look < kLooksMax; ++look)
    if (std::optional<TaskPlaces> found = look_once(shell, output, wanted))
      return std::move(*found);
  fail(ExitCode::kRefused, "the task is started again all the time: see leat events --job " +
                               std::to_string(wanted.job.value));
}

}  // namespace leat::cli
