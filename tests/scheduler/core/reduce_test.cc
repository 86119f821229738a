#include <gtest/gtest.h>

#include "tests/scheduler/core/world.h"

namespace leat::core {
namespace {

// Places and ends whatever is started on nodes in `alive`, one round.
void round(World& w) {
  w.place();
  for (const StartRuns& start : w.starts())
    if (w.state.node(start.node) != nullptr) w.end(start.node, start.runs);
}

TEST(Reduce, RunsWhenItsInputsAreThere) {
  World w;
  w.node(4);
  const JobId job = w.submit(with_reduce(sweep(5), 2));
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 3u);
  round(w);  // four of the five
  EXPECT_EQ(w.count(job, TaskState::kHeld), 4u);
  EXPECT_EQ(w.count(job, TaskState::kWaiting, 1), 2u);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 1u);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Reduce, KeepsTheResult) {
  World w;
  const NodeRef node = w.node(1);
  const JobId job = w.submit(with_reduce(sweep(1), 2));
  round(w);
  w.place();
  w.end(node, w.starts().at(0).runs, {}, Blob{Hash{9}, 42});
  w.place();
  ASSERT_TRUE(w.state.job(job)->result.has_value());
  EXPECT_EQ(w.state.job(job)->result->length, 42u);
}

TEST(Reduce, RunsAgainWhatWasLostAndIsStillNeeded) {
  World w;
  const NodeRef first = w.node(4);
  const JobId job = w.submit(with_reduce(sweep(4), 2));
  round(w);
  ASSERT_EQ(w.count(job, TaskState::kHeld), 4u);
  w.must(ProveGone{first, "died"});
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 4u);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 2u);
  EXPECT_EQ(w.state.job(job)->retried, 0u);
  w.node(4);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Reduce, DoesNotRepeatInputsOfAStepWhoseOutputIsSafe) {
  World w;
  const NodeRef first = w.node(4);
  const JobId job = w.submit(with_reduce(sweep(4), 2));
  round(w);                 // all inputs on the first node
  w.must(LoseNode{first});  // nothing new is placed there
  const NodeRef second = w.node(1);
  w.place();
  for (const StartRuns& start : w.starts())
    if (start.node == second) w.end(second, start.runs);  // one step of level 1 is on the second
  ASSERT_EQ(w.count(job, TaskState::kHeld, 1), 1u);
  w.must(ProveGone{first, "died"});
  EXPECT_EQ(w.count(job, TaskState::kHeld, 1), 1u);
  EXPECT_EQ(w.count(job, TaskState::kWaiting, 0), 2u);
  // And when that step's node dies too, its inputs, long gone, are needed after all.
  w.must(ProveGone{second, "died"});
  EXPECT_EQ(w.count(job, TaskState::kWaiting, 0), 4u);
  EXPECT_EQ(w.count(job, TaskState::kHeld, 1), 0u);
  w.node(2);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Reduce, GoesBackToBlockedWhenARunningStepLosesItsInput) {
  World w;
  const NodeRef first = w.node(2);
  const JobId job = w.submit(with_reduce(sweep(2), 2));
  round(w);
  w.must(LoseNode{first});
  const NodeRef second = w.node(1);
  w.place();
  const auto step = w.starts();
  ASSERT_EQ(step.size(), 1u);
  w.must(ProveGone{first, "died"});
  RunRow lost;
  lost.outcome = Outcome::kInputLost;
  w.end(second, step[0].runs, lost);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 1u);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  EXPECT_EQ(w.state.job(job)->retried, 0u);
}

TEST(Reduce, IsSkippedWhenAnInputIsLostAndThenFailsWhileTheStepRuns) {
  World w;
  const NodeRef first = w.node(2);
  const JobId job = w.submit(with_reduce(sweep(2), 2));
  round(w);
  w.must(LoseNode{first});
  const NodeRef second = w.node(1);
  w.place();
  const auto step = w.starts();
  ASSERT_EQ(step.size(), 1u);
  w.must(ProveGone{first, "died"});
  const NodeRef third = w.node(2);
  w.place();
  RunRow failure;
  failure.code = 1;
  for (const StartRuns& start : w.starts())
    if (start.node == third) w.end(third, start.runs, failure);
  ASSERT_EQ(w.count(job, TaskState::kFailed), 2u);
  RunRow lost;
  lost.outcome = Outcome::kInputLost;
  w.end(second, step[0].runs, lost);
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  w.check_replay();
}

TEST(Reduce, IsSkippedWhenAnInputFails) {
  World w;
  const NodeRef node = w.node(4);
  const JobId job = w.submit(with_reduce(sweep(4), 2));
  w.place();
  const RunSet runs = w.starts().at(0).runs;
  RunRow failure;
  failure.code = 3;
  w.end(node, {runs.stage, 1, IndexList(Stride{0, 1, 1})}, failure);
  w.end(node, {runs.stage, 1, IndexList(Stride{1, 3, 1})});
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 1), 1u);
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 2), 1u);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  w.check_replay();
}

TEST(Reduce, TellsNodesToReleaseOutputsWhenTheJobEnds) {
  World w;
  w.node(2);
  const JobId job = w.submit(with_reduce(sweep(2), 2));
  round(w);
  round(w);
  w.effects.clear();
  w.place();
  bool released = false;
  for (const Effect& effect : w.effects)
    if (const auto* release = std::get_if<ReleaseOutputs>(&effect)) released = release->job == job;
  EXPECT_TRUE(released);
}

}  // namespace
}  // namespace leat::core
