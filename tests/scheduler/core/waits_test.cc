#include <gtest/gtest.h>

#include "scheduler/core/clock_text.h"
#include "tests/scheduler/core/world.h"

// Delays between tries, patience with jobs that do not start, and the wishes of people.

namespace leat::core {
namespace {

RunRow ended(Outcome outcome, int code) {
  RunRow row;
  row.outcome = outcome;
  row.code = code;
  return row;
}

void tick(World& w, Duration later) {
  w.now = w.now + later;
  w.must(Tick{});
}

constexpr Duration kSecond{1'000'000};

JobSpec retried(std::uint32_t retries, Duration first, std::uint32_t factor = 1000,
                Duration max = Duration{0}) {
  JobSpec spec = sweep(2);
  spec.stages[0].retries = retries;
  spec.stages[0].retry_delay = {first, factor, max};
  return spec;
}

TEST(RetryDelay, GrowsByItsFactorUpToItsLimit) {
  const RetryDelay delay{kSecond, 2500, 10 * kSecond};
  const std::int64_t expected[] = {1'000'000, 2'500'000, 6'250'000, 10'000'000, 10'000'000};
  for (std::uint32_t n = 0; n < 5; ++n) EXPECT_EQ(delay.after(n + 1).count(), expected[n]);
  EXPECT_EQ((RetryDelay{kSecond, 1000, Duration{0}}.after(1000)), kSecond);
  EXPECT_EQ((RetryDelay{kSecond, 100'000, Duration{0}}.after(1000)), kRetryDelayMax);
  EXPECT_EQ((RetryDelay{Duration{3}, 1001, Duration{0}}.after(1000)).count(), 3);
}

TEST(RetryDelay, KeepsATaskBackUntilItIsDue) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(retried(2, 10 * kSecond, 2000));
  w.place();
  w.starts();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 1, 1})}, ended(Outcome::kExit, 1));
  EXPECT_EQ(w.count(job, TaskState::kDelayed), 1u);
  EXPECT_EQ(w.place(), 0u);
  EXPECT_FALSE(wants_tick(w.state, w.now + 9 * kSecond));
  EXPECT_TRUE(wants_tick(w.state, w.now + 11 * kSecond));
  tick(w, 9 * kSecond);
  EXPECT_EQ(w.count(job, TaskState::kDelayed), 1u);
  tick(w, 2 * kSecond);
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
  EXPECT_FALSE(wants_tick(w.state, w.now));
  w.place();
  w.end(node, {{job, 0}, 2, IndexList(Stride{0, 1, 1})}, ended(Outcome::kExit, 1));
  tick(w, 11 * kSecond);
  EXPECT_EQ(w.count(job, TaskState::kDelayed), 1u);
  tick(w, 10 * kSecond);
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
  w.place();
  w.end(node, {{job, 0}, 3, IndexList(Stride{0, 1, 1})}, ended(Outcome::kExit, 1));
  EXPECT_EQ(w.count(job, TaskState::kFailed), 1u);
  w.check_replay();
}

// The delays that requeueing facts tell, in their order.
std::vector<Duration> delays_told(const World& w) {
  std::vector<Duration> told;
  for (const auto& [fact, at] : w.log)
    if (const auto* again = std::get_if<RunsRequeued>(&fact)) told.push_back(again->delay);
  return told;
}

TEST(RetryDelay, IsToldByTheFactWithTasksOfOtherDelaysApart) {
  World w;
  const NodeRef node = w.node(3);
  JobSpec spec = retried(3, 10 * kSecond, 2000);
  spec.stages[0].indices = IndexList(Stride{0, 3, 1});
  const JobId job = w.submit(spec);
  w.place();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 2, 1})}, ended(Outcome::kExit, 1));
  w.end(node, {{job, 0}, 1, IndexList(Stride{2, 1, 1})}, ended(Outcome::kNodeLost, 0));
  EXPECT_EQ(delays_told(w), (std::vector<Duration>{10 * kSecond, Duration{0}}));
  tick(w, 11 * kSecond);
  w.place();
  // Of the same attempt; for two of them it is the second failure.
  w.end(node, {{job, 0}, 2, IndexList(Stride{0, 3, 1})}, ended(Outcome::kExit, 1));
  EXPECT_EQ(delays_told(w),
            (std::vector<Duration>{10 * kSecond, Duration{0}, 10 * kSecond, 20 * kSecond}));
  EXPECT_EQ(w.state.due().size(), 2u);
  w.check_replay();
}

TEST(RetryDelay, IsTheSpecsInFactsThatDoNotTellIt) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(retried(2, 10 * kSecond));
  w.place();
  const std::vector<RunRow> row{ended(Outcome::kExit, 1)};
  w.state.apply(RunsRequeued{{{job, 0}, 1, IndexList(Stride{0, 1, 1})}, node, to_columns(row)},
                w.now);
  EXPECT_EQ(w.count(job, TaskState::kDelayed), 1u);
  EXPECT_GE(w.state.due().begin()->first, w.now + 10 * kSecond);
}

