#include "cli/task_view.h"

#include <algorithm>
#include <array>
#include <utility>

#include "cli/console.h"
#include "cli/rank_lines.h"
#include "cli/render.h"

namespace leat::cli {
namespace {

using Output = MemberPlace::Output;

const TaskFailure* failure_of(const TaskView& task) {
  for (const TaskFailure& failure : task.job.failures)
    if (failure.stage == task.stage && failure.index == task.index) return &failure;
  return nullptr;
}

const TaskWords* words_of(const TaskView& task) {
  for (const TaskWords& words : task.job.progress)
    if (words.stage == task.stage && words.index == task.index &&
        words.attempt == task.places.attempt)
      return &words;
  return nullptr;
}

TaskCounts counts_of_stage(const TaskView& task) {
  if (task.stage < task.job.stages.size()) return task.job.stages[task.stage];
  return task.stage == 0 ? task.job.counts : TaskCounts{};
}

// The state of all tasks of the stage, if it is one; else empty.
std::string state_of_all(const TaskCounts& counts) {
  const std::array<std::pair<std::uint64_t, const char*>, 7> kinds{
      {{counts.waiting, "waiting"},
       {counts.running, "running"},
       {counts.succeeded + counts.held, "succeeded"},
       {counts.failed, "failed"},
       {counts.cancelled, "cancelled"},
       {counts.quarantined, "quarantined"},
       {counts.skipped, "skipped"}}};
  for (const auto& [count, name] : kinds)
    if (counts.total > 0 && count == counts.total) return name;
  return {};
}

// Of a run that has ended, and did not fail as far as is listed.
std::string state_of_ended(const TaskView& task, const TaskCounts& counts) {
  const auto listed =
      std::count_if(task.job.failures.begin(), task.job.failures.end(),
                    [&task](const TaskFailure& failure) { return failure.stage == task.stage; });
  const std::uint64_t others =
      counts.failed + counts.quarantined + counts.cancelled + counts.skipped;
  // Then all that went wrong is known, and this task is not among it.
  return others == static_cast<std::uint64_t>(listed) ? "succeeded" : "ended";
}

const char* output_word(Output output) {
  switch (output) {
    case Output::kOnNode:
      return "node";
    case Output::kStored:
      return "store";
    case Output::kLost:
      return "lost";
    case Output::kNoAnswer:
      break;
  }
  return "no_answer";
}

std::string output_text(const MemberPlace& member) {
  const std::string node = "node " + std::to_string(member.node);
  switch (member.output) {
    case Output::kOnNode:
      return "on " + node + " (" + member.address + ')';
    case Output::kStored:
      return "in leat-store (" + member.address + ')';
    case Output::kLost:
      return member.lost;
    case Output::kNoAnswer:
      break;
  }
  return "on " + node + ", but nobody answers at " + member.address;
}

Value rank_row(const spool::RankPlace& place) {
  Value::List cpus;
  for (const std::uint16_t cpu : place.cpus) cpus.push_back(std::uint64_t{cpu});
  return Value::Object{{"rank", place.rank},
                       {"pid", place.pid},
                       {"host", place.host},
                       {"bound", !place.cpus.empty()},
                       {"cpus", std::move(cpus)}};
}

// "unknown": it ran when we last heard of it.
const char* subtask_state(const MemberPlace& member, const spool::Subtask& subtask) {
  if (subtask.end) return "ended";
  return member.finished || !member.read_whole ? "unknown" : "running";
}

Value subtask_row(const MemberPlace& member, std::uint32_t number, const spool::Subtask& subtask) {
  const auto& end = subtask.end;
  return Value::Object{{"subtask", subtask_name(number, subtask.frame)},
                       {"pid", subtask.pid},
                       {"host", subtask.host},
                       {"command", printable(subtask.command)},
                       {"state", subtask_state(member, subtask)},
                       {"started_us", subtask.started_us},
                       {"ended_us", end ? Value(end->at_us) : Value()},
                       {"code", end && !end->signalled ? Value(end->status) : Value()},
                       {"signal", end && end->signalled ? Value(end->status) : Value()}};
}

Value member_row(const MemberPlace& member, std::uint32_t number) {
  Value::List ranks;
  for (const spool::RankPlace& place : member.ranks) ranks.push_back(rank_row(place));
  Value::List subtasks;
  for (const spool::Subtask& subtask : member.subtasks)
    subtasks.push_back(subtask_row(member, number, subtask));
  return Value::Object{{"member", number},
                       {"node", member.node},
                       {"output", output_word(member.output)},
                       {"address", member.address},
                       {"lost", member.lost.empty() ? Value() : Value(member.lost)},
                       {"ranks", std::move(ranks)},
                       {"subtasks", std::move(subtasks)}};
}

std::string subtask_end(const spool::Subtask& subtask) {
  if (!subtask.end) return "";
  return (subtask.end->signalled ? "signal " : "exit code ") + std::to_string(subtask.end->status);
}

// Empty if no launcher has told of any.
std::string subtask_table(const TaskPlaces& places) {
  Value::List rows;
  for (std::uint32_t number = 0; number < places.members.size(); ++number) {
    const MemberPlace& member = places.members[number];
    for (const spool::Subtask& subtask : member.subtasks)
      rows.push_back(Value::Object{{"subtask", subtask_name(number, subtask.frame)},
                                   {"node", member.node},
                                   {"host", subtask.host},
                                   {"pid", subtask.pid},
                                   {"state", subtask_state(member, subtask)},
                                   {"started_us", subtask.started_us},
                                   {"ended_us", subtask.end ? Value(subtask.end->at_us) : Value()},
                                   {"end", subtask_end(subtask)},
                                   {"command", printable(subtask.command)}});
  }
  if (rows.empty()) return {};
  return '\n' + render_table({{"subtask", "SUBTASK"},
                              {"node", "NODE", Form::kNumber},
                              {"host", "HOST"},
                              {"pid", "PID", Form::kNumber},
                              {"state", "STATE"},
                              {"started_us", "STARTED", Form::kTime},
                              {"ended_us", "ENDED", Form::kTime},
                              {"end", "END"},
                              {"command", "COMMAND"}},
                             rows);
}

// Members and, if they have told of them, ranks and subtasks.
std::string gang_tables(const TaskView& task) {
  Value::List members;
  Value::List ranks;
  for (const MemberPlace& member : task.places.members) {
    members.push_back(Value::Object{{"member", std::uint64_t{members.size()}},
                                    {"node", member.node},
                                    {"ranks", std::uint64_t{member.ranks.size()}},
                                    {"output", output_text(member)}});
    for (const spool::RankPlace& place : member.ranks)
      ranks.push_back(Value::Object{{"rank", place.rank},
                                    {"node", member.node},
                                    {"host", place.host},
                                    {"pid", place.pid},
                                    {"cpus", cpus_text(place.cpus)}});
  }
  std::string tables = '\n' + render_table({{"member", "MEMBER", Form::kNumber},
                                            {"node", "NODE", Form::kNumber},
                                            {"ranks", "RANKS", Form::kNumber},
                                            {"output", "OUTPUT"}},
                                           members);
  if (!ranks.empty())
    tables += '\n' + render_table({{"rank", "RANK", Form::kNumber},
                                   {"node", "NODE", Form::kNumber},
                                   {"host", "HOST"},
                                   {"pid", "PID", Form::kNumber},
                                   {"cpus", "CPUS"}},
                                  ranks);
  return tables + subtask_table(task.places);
}

}  // namespace

std::string cpus_text(const std::vector<std::uint16_t>& cpus) {
  std::string text;
  for (std::size_t first = 0; first < cpus.size();) {
    std::size_t last = first;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(cpus[first]);
    if (last > first) text += '-' + std::to_string(cpus[last]);
    first = last + 1;
  }
  return text.empty() ? "-" : text;
}

std::string task_state(const TaskView& task) {
  if (const TaskFailure* failure = failure_of(task))
    return failure->outcome == static_cast<std::uint16_t>(schema::Outcome::QUARANTINED)
               ? "quarantined"
               : "failed";
  const TaskCounts counts = counts_of_stage(task);
  if (std::string all = state_of_all(counts); !all.empty()) return all;
  if (task.places.attempt == 0) return "waiting";
  if (task.job.has_ended()) return state_of_ended(task, counts);
  if (words_of(task) != nullptr) return "running";
  bool silent = false;
  for (const MemberPlace& member : task.places.members) {
    if (member.output == Output::kNoAnswer)
      silent = true;
    else if (!member.finished)
      return "running";
  }
  if (task.waits) return "waiting";
  return silent ? "unknown" : state_of_ended(task, counts);
}

Value::Object task_row(const TaskView& task) {
  const TaskFailure* const failure = failure_of(task);
  const TaskWords* const words = words_of(task);
  Value::List members;
  for (const MemberPlace& member : task.places.members)
    members.push_back(member_row(member, static_cast<std::uint32_t>(members.size())));
  return Value::Object{
      {"task", task_name(task.job.id, task.stage, task.index)},
      {"job", task.job.id},
      {"stage", std::uint64_t{task.stage}},
      {"index", task.index},
      {"state", task_state(task)},
      {"attempt", task.places.attempt == 0 ? Value() : Value(task.places.attempt)},
      {"outcome", failure == nullptr ? Value() : Value(outcome_name(failure->outcome))},
      {"code", failure == nullptr ? Value() : Value(failure->code)},
      {"message", failure == nullptr ? "" : describe_outcome(failure->outcome, failure->code)},
      {"percent", words == nullptr ? Value() : Value(words->permille / 10.0)},
      {"progress", words == nullptr ? "" : words->message},
      {"gang", task.places.gang},
      {"members", std::move(members)},
  };
}

std::string task_page(const TaskView& task) {
  Value::Object row = task_row(task);
  const TaskPlaces& places = task.places;
  if (!places.gang && !places.members.empty()) {
    row.push_back({"node", places.members.front().node});
    row.push_back({"output", output_text(places.members.front())});
  }
  if (const TaskWords* const words = words_of(task))
    row.push_back({"told", render_cell(Value(words->permille / 10.0), Form::kNumber) + "% " +
                               words->message});
  const std::string fields = render_fields({{"task", "Task"},
                                            {"state", "State"},
                                            {"attempt", "Attempt"},
                                            {"message", "What went wrong"},
                                            {"told", "Progress"},
                                            {"node", "Node"},
                                            {"output", "Output"}},
                                           row);
  return places.gang ? fields + gang_tables(task) : fields;
}

}  // namespace leat::cli
