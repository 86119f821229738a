// How nodes are closed, emptied and deleted.

#include "tests/scheduler/core/pools_world.h"

namespace leat::core {
namespace {

TEST(Shrinking, ClosesIdleNodesNewestFirstDownToTheMinimum) {
  Pools w;
  const PoolId pool = w.elastic(1, 5);
  w.submit(sweep(6));
  const auto nodes = w.grow_and_arrive(pool);
  ASSERT_EQ(nodes.size(), 3u);
  w.place();
  w.end_all();
  w.pass(29);
  for (const NodeRef node : nodes) EXPECT_EQ(w.duty_of(node), NodeDuty::kServing);
  w.pass(3);
  EXPECT_EQ(w.duty_of(nodes[0]), NodeDuty::kServing);
  EXPECT_EQ(w.state_of(nodes[1]), NodeState::kDeleting);
  EXPECT_EQ(w.state_of(nodes[2]), NodeState::kDeleting);
  w.pass(100);
  EXPECT_EQ(w.state_of(nodes[0]), NodeState::kUp);
  w.check_replay();
}

TEST(Shrinking, LeavesANodeThatWorksOrHoldsAnOutput) {
  Pools w;
  const PoolId pool = w.elastic(0, 5);
  const JobId job = w.submit(with_reduce(sweep(4), 4));
  const auto nodes = w.grow_and_arrive(pool);
  ASSERT_EQ(nodes.size(), 2u);
  w.place();
  // One node's two runs end well; the other's go on.
  for (const StartRuns& start : w.starts())
    if (start.node == nodes[0]) w.end(start.node, start.runs);
  EXPECT_EQ(w.state.node(nodes[0])->held, 2u);
  w.pass(1000);
  EXPECT_EQ(w.duty_of(nodes[0]), NodeDuty::kServing);
  EXPECT_EQ(w.duty_of(nodes[1]), NodeDuty::kServing);
  EXPECT_EQ(w.count(job, TaskState::kHeld), 2u);
}

TEST(Shrinking, WaitsForTheIdleTimeoutFromTheLastEndOnThatNode) {
  Pools w;
  const PoolId pool = w.elastic(0, 5);
  w.submit(sweep(4));
  const auto nodes = w.grow_and_arrive(pool);
  w.place();
  const auto started = w.starts();
  for (const StartRuns& start : started)
    if (start.node == nodes[0]) w.end(start.node, start.runs);
  w.pass(20);
  for (const StartRuns& start : started)
    if (start.node == nodes[1]) w.end(start.node, start.runs);
  w.pass(12);
  EXPECT_NE(w.state_of(nodes[0]), NodeState::kUp);
  EXPECT_EQ(w.state_of(nodes[1]), NodeState::kUp);
  EXPECT_EQ(w.duty_of(nodes[1]), NodeDuty::kServing);
}

TEST(Shrinking, OpensAClosingNodeAgainWhenWorkComes) {
  Pools w;
  const PoolId pool = w.elastic(0, 1);
  w.submit(sweep(2));
  const auto nodes = w.grow_and_arrive(pool);
  w.place();
  w.must(ChangePool{{}, {}, "p", 0u, 0u, {}, {}, {Running::kComplete, {}}});
  EXPECT_EQ(w.duty_of(nodes[0]), NodeDuty::kClosing);
  w.must(ChangePool{{}, {}, "p", 0u, 1u, {}, {}, {}});
  const JobId more = w.submit(sweep(2));
  EXPECT_EQ(w.plan(pool).why, Growth::kReopens);
  EXPECT_EQ(w.plan(pool).grow, 0u);
  w.pass(1);
  EXPECT_EQ(w.duty_of(nodes[0]), NodeDuty::kServing);
  w.end_all();
  w.place();
  EXPECT_EQ(w.count(more, TaskState::kPlaced), 2u);
  w.check_replay();
}

TEST(Shrinking, PlacesNothingOnAClosedNode) {
  Pools w;
  const PoolId pool = w.elastic(1, 1);
  const auto nodes = w.grow_and_arrive(pool);
  w.must(DrainNode{{}, {}, nodes[0].id});
  const JobId job = w.submit(sweep(1));
  EXPECT_EQ(w.place(), 0u);
  // Also when it comes back from being lost.
  w.must(LoseNode{nodes[0]});
  w.join(nodes[0], 2);
  EXPECT_EQ(w.place(), 0u);
  w.must(ResumeNode{{}, {}, nodes[0].id});
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
}

TEST(Shrinking, LetsTasksCompleteUnlessTold) {
  Pools w;
  const PoolId pool = w.elastic(0, 2);
  w.submit(sweep(4));
  const auto nodes = w.grow_and_arrive(pool);
  w.place();
  w.must(ChangePool{{}, {}, "p", 0u, 1u, {}, {}, {Running::kComplete, {}}});
  w.pass(10'000);
  EXPECT_EQ(w.duty_of(nodes[1]), NodeDuty::kClosing);
  EXPECT_EQ(w.state_of(nodes[1]), NodeState::kUp);
  w.end_all();
  w.pass(1);
  EXPECT_EQ(w.state_of(nodes[1]), NodeState::kDeleting);
}

TEST(Shrinking, RequeuesAtTheDeadlineWithoutUsingARetry) {
  Pools w;
  const PoolId pool = w.elastic(0, 2);
  const JobId job = w.submit(sweep(2));
  const auto nodes = w.grow_and_arrive(pool);
  ASSERT_EQ(nodes.size(), 1u);
  w.place();
  const auto started = w.starts();
  w.must(RemoveNode{{}, {}, nodes[0].id, {Running::kRequeue, seconds(5)}});
  w.pass(4);
  w.effects.clear();
  w.pass(2);
  std::vector<EndRuns> ends;
  for (const Effect& effect : w.effects)
    if (const auto* end = std::get_if<EndRuns>(&effect)) ends.push_back(*end);
  ASSERT_EQ(ends.size(), 1u);
  EXPECT_EQ(ends[0].why, Outcome::kWithdrawn);
  EXPECT_EQ(ends[0].runs, started[0].runs);
  // Not ended yet: said again, and the node stays.
  w.pass(6);
  EXPECT_EQ(w.state_of(nodes[0]), NodeState::kUp);
  RunRow row;
  row.outcome = Outcome::kWithdrawn;
  w.end(nodes[0], started[0].runs, row);
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 2u);
  EXPECT_EQ(w.state.job(job)->retried, 0u);
  EXPECT_EQ(w.state.job(job)->lost, 0u);
  w.pass(1);
  EXPECT_EQ(w.state_of(nodes[0]), NodeState::kDeleting);
  w.check_replay();
}

TEST(Shrinking, DropsWhatHasNotComeFirst) {
  Pools w;
  const PoolId pool = w.elastic(0, 4);
  w.submit(sweep(2));
  const auto up = w.grow_and_arrive(pool);
  w.place();
  w.submit(sweep(6));
  const auto coming = w.grow(pool);
  ASSERT_EQ(coming.size(), 3u);
  w.must(ChangePool{{}, {}, "p", 0u, 1u, {}, {}, {}});
  EXPECT_EQ(w.duty_of(up[0]), NodeDuty::kServing);
  for (const NodeRef node : coming) EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
  EXPECT_EQ(w.state.pools().at(pool).failures, 0u);
}

}  // namespace
}  // namespace leat::core
