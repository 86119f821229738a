// Waiters on a hand-cranked timer.

#include "scheduler/engine/pulse.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace leat::engine {
namespace {

// KJ's destructors may throw, testing::Test's may not: so the parts are held apart.
struct Parts {
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  kj::TimerImpl timer{kj::origin<kj::TimePoint>() + 1 * kj::HOURS};
  Pulse pulse{timer, 40};
};

class PulseTest : public testing::Test {
 protected:
  void pass(kj::Duration span) {
    parts_->timer.advanceTo(parts_->timer.now() + span);
    parts_->scope.poll();
  }

  std::unique_ptr<Parts> parts_ = std::make_unique<Parts>();
  kj::WaitScope& scope_ = parts_->scope;
  Pulse& pulse_ = parts_->pulse;
};

TEST_F(PulseTest, WaitsForATurnThatHasNotBeenSeen) {
  EXPECT_TRUE(pulse_.wait(39).poll(scope_));
  pass(Pulse::kInterval);
  auto next = pulse_.wait(40);
  EXPECT_FALSE(next.poll(scope_));
  pulse_.beat(41);
  EXPECT_TRUE(next.poll(scope_));
}

TEST_F(PulseTest, WakesAtMostEveryIntervalHoweverOftenItBeats) {
  unsigned woken = 0;
  std::uint64_t seen = 40;
  auto waiting = pulse_.wait(seen);
  for (std::uint64_t turn = 41; turn < 1'041; ++turn) {
    pulse_.beat(turn);
    pass(Pulse::kInterval / 100);
    if (!waiting.poll(scope_)) continue;
    ++woken;
    seen = pulse_.sequence();
    waiting = pulse_.wait(seen);
  }
  EXPECT_GE(woken, 10u);
  EXPECT_LE(woken, 11u);
  // Whoever asks for what is long past waits like the others.
  EXPECT_FALSE(pulse_.wait(1).poll(scope_));
}

TEST_F(PulseTest, RefusesOneWaiterTooMany) {
  std::vector<kj::Promise<Result<Done>>> waiting;
  for (std::size_t n = 0; n < Pulse::kWaitersMax; ++n) waiting.push_back(pulse_.wait(40));
  auto refused = pulse_.wait(40);
  ASSERT_TRUE(refused.poll(scope_));
  EXPECT_EQ(refused.wait(scope_).refusal().reason, Reason::kOverloaded);
  waiting.pop_back();
  EXPECT_EQ(pulse_.waiters(), Pulse::kWaitersMax - 1);
  EXPECT_FALSE(pulse_.wait(40).poll(scope_));
}

TEST(Pulse, MayGoBeforeItsWaiters) {
  kj::EventLoop loop;
  kj::WaitScope scope(loop);
  kj::TimerImpl timer{kj::origin<kj::TimePoint>()};
  auto pulse = std::make_unique<Pulse>(timer, 40);
  auto waiting = pulse->wait(40);
  EXPECT_EQ(pulse->waiters(), 1u);
  pulse = nullptr;
  EXPECT_FALSE(waiting.poll(scope));
}

}  // namespace
}  // namespace leat::engine
