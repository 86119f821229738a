#include "cli/task_output.h"

#include <algorithm>
#include <utility>

namespace leat::cli {
namespace {

// An agent that is being restarted, or a head that is, is asked again for so long.
constexpr Duration kAgentPatience = std::chrono::seconds(20);
// The agent holds an answer back for 10 s while there is nothing new; longer is lost.
constexpr kj::Duration kReadDeadline = 30 * kj::SECONDS;
// Between two looks at a job that changes all the time.
constexpr kj::Duration kLookAgain = 50 * kj::MILLISECONDS;

}  // namespace

TaskOutputs::TaskOutputs(Shell& shell, Head& head)
    : shell_(shell), head_(head), link_(shell), backoff_(Random(shell.surroundings.fresh_seed)) {}

TaskOutputs::Found TaskOutputs::read(const OutputWanted& wanted, const OutputSink& sink) {
  offset_ = 0;
  attempt_ = 0;
  truncated_ = false;
  cursor_ = 0;
  kj::Timer& timer = shell_.io.provider->getTimer();
  kj::TimePoint give_up = timer.now() + transport::to_kj(kAgentPatience);
  for (;;) {
    const std::uint64_t before = offset_;
    const Step step = read_once(wanted, sink);
    if (step == Step::kDone) break;
    if (step == Step::kNotYet && !wanted.follow) return Found::kNotYet;
    if (step == Step::kNotYet) {
      wait_for_change(wanted.job);
      give_up = timer.now() + transport::to_kj(kAgentPatience);
      continue;
    }
    connected_to_.clear();
    if (offset_ > before) give_up = timer.now() + transport::to_kj(kAgentPatience);
    if (timer.now() >= give_up)
      fail(ExitCode::kUnreachable,
           "node " + std::to_string(node_) + " does not answer: see leat node list");
    timer.afterDelay(transport::to_kj(backoff_.next())).wait(shell_.io.waitScope);
  }
  backoff_.reset();
  return truncated_ ? Found::kCut : Found::kWhole;
}

TaskOutputs::Step TaskOutputs::read_once(const OutputWanted& wanted, const OutputSink& sink) {
  const auto answer = head_.ask(
      [&wanted](schema::Scheduler::Client& client) {
        auto call = client.locateRequest();
        call.setJob(wanted.job.value);
        call.setStage(wanted.stage);
        call.setIndex(wanted.index);
        return call.send();
      },
      Patience{kAgentPatience, {}});
  const schema::LocateResult::Reader located = answer;
  if (located.isNotYet()) return Step::kNotYet;
  if (located.isRefusal()) fail(read_refusal(located.getRefusal()));
  const schema::LocateResult::Place::Reader place = located.getPlace();
  node_ = place.getNode().getId();
  start_over_if_new(place.getRun().getAttempt());
  return connect(place) ? read_all(wanted, sink, place) : Step::kAway;
}

// Another attempt has another output: what was shown of the last one is not its beginning.
void TaskOutputs::start_over_if_new(std::uint32_t attempt) {
  if (attempt_ != 0 && attempt != attempt_) {
    shell_.console.talk("leat: the task was started again, as attempt " + std::to_string(attempt));
    offset_ = 0;
  }
  attempt_ = attempt;
}

bool TaskOutputs::connect(schema::LocateResult::Place::Reader place) {
  const std::string address = place.getAddress().cStr();
  const std::string whom = place.getStored()
                               ? "store " + address
                               : std::to_string(place.getNode().getEpoch()) + ' ' + address;
  if (whom == connected_to_) return true;
  connected_to_.clear();
  agent_ = nullptr;
  store_ = nullptr;
  const NodeRef node{NodeId{node_}, NodeEpoch{place.getNode().getEpoch()}};
  if (place.getStored()) {
    store_ = link_.to_store(address);
  } else {
    agent_ = link_.to_agent(node, address);
  }
  if (store_ == nullptr && agent_ == nullptr) return false;
  connected_to_ = whom;
  return true;
}

kj::Maybe<TaskOutputs::Answer> TaskOutputs::ask(const OutputWanted& wanted,
                                                schema::LocateResult::Place::Reader place,
                                                std::uint32_t length) {
  const auto fill = [&](auto&& call) {
    call.setTicket(place.getTicket());
    call.setRun(place.getRun());
    call.setStream(wanted.error ? schema::Stream::ERROR : schema::Stream::OUTPUT);
    call.setOffset(offset_);
    call.setLength(length);
  };
  const auto send = [&]() -> kj::Promise<Answer> {
    KJ_IF_MAYBE (store, store_) {
      auto call = store->readOutputRequest();
      fill(call);
      call.setNode(place.getNode());
      return call.send();
    }
    auto call = KJ_ASSERT_NONNULL(agent_).readRequest();
    fill(call);
    return call.send();
  };
  kj::Maybe<Answer> response;
  const kj::Maybe<kj::Exception> lost = kj::runCatchingExceptions([&] {
    response = shell_.io.provider->getTimer()
                   .timeoutAfter(kReadDeadline, send())
                   .wait(shell_.io.waitScope);
  });
  if (lost != nullptr) return nullptr;
  return response;
}

TaskOutputs::Step TaskOutputs::read_all(const OutputWanted& wanted, const OutputSink& sink,
                                        schema::LocateResult::Place::Reader place) {
  // A read of no bytes is answered at once, also where the next byte is yet to come.
  std::uint32_t length = wanted.follow ? schema::MAX_READ_BYTES : 0;
  for (;;) {
    const kj::Maybe<Answer> answer = ask(wanted, place, length);
    KJ_IF_MAYBE (response, answer) {
      const schema::ReadResult::Reader result = *response;
      if (result.isRefusal()) {
        const Refusal refusal = read_refusal(result.getRefusal());
        const bool none = place.getStored() && refusal.reason == Reason::kNotFound;
        if (!none) fail(refusal);
        // Not a wrong question: what was asked for is not there any more.
        const bool deleted = refusal.message.rfind("output deleted", 0) == 0;
        fail(ExitCode::kWorkFailed, deleted ? refusal.message : place.getLost().cStr());
      }
      const schema::ReadResult::Bytes::Reader bytes = result.getBytes();
      const capnp::Data::Reader data = bytes.getData();
      sink(std::string_view(data.asChars().begin(), data.size()));
      offset_ += data.size();
      truncated_ = bytes.getTruncated();
      if (offset_ >= bytes.getTotal() && (bytes.getFinished() || !wanted.follow))
        return Step::kDone;
      length = schema::MAX_READ_BYTES;
    } else {
      return Step::kAway;
    }
  }
}

void TaskOutputs::wait_for_change(JobId job) {
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

}  // namespace leat::cli
