#include "transport/liveness.h"

#include <gtest/gtest.h>
#include <kj/debug.h>

#include <set>
#include <vector>

namespace leat::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Backoff, StaysWithinItsBoundsAndGrows) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Backoff backoff{Random(seed)};
    EXPECT_LE(backoff.next(), milliseconds(400));
    Duration longest{0};
    for (int i = 0; i < 20; ++i) {
      const Duration wait = backoff.next();
      EXPECT_GE(wait, milliseconds(200));
      EXPECT_LE(wait, seconds(5));
      longest = std::max(longest, wait);
    }
    EXPECT_GT(longest, milliseconds(2500));
    backoff.reset();
    EXPECT_LE(backoff.next(), milliseconds(400));
  }
}

TEST(Backoff, SpreadsManyClients) {
  std::set<Duration> waits;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) waits.insert(Backoff{Random(seed)}.next());
  EXPECT_GT(waits.size(), 90u);
}

// A peer whose answers the test gives by hand.
struct PingTest : testing::Test {
  ~PingTest() noexcept override {}

  kj::Promise<void> ping() {
    auto pair = kj::newPromiseAndFulfiller<void>();
    pings.push_back(kj::mv(pair.fulfiller));
    return kj::mv(pair.promise);
  }
  void advance(Duration duration) {
    timer.advanceTo(timer.now() + to_kj(duration));
    kj::evalLast([] {}).wait(scope);
  }

  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  kj::TimerImpl timer{kj::origin<kj::TimePoint>()};
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> pings;
  kj::Promise<void> watch = ping_forever(
                                timer, [this] { return ping(); }, seconds(1), seconds(5))
                                .eagerlyEvaluate(nullptr);
};

TEST_F(PingTest, GoesOnWhileAnswersCome) {
  for (std::size_t i = 1; i <= 1000; ++i) {
    ASSERT_EQ(pings.size(), i);
    advance(milliseconds(4900));
    ASSERT_FALSE(watch.poll(scope));
    pings.back()->fulfill();
    advance(milliseconds(0));
    advance(milliseconds(999));
    ASSERT_EQ(pings.size(), i) << "too early";
    advance(milliseconds(1));
    ASSERT_FALSE(watch.poll(scope));
  }
}

TEST_F(PingTest, GivesUpWhenAnAnswerIsLate) {
  advance(milliseconds(4999));
  EXPECT_FALSE(watch.poll(scope));
  advance(milliseconds(1));
  ASSERT_TRUE(watch.poll(scope));
  try {
    watch.wait(scope);
    FAIL() << "resolved";
  } catch (const kj::Exception& exception) {
    EXPECT_EQ(exception.getType(), kj::Exception::Type::DISCONNECTED);
  }
}

TEST_F(PingTest, PassesOnWhatBrokeThePing) {
  pings.back()->reject(KJ_EXCEPTION(UNIMPLEMENTED, "what ping?"));
  ASSERT_TRUE(watch.poll(scope));
  try {
    watch.wait(scope);
    FAIL() << "resolved";
  } catch (const kj::Exception& exception) {
    EXPECT_EQ(exception.getType(), kj::Exception::Type::UNIMPLEMENTED);
  }
}

TEST_F(PingTest, StopsWhenDropped) {
  watch = nullptr;
  advance(seconds(60));
  EXPECT_EQ(pings.size(), 1u);
  EXPECT_FALSE(pings.back()->isWaiting());
}

}  // namespace
}  // namespace leat::transport
