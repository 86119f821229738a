#include <gtest/gtest.h>

#include "tests/scheduler/core/world.h"

namespace leat::core {
namespace {

TEST(Placement, TakesTheTightestNode) {
  World w;
  w.node(8);
  const NodeRef small = w.node(2);
  w.submit(sweep(1, 2));
  w.place();
  EXPECT_EQ(w.starts().at(0).node, small);
}

TEST(Placement, CountsMemory) {
  World w;
  const NodeRef node = w.node(8, 4u << 20);
  JobSpec spec = sweep(8);
  spec.stages[0].resources.memory_bytes = 1u << 20;
  w.submit(spec);
  w.place();
  const auto started = w.starts();
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(started[0].claims, 4u);
  EXPECT_EQ(w.state.node(node)->free.memory_bytes, 0u);
}

TEST(Placement, FollowsPriorityThenOrderOfSubmission) {
  World w;
  const JobId first = w.submit(sweep(1));
  const JobId second = w.submit(sweep(1));
  JobSpec urgent = sweep(1);
  urgent.priority = 5;
  const JobId third = w.submit(urgent);
  w.node(1);
  std::vector<JobId> order;
  for (w.place();; w.place()) {
    const auto started = w.starts();
    if (started.empty()) break;
    order.push_back(started[0].runs.stage.job);
    w.end(started[0].node, started[0].runs);
  }
  EXPECT_EQ(order, (std::vector<JobId>{third, first, second}));
}

TEST(Placement, KeepsANodeFreeForAWideTaskThatWaits) {
  World w;
  const NodeRef node = w.node(4);
  const JobId small = w.submit(sweep(4));
  w.place();
  const RunSet runs = w.starts().at(0).runs;
  w.submit(sweep(1, 4));
  const JobId later = w.submit(sweep(100));
  for (Index i = 0; i < 4; ++i) {
    w.end(node, {runs.stage, 1, IndexList(Stride{i, 1, 1})});
    w.place();
    EXPECT_EQ(w.count(later, TaskState::kPlaced), 0u);
  }
  EXPECT_EQ(w.job_state(small), JobState::kSucceeded);
  EXPECT_EQ(w.starts().at(0).runs.stage.job, JobId{2});
}

TEST(Placement, DoesNotWaitForATaskThatNoNodeCouldHold) {
  World w;
  w.node(4);
  w.submit(sweep(1, 8));
  const JobId possible = w.submit(sweep(1));
  w.place();
  EXPECT_EQ(w.count(possible, TaskState::kPlaced), 1u);
}

TEST(Placement, IsNotHeldUpByManyStagesThatNoNodeCouldHold) {
  World w;
  w.node(4);
  for (int n = 0; n < 100; ++n) w.submit(sweep(1, 8));
  const JobId possible = w.submit(sweep(1));
  w.place();
  EXPECT_EQ(w.count(possible, TaskState::kPlaced), 1u);
}

TEST(Placement, IsNotHeldUpByManyStagesThatWaitForAnotherPool) {
  World w;
  w.pool("a");
  w.pool("b");
  w.node(2);
  w.node_of(w.state.pool_named("b")->id, 2);
  const auto in = [](const char* pool) {
    JobSpec job = sweep(2);
    job.pools = {pool};
    return job;
  };
  for (int n = 0; n < 100; ++n) w.submit(in("a"));
  const JobId other = w.submit(in("b"));
  w.place();
  EXPECT_EQ(w.count(other, TaskState::kPlaced), 2u);
}

// As many tasks wait as the first pool has nodes: they need nothing of the second.
TEST(Placement, KeepsNoMoreNodesThanThereAreTasks) {
  World w;
  w.pool("a");
  w.pool("b");
  w.node(2);
  w.node_of(w.state.pool_named("b")->id, 2);
  w.submit(sweep(4));
  w.place();
  w.submit(sweep(1, 2));  // needs a whole node, and waits for the first pool's
  const JobId small = w.submit(sweep(1));
  const RunSet runs = w.starts().back().runs;
  const NodeRef second{NodeId{2}, w.state.node(NodeId{2})->ref.epoch};
  w.end(second, {runs.stage, 1, IndexList(Stride{runs.indices.at(0), 1, 1})});
  w.place();
  EXPECT_EQ(w.count(small, TaskState::kPlaced), 1u);
}

TEST(Placement, QueuesAheadByTheMeasuredDuration) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(sweep(100'000));
  w.place();
  const auto first = w.starts();
  EXPECT_EQ(first.at(0).runs.indices.size(), 2u);  // nothing is known yet
  RunRow row;
  row.duration_us = 999;
  w.end(node, first[0].runs, row);
  w.place();
  const std::uint64_t placed = w.count(job, TaskState::kPlaced);
  EXPECT_EQ(placed, 2u + 2u * 200u);
  EXPECT_EQ(w.state.node(node)->allotments.begin()->second.claims, 2u);
}

TEST(Placement, QueuesNothingAheadOfLongTasks) {
  World w;
  const NodeRef node = w.node(1);
  w.submit(sweep(100));
  w.place();
  RunRow row;
  row.duration_us = 2'000'000;
  w.end(node, w.starts().at(0).runs, row);
  w.place();
  EXPECT_EQ(w.starts().at(0).runs.indices.size(), 1u);
}

TEST(Placement, AsksForQueuedTasksBackWhenANodeIdles) {
  World w;
  const NodeRef busy = w.node(1);
  const JobId job = w.submit(sweep(8));
  RunRow row;
  row.duration_us = 30'000;
  // One node takes half of what is left at a time, until nothing waits.
  Index oldest = 0;
  for (w.place(); w.count(job, TaskState::kWaiting) > 0; w.place())
    w.end(busy, {{job, 0}, 1, IndexList(Stride{oldest++, 1, 1})}, row);
  const std::uint64_t queued = w.count(job, TaskState::kPlaced) - 1;
  ASSERT_GE(queued, 2u);
  EXPECT_TRUE(rebalance(w.state).empty());
  const NodeRef idle = w.node(1);
  const auto asked = rebalance(w.state);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].node, busy);
  EXPECT_EQ(asked[0].count, (queued + 1) / 2);
  RunRow back;
  back.outcome = Outcome::kWithdrawn;
  w.end(busy, {{job, 0}, 1, IndexList(Stride{7, 1, 1})}, back);
  w.starts();
  w.place();
  EXPECT_EQ(w.starts().at(0).node, idle);
}

TEST(Placement, HandlesStridesAndLists) {
  World w;
  w.node(3);
  JobSpec spec = sweep(1);
  spec.stages[0].indices = IndexList::parse("3,10-100:10,7").value();
  const JobId job = w.submit(spec);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded), 12u);
  w.check_replay();
}

}  // namespace
}  // namespace leat::core
