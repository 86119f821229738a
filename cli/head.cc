#include "cli/head.h"

#include <algorithm>

#include "transport/listener.h"

namespace leat::cli {

Head::Head(Shell& shell) : shell_(shell), backoff_(Random(shell.surroundings.fresh_seed)) {}

Head::~Head() noexcept(false) {}

schema::Scheduler::Client& Head::client() {
  KJ_IF_MAYBE (client, client_) {
    return *client;
  }
  kj::Own<kj::AsyncIoStream> stream =
      shell_.io.provider->getTimer()
          .timeoutAfter(
              transport::kConnectDeadline,
              transport::connect_local(shell_.io.provider->getNetwork(), shell_.home.socket()))
          .wait(shell_.io.waitScope);
  session_ = kj::heap<transport::Session>(kj::mv(stream), transport::Session::Side::kConnected,
                                          nullptr, transport::kAgentLimits);
  return client_.emplace(session_->peer().castAs<schema::Scheduler>());
}

Patience change_patience(const std::string& key) {
  return {std::chrono::seconds(30), "it is not known whether it heard: do it again with --key " +
                                        key + ", and it is done once"};
}

bool Head::answers() {
  bool connected = false;
  const kj::Maybe<kj::Exception> lost = kj::runCatchingExceptions([this, &connected] {
    kj::Promise<void> answer = client().statusRequest().send().ignoreResult();
    connected = true;
    shell_.io.provider->getTimer()
        .timeoutAfter(transport::kConnectDeadline, kj::mv(answer))
        .wait(shell_.io.waitScope);
  });
  KJ_IF_MAYBE (exception, lost) {
    client_ = nullptr;
    session_ = nullptr;
    // A slow one, or one of another version, is there all the same.
    return connected && exception->getType() != kj::Exception::Type::DISCONNECTED;
  }
  return true;
}

void Head::try_later(const kj::Exception& exception, kj::TimePoint start,
                     const Patience& patience) {
  const bool connected = client_ != nullptr;
  has_answered_ = has_answered_ || connected;
  client_ = nullptr;
  session_ = nullptr;
  if (connected && exception.getType() == kj::Exception::Type::UNIMPLEMENTED)
    fail(ExitCode::kRefused, "the head is of another version: leat down, then leat up");
  if (connected && exception.getType() == kj::Exception::Type::FAILED)
    fail(ExitCode::kUnreachable, "the head could not answer: " + first_line(exception));
  kj::Timer& timer = shell_.io.provider->getTimer();
  const kj::TimePoint now = timer.now();
  const Duration limit = has_answered_ ? patience.limit : std::min(patience.limit, kFirstAnswerMax);
  const kj::TimePoint give_up = start + transport::to_kj(limit);
  if (now >= give_up) {
    const bool stuck = connected && exception.getType() == kj::Exception::Type::OVERLOADED;
    const std::string own_advice =
        stuck ? "it may be stuck, see " + shell_.home.logs() : "start one with leat up";
    const bool has_advice = !patience.advice.empty() && has_answered_;
    fail(ExitCode::kUnreachable, "no head answers at " + shell_.home.socket() + ": " +
                                     (has_advice ? patience.advice : own_advice));
  }
  shell_.console.progress("the head does not answer, trying again");
  const kj::Duration pause = std::min(transport::to_kj(backoff_.next()), give_up - now);
  timer.afterDelay(pause).wait(shell_.io.waitScope);
}

}  // namespace leat::cli
