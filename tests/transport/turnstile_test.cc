#include "transport/turnstile.h"

#include <gtest/gtest.h>
#include <kj/debug.h>

#include "tests/transport/support.h"

namespace leat::transport {
namespace {

// A session on a pipe whose other end nobody reads until the test does.
struct TurnstileTest : testing::Test {
  TurnstileTest() {
    kj::TwoWayPipe pipe = kj::newTwoWayPipe();
    far = kj::mv(pipe.ends[1]);
    session = kj::heap<Session>(kj::mv(pipe.ends[0]), Session::Side::kAccepted, nullptr,
                                kDataServerLimits);
    turnstile.bind(*session);
  }
  ~TurnstileTest() noexcept override {}

  Loop loop;
  kj::Own<kj::AsyncIoStream> far;
  Turnstile turnstile;
  kj::Own<Session> session;
};

TEST_F(TurnstileTest, LetsOneInAfterTheOther) {
  std::vector<int> order;
  std::vector<kj::Promise<void>> all;
  for (int i = 0; i < 3; ++i)
    all.push_back(turnstile.enter()
                      .then([&order, i](kj::Own<Turnstile::Pass>) { order.push_back(i); })
                      .eagerlyEvaluate(nullptr));
  for (kj::Promise<void>& one : all) loop.within(kj::mv(one));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST_F(TurnstileTest, HoldsTheNextWhileAnAnswerIsMade) {
  kj::Own<Turnstile::Pass> first = loop.within(turnstile.enter());
  kj::Promise<kj::Own<Turnstile::Pass>> second = turnstile.enter();
  EXPECT_FALSE(second.poll(loop.io.waitScope));
  first = nullptr;
  loop.within(kj::mv(second));
}

TEST_F(TurnstileTest, PassesOverACallThatWasGivenUp) {
  kj::Own<Turnstile::Pass> first = loop.within(turnstile.enter());
  { const kj::Promise<kj::Own<Turnstile::Pass>> given_up = turnstile.enter(); }
  kj::Promise<kj::Own<Turnstile::Pass>> third = turnstile.enter();
  first = nullptr;
  loop.within(kj::mv(third));
}

TEST_F(TurnstileTest, LetsEverybodyPassWhenTheSessionIsGone) {
  kj::Own<Turnstile::Pass> first = loop.within(turnstile.enter());
  session = nullptr;
  turnstile.unbind();
  first = nullptr;
  loop.within(turnstile.enter());
}

}  // namespace
}  // namespace leat::transport
