#include "cli/progress.h"

#include <gtest/gtest.h>

namespace leat::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

JobView job_with(std::uint64_t done, std::uint64_t total) {
  JobView job;
  job.id = 17;
  job.state = static_cast<std::uint16_t>(schema::JobState::RUNNING);
  job.counts.total = total;
  job.counts.succeeded = done;
  job.stages = {job.counts};
  return job;
}

TEST(Progress, KnowsNoRateFromOneLook) {
  ProgressMeter meter;
  meter.observe(job_with(5, 10), seconds(1));
  EXPECT_FALSE(meter.rate());
  EXPECT_FALSE(meter.eta());
  EXPECT_EQ(meter.line(), "job 17  running  50%  5/10");
}

TEST(Progress, ReckonsRateAndTimeLeft) {
  ProgressMeter meter;
  meter.observe(job_with(0, 1000), seconds(0));
  meter.observe(job_with(100, 1000), seconds(1));
  EXPECT_DOUBLE_EQ(meter.rate().value(), 100);
  EXPECT_EQ(meter.eta(), seconds(9));
  EXPECT_EQ(meter.line(), "job 17  running  10%  100/1000  100/s  ETA 9s");
}

TEST(Progress, ForgetsRatesOfLongAgo) {
  ProgressMeter meter;
  meter.observe(job_with(0, 100'000), seconds(0));
  meter.observe(job_with(50'000, 100'000), seconds(1));
  for (int second = 2; second <= 30; ++second)
    meter.observe(job_with(50'000 + static_cast<std::uint64_t>(second), 100'000), seconds(second));
  EXPECT_NEAR(meter.rate().value(), 1.0, 0.01);
}

TEST(Progress, StaysBoundedWhenLookedAtAllTheTime) {
  ProgressMeter meter;
  for (int step = 0; step < 100'000; ++step)
    meter.observe(job_with(static_cast<std::uint64_t>(step), 1'000'000), milliseconds(step));
  EXPECT_NEAR(meter.rate().value(), 1000.0, 1.0);
}

TEST(Progress, NeverShowsANegativeRate) {
  ProgressMeter meter;
  meter.observe(job_with(100, 1000), seconds(0));
  meter.observe(job_with(50, 1000), seconds(1));
  EXPECT_DOUBLE_EQ(meter.rate().value(), 0);
  EXPECT_FALSE(meter.eta());
}

TEST(Progress, ShowsReduceStagesAndFailures) {
  JobView job = job_with(98, 100);
  job.counts.failed = 2;
  TaskCounts level;
  level.total = 10;
  level.held = 3;
  TaskCounts top;
  top.total = 1;
  job.stages = {job.counts, level, top};
  ProgressMeter meter;
  meter.observe(job, seconds(0));
  EXPECT_EQ(meter.line(), "job 17  running  92%  100/100  2 failed  reduce 3/10 0/1");
}

TEST(ClosingLine, SaysHowItWent) {
  JobView job = job_with(10, 10);
  job.state = static_cast<std::uint16_t>(schema::JobState::SUCCEEDED);
  job.started_us = 1'000'000;
  job.ended_us = 13'300'000;
  EXPECT_EQ(closing_line(job), "job 17 succeeded: 10 tasks in 12.3s");
  job.counts.total = 1;
  job.stages = {job.counts, TaskCounts{}};
  job.retried = 3;
  job.lost = 1;
  EXPECT_EQ(closing_line(job),
            "job 17 succeeded: 1 task in 12.3s, 1 reduce stage, 3 tried again, 1 run lost with "
            "nodes");
}

}  // namespace
}  // namespace leat::cli