TEST(RetryDelay, IsNotForRunsThatWereLost) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(retried(2, 10 * kSecond));
  w.place();
  w.must(ProveGone{node, "died"});
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 2u);
}

TEST(RetryDelay, FoldsTasksThatFailTogether) {
  World w;
  const NodeRef node = w.node(64);
  JobSpec spec = sweep(64);
  spec.stages[0].retries = 1;
  spec.stages[0].retry_delay.first = kSecond;
  const JobId job = w.submit(spec);
  w.place();
  w.starts();
  for (Index n = 0; n < 64; ++n) {
    w.now = w.now + Duration(1000);
    w.end(node, {{job, 0}, 1, IndexList(Stride{n, 1, 1})}, ended(Outcome::kExit, 1));
  }
  EXPECT_LE(w.state.due().size(), 2u);
  EXPECT_LE(w.state.stage({job, 0})->cells.entry_count(), 2u);
  w.check_replay();
}

TEST(RetryDelay, DoesNotOutliveACancellation) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(retried(2, 10 * kSecond));
  w.place();
  w.starts();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 2, 1})}, ended(Outcome::kExit, 1));
  w.must(Cancel{"c", {}, job, 0, {}});
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
  EXPECT_TRUE(w.state.due().empty());
  w.check_replay();
}

TEST(RetryDelay, IsExplained) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(retried(2, 10 * kSecond));
  w.place();
  w.starts();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 1, 1})}, ended(Outcome::kExit, 1));
  const auto causes = why(w.state, {job, 0}, Index{0}, w.now + 4 * kSecond);
  ASSERT_EQ(causes.size(), 1u);
  EXPECT_STREQ(causes[0].reason, "retry");
  EXPECT_EQ(causes[0].message,
            "failed, and is tried again after a delay: the next is due at 1970-01-01 00:00:11 UTC "
            "(in 6s)");
}

TEST(RetryOn, TriesOnlyThoseFailuresAgain) {
  JobSpec spec = sweep(1);
  spec.stages[0].retries = 5;
  spec.stages[0].retry_on.only = true;
  spec.stages[0].retry_on.codes[75 / 64] |= std::uint64_t{1} << (75 % 64);
  spec.stages[0].retry_on.codes[3] |= std::uint64_t{1} << 63;
  spec.stages[0].retry_on.signals = 1u << 9;
  spec.stages[0].retry_on.outcomes = 1u << static_cast<unsigned>(Outcome::kTimeLimit);
  const std::pair<RunRow, bool> cases[] = {
      {ended(Outcome::kExit, 75), true},          {ended(Outcome::kExit, 255), true},
      {ended(Outcome::kExit, 1), false},          {ended(Outcome::kExit, 11), false},
      {ended(Outcome::kSignal, 9), true},         {ended(Outcome::kSignal, 11), false},
      {ended(Outcome::kTimeLimit, 15), true},     {ended(Outcome::kOutOfMemory, 0), false},
      {ended(Outcome::kCouldNotStart, 2), false},
  };
  for (const auto& [row, again] : cases) {
    World w;
    const NodeRef node = w.node(1);
    const JobId job = w.submit(spec);
    w.place();
    w.end(node, w.starts().at(0).runs, row);
    EXPECT_EQ(w.count(job, TaskState::kWaiting), again ? 1u : 0u)
        << static_cast<int>(row.outcome) << ' ' << row.code;
    EXPECT_EQ(w.count(job, TaskState::kFailed), again ? 0u : 1u);
  }
}

TEST(StartWithin, EndsAJobThatHasNotStarted) {
  World w;
  JobSpec spec = with_reduce(sweep(4), 2);
  spec.stages[0].start_within = 60 * kSecond;
  const JobId job = w.submit(spec);
  const auto causes = why(w.state, {job, 0}, std::nullopt, w.now + 20 * kSecond);
  EXPECT_STREQ(causes.back().reason, "start-within");
  EXPECT_NE(causes.back().message.find("(40s left)"), std::string::npos) << causes.back().message;
  tick(w, 59 * kSecond);
  EXPECT_EQ(w.job_state(job), JobState::kWaiting);
  EXPECT_TRUE(wants_tick(w.state, w.now + kSecond));
  tick(w, kSecond);
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kSkipped);
  EXPECT_EQ(w.count(job, TaskState::kSkipped), 4u);
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 2), 1u);
  EXPECT_EQ(w.state.job(job)->skip_reason, SkipReason::kStartWithin);
  EXPECT_FALSE(wants_tick(w.state, w.now + 1000 * kSecond));
  w.check_replay();
}

TEST(StartWithin, LeavesAloneAJobThatHasStarted) {
  World w;
  w.node(1);
  JobSpec spec = sweep(3);
  spec.stages[0].start_within = 60 * kSecond;
  const JobId job = w.submit(spec);
  w.place();
  EXPECT_FALSE(wants_tick(w.state, w.now + 1000 * kSecond));
  tick(w, 1000 * kSecond);
  EXPECT_EQ(w.job_state(job), JobState::kRunning);
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 2u);
  w.check_replay();
}

