#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/scheduler/core/world.h"

// What history keeps of the tasks of a job that ends.

namespace leat::core {
namespace {

// Stages of so many tasks, each after all of the one before.
JobSpec chain(const std::vector<std::uint64_t>& tasks) {
  JobSpec spec = sweep(tasks[0]);
  spec.encoded = std::make_shared<const std::string>("as it was submitted");
  for (std::size_t n = 1; n < tasks.size(); ++n) {
    StageSpec stage = sweep(tasks[n]).stages[0];
    stage.after.push_back({{}, false, Condition::kSuccess, static_cast<StageId>(n - 1)});
    spec.stages.push_back(stage);
  }
  return spec;
}

// Of a job that has ended, as it was just before.
PastTasks kept(const World& w, JobId job) {
  State state;
  for (const auto& [fact, at] : w.log) {
    const auto* ended = std::get_if<JobEnded>(&fact);
    if (ended != nullptr && ended->job == job) return past_tasks(*state.job(job));
    state.apply(fact, at);
  }
  ADD_FAILURE() << "it has not ended";
  return {};
}

// Tasks of a stage, each of which failed or not at random.
IntervalMap<TaskCell> scattered(std::uint64_t tasks) {
  Random random(7);
  IntervalMap<TaskCell> cells(tasks, TaskCell::bare(TaskState::kSucceeded));
  for (std::uint64_t n = 0; n < tasks; ++n)
    if (random.chance(50)) cells.assign({n, n}, TaskCell::bare(TaskState::kFailed));
  return cells;
}

// A job that is over, with stages of these tasks.
struct Over {
  std::shared_ptr<const JobSpec> spec;
  Job job;

  explicit Over(const std::vector<IntervalMap<TaskCell>>& stages) {
    std::vector<std::uint64_t> sizes;
    for (const auto& cells : stages) sizes.push_back(cells.size());
    job.spec = spec = std::make_shared<const JobSpec>(chain(sizes));
    for (std::size_t n = 0; n < stages.size(); ++n) {
      job.stages.emplace_back().spec = &spec->stages[n];
      job.stages.back().cells = stages[n];
    }
  }
};

TEST(PastTasks, AreThoseOfEachStageThatDidNotSucceed) {
  World w;
  w.node(16);
  JobSpec spec = chain({4, 10, 2});
  spec.stages[1].indices = IndexList(Stride{100, 10, 5});
  const JobId job = w.submit(spec);
  w.place();
  for (const StartRuns& start : w.starts()) w.end(start.node, start.runs);
  w.place();
  RunRow failure;
  failure.code = 3;
  for (const StartRuns& start : w.starts())
    start.runs.indices.for_each([&](Index index) {
      const bool fails = index == 115 || index == 135;
      w.end(start.node, {start.runs.stage, start.runs.attempt, IndexList(Stride{index, 1, 1})},
            fails ? failure : RunRow{});
    });
  w.place();
  ASSERT_EQ(w.job_state(job), JobState::kFailed);
  const PastTasks past = kept(w, job);
  EXPECT_TRUE(past.known);
  EXPECT_EQ(past.indices.to_string(), "0-3");
  EXPECT_TRUE(past.unsuccessful.empty());
  ASSERT_EQ(past.later.size(), 2u);
  EXPECT_EQ(past.later[0].to_string(), "115,135");
  EXPECT_EQ(past.later[1].to_string(), "0-1");  // skipped
  ASSERT_NE(past.encoded, nullptr);
  EXPECT_EQ(*past.encoded, *spec.encoded);
}

TEST(PastTasks, AreNoneOfAJobThatSucceeded) {
  World w;
  w.node(16);
  const JobId job = w.submit(chain({3, 2}));
  w.drain();
  ASSERT_EQ(w.job_state(job), JobState::kSucceeded);
  const PastTasks past = kept(w, job);
  EXPECT_TRUE(past.known);
  EXPECT_EQ(past.later, std::vector<IndexList>(1));
  EXPECT_EQ(past.encoded, nullptr);
}

TEST(PastTasks, OfLaterStagesAreKeptWholeOrNotAtAll) {
  const IntervalMap<TaskCell> fine(3, TaskCell::bare(TaskState::kSucceeded));
  const IntervalMap<TaskCell> some = scattered(200'000);
  const std::size_t strides = past_tasks(Over({fine, some}).job).later.at(0).strides().size();
  ASSERT_LE(strides, PastTasks::kStridesMax);
  ASSERT_GT(2 * strides, PastTasks::kStridesMax);
  const PastTasks past = past_tasks(Over({fine, some, fine, some, fine}).job);
  EXPECT_TRUE(past.known);
  EXPECT_TRUE(past.later.empty());
  EXPECT_NE(past.encoded, nullptr);
}

}  // namespace
}  // namespace leat::core
