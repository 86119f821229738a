#include "cli/task_output.h"

namespace leat::cli {
namespace {

using Step = MemberOutput::Step;

// Between two looks at a job that changes all the time.
constexpr kj::Duration kLookAgain = 50 * kj::MILLISECONDS;

}  // namespace

void JobChanges::wait(JobId job) {
  kj::Timer& timer = shell_.io.provider->getTimer();
  if (cursor_ != 0) timer.afterDelay(kLookAgain).wait(shell_.io.waitScope);
  using Watch = capnp::Response<schema::WatchResult>;
  const kj::Maybe<Watch> answer = head_.ask(
      [&](schema::Scheduler::Client& client) {
        auto call = client.watchRequest();
        call.setJob(job.value);
        call.setCursor(cursor_);
        kj::Promise<kj::Maybe<Watch>> change =
            call.send().then([](Watch&& response) -> kj::Maybe<Watch> { return kj::mv(response); });
        return change.exclusiveJoin(
            timer.afterDelay(kQuietMax).then([]() -> kj::Maybe<Watch> { return nullptr; }));
      },
      Patience{kAgentPatience, {}});
  KJ_IF_MAYBE (response, answer) {
    const schema::WatchResult::Reader result = *response;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    cursor_ = result.getChange().getCursor();
  }
}

TaskOutputs::TaskOutputs(Shell& shell, Head& head)
    : shell_(shell),
      output_(shell, head),
      changes_(shell, head),
      backoff_(Random(shell.surroundings.fresh_seed)) {}

OutputFound TaskOutputs::read(const OutputWanted& wanted, const OutputSink& sink) {
  output_.begin(wanted);
  changes_.begin();
  kj::Timer& timer = shell_.io.provider->getTimer();
  kj::TimePoint give_up = timer.now() + transport::to_kj(kAgentPatience);
  for (;;) {
    const std::uint64_t before = output_.offset();
    const Step step = read_once(sink);
    if (step == Step::kDone) break;
    if (step == Step::kNotYet && !wanted.follow) return OutputFound::kNotYet;
    if (step == Step::kNotYet) {
      changes_.wait(wanted.job);
      give_up = timer.now() + transport::to_kj(kAgentPatience);
      continue;
    }
    if (output_.offset() > before) give_up = timer.now() + transport::to_kj(kAgentPatience);
    if (timer.now() >= give_up)
      fail(ExitCode::kUnreachable,
           "node " + std::to_string(output_.node()) + " does not answer: see leat node list");
    timer.afterDelay(transport::to_kj(backoff_.next())).wait(shell_.io.waitScope);
  }
  backoff_.reset();
  return output_.is_truncated() ? OutputFound::kCut : OutputFound::kWhole;
}

MemberOutput::Step TaskOutputs::read_once(const OutputSink& sink) {
  const Step found = output_.find();
  if (found != Step::kMore) return found;
  if (!output_.connect()) return Step::kAway;
  for (;;) {
    const kj::Maybe<MemberOutput::Answer> answer = output_.ask().wait(shell_.io.waitScope);
    const Step step = output_.take(answer, sink);
    if (step != Step::kMore) return step;
  }
}

std::optional<std::uint32_t> TaskOutputs::find_members(OutputWanted wanted) {
  wanted.member = 0;
  output_.begin(wanted);
  if (output_.find() == Step::kNotYet) return std::nullopt;
  return output_.members();
}

std::uint32_t TaskOutputs::await_start(const OutputWanted& wanted) {
  output_.begin(wanted);
  changes_.begin();
  while (output_.find() == Step::kNotYet) changes_.wait(wanted.job);
  return output_.members();
}

}  // namespace leat::cli