TEST(Hold, StartsNothingUntilReleased) {
  World w;
  const NodeRef node = w.node(1);
  const JobId job = w.submit(sweep(3));
  w.must(HoldJob{"h", {1000, "host", ""}, job});
  EXPECT_EQ(w.job_state(job), JobState::kHeld);
  EXPECT_EQ(w.place(), 0u);
  const auto causes = why(w.state, {job, 0}, std::nullopt, w.now);
  ASSERT_FALSE(causes.empty());
  EXPECT_STREQ(causes[0].reason, "held");
  EXPECT_EQ(causes[0].message, "held by user 1000@host since 1970-01-01 00:00:01 UTC");
  w.must(HoldJob{"h", {}, job});  // again: nothing
  w.must(ReleaseJob{"r", {}, job});
  EXPECT_EQ(w.job_state(job), JobState::kWaiting);
  EXPECT_EQ(w.place(), 1u);
  EXPECT_EQ(w.job_state(job), JobState::kRunning);
  w.must(HoldJob{"h", {}, job});
  // What runs goes on; the next one waits.
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 1, 1})});
  EXPECT_EQ(w.place(), 0u);
  w.must(ReleaseJob{"r", {}, job});
  w.must(ReleaseJob{"r", {}, job});
  EXPECT_EQ(w.job_state(job), JobState::kRunning);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Hold, TakesBackWhatIsOnlyQueued) {
  World w;
  const NodeRef node = w.node(1);
  const JobId job = w.submit(sweep(2000));
  w.place();
  RunRow quick;
  quick.duration_us = 1000;
  w.end(node, w.starts().at(0).runs, quick);
  w.place();
  w.effects.clear();
  w.must(HoldJob{"h", {}, job});
  const std::uint64_t placed = w.count(job, TaskState::kPlaced);
  ASSERT_GT(placed, 1u);
  std::uint64_t asked = 0;
  for (const Effect& effect : w.effects)
    if (const auto* withdrawal = std::get_if<Withdrawal>(&effect)) asked += withdrawal->count;
  EXPECT_EQ(asked, placed);
  // A node that comes back is told the same.
  w.effects.clear();
  w.join(node, 1);
  asked = 0;
  for (const Effect& effect : w.effects)
    if (const auto* withdrawal = std::get_if<Withdrawal>(&effect)) asked += withdrawal->count;
  EXPECT_EQ(asked, placed);
}

TEST(Hold, MayBeCancelledAndIsRefusedForWhatIsOver) {
  World w;
  const JobId job = w.submit(sweep(3));
  w.must(HoldJob{"h", {}, job});
  w.must(Cancel{"c", {}, job, 0, {}});
  EXPECT_EQ(w.say(HoldJob{"h", {}, job}).refusal().message, "job 1 is being cancelled");
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
  EXPECT_EQ(w.say(HoldJob{"h", {}, job}).refusal().message, "job 1 has already ended: cancelled");
  EXPECT_EQ(w.say(ReleaseJob{"h", {}, job}).refusal().reason, Reason::kConflict);
  EXPECT_EQ(w.say(HoldJob{"h", {}, JobId{7}}).refusal().reason, Reason::kNotFound);
  w.check_replay();
}

TEST(SetJob, MovesAJobInTheQueue) {
  World w;
  w.node(1);
  const JobId first = w.submit(sweep(1));
  const JobId second = w.submit(sweep(1));
  w.must(SetJob{"s", {}, second, 5, "urgent"});
  EXPECT_EQ(w.state.job(second)->priority, 5);
  EXPECT_EQ(w.state.job(second)->name, "urgent");
  w.place();
  EXPECT_EQ(w.count(second, TaskState::kPlaced), 1u);
  EXPECT_EQ(w.count(first, TaskState::kWaiting), 1u);
  const std::size_t facts = w.log.size();
  w.must(SetJob{"s", {}, second, 5, std::nullopt});
  EXPECT_EQ(w.log.size(), facts);
  EXPECT_EQ(w.say(SetJob{"s", {}, second, {}, "a\x1b"}).refusal().reason, Reason::kInvalid);
  w.check_replay();
}

TEST(ClockText, KnowsTheCalendar) {
  EXPECT_EQ(clock_text(0), "an unknown time");
  EXPECT_EQ(clock_text(1), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(clock_text(951'782'400'000'000), "2000-02-29 00:00:00 UTC");
  EXPECT_EQ(clock_text(1'795'320'611'000'000), "2026-11-22 04:10:11 UTC");
  EXPECT_EQ(clock_text(4'102'444'799'999'999), "2099-12-31 23:59:59 UTC");
}

TEST(SpanText, IsShort) {
  EXPECT_EQ(span_text(Duration{-5}), "0ms");
  EXPECT_EQ(span_text(Duration{250'000}), "250ms");
  EXPECT_EQ(span_text(90 * kSecond), "1m30s");
  EXPECT_EQ(span_text(7200 * kSecond), "2h");
  EXPECT_EQ(span_text(100'000 * kSecond), "1d3h");
}

}  // namespace
}  // namespace leat::core
