#include "cli/member_output.h"

#include <kj/debug.h>

namespace leat::cli {
namespace {

// The agent holds an answer back for 10 s while there is nothing new; longer is lost.
constexpr kj::Duration kReadDeadline = 30 * kj::SECONDS;

}  // namespace

void MemberOutput::begin(const OutputWanted& wanted) {
  wanted_ = wanted;
  offset_ = 0;
  truncated_ = finished_ = false;
  if (wanted.member == 0) attempt_ = 0;
}

void MemberOutput::start_over() {
  offset_ = 0;
  truncated_ = finished_ = false;
  attempt_ = 0;
}

MemberOutput::Step MemberOutput::find() {
  auto answer = head_.ask(
      [this](schema::Scheduler::Client& client) {
        auto call = client.locateRequest();
        call.setJob(wanted_.job.value);
        call.setStage(wanted_.stage);
        call.setIndex(wanted_.index);
        call.setMember(wanted_.member);
        return call.send();
      },
      Patience{kAgentPatience, {}});
  const schema::LocateResult::Reader located = answer;
  if (located.isNotYet()) return Step::kNotYet;
  if (located.isRefusal()) fail(read_refusal(located.getRefusal()));
  located_ = kj::mv(answer);
  node_ = place().getNode().getId();
  members_ = place().getMembers();
  const std::uint32_t attempt = place().getRun().getAttempt();
  if (attempt_ != 0 && attempt != attempt_) {
    // Another attempt has another output: what was shown of the last one is not its beginning.
    shell_.console.talk("leat: the task was started again, as attempt " + std::to_string(attempt));
    offset_ = 0;
  }
  attempt_ = attempt;
  return Step::kMore;
}

schema::LocateResult::Place::Reader MemberOutput::place() const {
  KJ_IF_MAYBE (located, located_) {
    return located->getPlace();
  }
  KJ_FAIL_REQUIRE("find() comes first");
}

bool MemberOutput::connect() {
  const std::string address = place().getAddress().cStr();
  const NodeRef node{NodeId{node_}, NodeEpoch{place().getNode().getEpoch()}};
  const std::string whom =
      place().getStored() ? "store " + address : std::to_string(node.epoch.value) + ' ' + address;
  // A read of no bytes is answered at once, also where the next byte is yet to come.
  length_ = wanted_.follow ? wanted_.at_once : 0;
  if (whom == connected_to_) return true;
  connected_to_.clear();
  agent_ = nullptr;
  store_ = nullptr;
  if (place().getStored()) {
    store_ = link_.to_store(address);
  } else {
    agent_ = link_.to_agent(node, address);
  }
  if (store_ == nullptr && agent_ == nullptr) return false;
  connected_to_ = whom;
  return true;
}

kj::Promise<kj::Maybe<MemberOutput::Answer>> MemberOutput::ask() {
  const auto fill = [this](auto&& call) {
    call.setTicket(place().getTicket());
    call.setRun(place().getRun());
    call.setStream(wanted_.error ? schema::Stream::ERROR : schema::Stream::OUTPUT);
    call.setOffset(offset_);
    call.setLength(length_);
  };
  kj::Promise<Answer> sent = kj::evalNow([&]() -> kj::Promise<Answer> {
    KJ_IF_MAYBE (store, store_) {
      auto call = store->readOutputRequest();
      fill(call);
      call.setNode(place().getNode());
      return call.send();
    }
    auto call = KJ_ASSERT_NONNULL(agent_).readRequest();
    fill(call);
    return call.send();
  });
  return shell_.io.provider->getTimer()
      .timeoutAfter(kReadDeadline, kj::mv(sent))
      .then([](Answer&& answer) -> kj::Maybe<Answer> { return kj::mv(answer); },
            [](kj::Exception&&) -> kj::Maybe<Answer> { return nullptr; });
}

MemberOutput::Step MemberOutput::take(const kj::Maybe<Answer>& answer, const OutputSink& sink) {
  KJ_IF_MAYBE (response, answer) {
    const schema::ReadResult::Reader result = *response;
    if (!result.isRefusal()) return take_bytes(result.getBytes(), sink);
    const Refusal refusal = read_refusal(result.getRefusal());
    const bool none = place().getStored() && refusal.reason == Reason::kNotFound;
    if (!none) fail(refusal);
    // Not a wrong question: what was asked for is not there any more.
    const bool deleted = refusal.message.rfind("output deleted", 0) == 0;
    fail(ExitCode::kWorkFailed, deleted ? refusal.message : place().getLost().cStr());
  }
  connected_to_.clear();
  return Step::kAway;
}

MemberOutput::Step MemberOutput::take_bytes(schema::ReadResult::Bytes::Reader bytes,
                                            const OutputSink& sink) {
  const capnp::Data::Reader data = bytes.getData();
  sink(std::string_view(data.asChars().begin(), data.size()));
  offset_ += data.size();
  truncated_ = bytes.getTruncated();
  finished_ = bytes.getFinished();
  length_ = wanted_.at_once;
  const bool ends_here = finished_ || !wanted_.follow;
  return offset_ >= bytes.getTotal() && ends_here ? Step::kDone : Step::kMore;
}

}  // namespace leat::cli
