// Watchers on a hand-cranked timer.

#include "scheduler/engine/progress.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace leat::engine {
namespace {

// KJ's destructors may throw, testing::Test's may not: so the parts are held apart.
struct Parts {
  void pass(kj::Duration span) {
    timer.advanceTo(timer.now() + span);
    scope.poll();
  }

  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  kj::TimerImpl timer{kj::origin<kj::TimePoint>() + 1 * kj::HOURS};
  Progress progress{timer, 40};
  const JobId job{7};
};

class ProgressTest : public testing::Test {
 protected:
  void pass(kj::Duration span) { parts_->pass(span); }

  std::unique_ptr<Parts> parts_ = std::make_unique<Parts>();
  kj::WaitScope& scope_ = parts_->scope;
  Progress& progress_ = parts_->progress;
  const JobId job_ = parts_->job;
};

TEST_F(ProgressTest, AnswersAtOnceWhoHasSeenNothingOrLess) {
  EXPECT_TRUE(progress_.wait(job_, 0).poll(scope_));
  // After a restart every active job counts as changed by the last turn on disk.
  EXPECT_EQ(progress_.cursor(job_), 40u);
  EXPECT_TRUE(progress_.wait(job_, 39).poll(scope_));
  EXPECT_FALSE(progress_.wait(job_, 40).poll(scope_));
}

TEST_F(ProgressTest, WakesAtMostEveryInterval) {
  auto first = progress_.wait(job_, 40);
  progress_.changed(job_, 41, false);
  EXPECT_TRUE(first.poll(scope_));
  auto second = progress_.wait(job_, 41);
  progress_.changed(job_, 42, false);
  progress_.changed(job_, 43, false);
  EXPECT_FALSE(second.poll(scope_));
  pass(Progress::kWakeInterval - 1 * kj::MILLISECONDS);
  EXPECT_FALSE(second.poll(scope_));
  pass(1 * kj::MILLISECONDS);
  EXPECT_TRUE(second.poll(scope_));
  EXPECT_EQ(progress_.cursor(job_), 43u);
}

TEST_F(ProgressTest, CoalescesAlsoForWhoAsksAnew) {
  progress_.changed(job_, 41, false);
  auto first = progress_.wait(job_, 40);
  EXPECT_TRUE(first.poll(scope_));
  progress_.changed(job_, 42, false);
  auto second = progress_.wait(job_, 41);
  EXPECT_FALSE(second.poll(scope_));
  pass(Progress::kWakeInterval);
  EXPECT_TRUE(second.poll(scope_));
}

TEST_F(ProgressTest, WakesAtOnceWhenTheJobEnds) {
  auto first = progress_.wait(job_, 40);
  progress_.changed(job_, 41, false);
  EXPECT_TRUE(first.poll(scope_));
  auto second = progress_.wait(job_, 41);
  progress_.changed(job_, 42, true);
  EXPECT_TRUE(second.poll(scope_));
}

TEST_F(ProgressTest, RefusesWatchersBeyondTheLimitAndForgetsThoseWhoLeft) {
  std::vector<kj::Promise<Result<Done>>> waiting;
  for (std::size_t n = 0; n < Progress::kWatchersMax; ++n)
    waiting.push_back(progress_.wait(job_, 40));
  auto refused = progress_.wait(job_, 40);
  ASSERT_TRUE(refused.poll(scope_));
  EXPECT_EQ(refused.wait(scope_).refusal().reason, Reason::kOverloaded);
  waiting.pop_back();
  EXPECT_FALSE(progress_.wait(job_, 40).poll(scope_));
  waiting.clear();
  EXPECT_EQ(progress_.watchers(), 0u);
}

}  // namespace
}  // namespace leat::engine
