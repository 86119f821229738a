#pragma once

// head.h - the head of one home, as a command asks it.

#include <kj/async-io.h>
#include <kj/debug.h>

#include <string>
#include <utility>

#include "base/time.h"
#include "cli/command.h"
#include "schema/scheduler.capnp.h"
#include "transport/liveness.h"
#include "transport/session.h"

namespace leat::cli {

// How long a head that has gone away is asked again, and what to say when that is over. One that
// has never answered is given kFirstAnswerMax of it: there is probably none.
struct Patience {
  Duration limit{0};
  std::string advice;  // what to do instead of starting a head
};

inline constexpr Duration kFirstAnswerMax = std::chrono::seconds(5);

// A head that takes longer for an answer is stuck.
inline constexpr Duration kAnswerDeadline = std::chrono::seconds(30);

// One that has had no news for so long, while news is waited for, is asked again: perhaps it is
// not there.
inline constexpr kj::Duration kQuietMax = 20 * kj::SECONDS;

// A connection that is made when needed and made again when lost. Borrows the shell. Thread: the
// loop, outside of any continuation: all members wait.
class Head {
 public:
  explicit Head(Shell& shell);
  ~Head() noexcept(false);
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  // Whether a head takes requests now. One that has just been killed still takes connections.
  bool answers();

  // Calls `call(schema::Scheduler::Client&)`, which sends one request, and returns its response.
  // A lost connection is made again and the request repeated until `patience` is over, so the
  // request must carry a key or change nothing. Throws Failure.
  template <typename Call>
  auto ask(Call call, const Patience& patience = {}, Duration deadline = kAnswerDeadline) {
    using Response = decltype(call(std::declval<schema::Scheduler::Client&>())
                                  .wait(std::declval<kj::WaitScope&>()));
    const kj::TimePoint start = shell_.io.provider->getTimer().now();
    for (;;) {
      kj::Maybe<Response> response;
      kj::Maybe<kj::Exception> lost = kj::runCatchingExceptions([&] {
        kj::Promise<Response> answer = call(client());
        response = shell_.io.provider->getTimer()
                       .timeoutAfter(transport::to_kj(deadline), kj::mv(answer))
                       .wait(shell_.io.waitScope);
      });
      KJ_IF_MAYBE (exception, lost) {
        try_later(*exception, start, patience);
      } else {
        has_answered_ = true;
        backoff_.reset();
        return kj::mv(KJ_ASSERT_NONNULL(response));
      }
    }
  }

 private:
  schema::Scheduler::Client& client();
  // Returns after a pause with the connection closed, or throws Failure.
  void try_later(const kj::Exception& exception, kj::TimePoint start, const Patience& patience);

  Shell& shell_;
  transport::Backoff backoff_;
  bool has_answered_ = false;
  kj::Own<transport::Session> session_;
  kj::Maybe<schema::Scheduler::Client> client_;  // last: goes before its session
};

// For wishes that carry `key`: how long to try, and what to say when it is not known whether the
// head has heard.
Patience change_patience(const std::string& key);

// Throws Failure if the answer is a refusal.
template <typename AnswerReader>
void expect_done(const AnswerReader& answer, const std::string& prefix = "") {
  if (answer.isRefusal()) fail(read_refusal(answer.getRefusal()), prefix);
}

}  // namespace leat::cli
