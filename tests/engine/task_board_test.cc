// What running tasks tell, and which of it counts.

#include "scheduler/engine/task_board.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/engine/fakes.h"

namespace leat::engine {
namespace {

struct World {
  World() {
    head.start();
    const PoolId pool = head.pool(10);
    node = head.request_node(pool);
    other = head.request_node(pool);
    session = head.join(node, 80);
  }
  const core::State& state() const { return head.engine.state(); }
  void tell(JobId job, Index index, std::uint16_t permille, Attempt attempt = 1) {
    board.take(state(), node, {{job, 0, attempt, index}, permille, "at work"});
  }
  void end(JobId job, Stride which, RunColumns columns = {}) {
    const core::RunSet runs{{job, 0}, 1, IndexList(which)};
    EXPECT_TRUE(
        head.ask(core::ReportEnded{node, session, {{runs, std::move(columns), std::nullopt}}})
            .ok());
  }
  std::size_t shown(JobId job) const { return board.of(state(), job).size(); }

  FakeHead head;
  NodeRef node;
  NodeRef other;
  std::uint64_t session = 0;
  TaskBoard board;
};

TEST(TaskBoard, ShowsTheNewestWordOfEachTheLastFirst) {
  World world;
  const JobId job = world.head.submit(4);
  world.tell(job, 0, 100);
  world.tell(job, 1, 200);
  world.tell(job, 0, 300);
  const auto words = world.board.of(world.state(), job);
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0].run.index, 0u);
  EXPECT_EQ(words[0].permille, 300);
  EXPECT_EQ(words[0].message, "at work");
  EXPECT_EQ(words[1].run.index, 1u);
}

TEST(TaskBoard, BelievesOnlyWhoTheTaskIsWith) {
  World world;
  const JobId job = world.head.submit(4);
  world.tell(job, 0, 100, 2);                // no such attempt yet
  world.tell(job, 4, 100);                   // nor task
  world.tell(JobId{job.value + 1}, 0, 100);  // nor job
  world.board.take(world.state(), world.other, {{job, 0, 1, 0}, 100, ""});
  world.board.take(world.state(), {world.node.id, NodeEpoch{world.node.epoch.value + 1}},
                   {{job, 0, 1, 0}, 100, ""});
  world.board.take(world.state(), world.node, {{job, 1, 1, 0}, 100, ""});
  EXPECT_EQ(world.board.size(), 0u);
}

TEST(TaskBoard, ShowsNothingOfARunThatIsOver) {
  World world;
  const JobId job = world.head.submit(4);
  for (Index i = 0; i < 4; ++i) world.tell(job, i, 100);
  world.end(job, {0, 1, 1});
  EXPECT_EQ(world.shown(job), 3u);
  // One is given back and placed anew: the word was of its first attempt.
  RunColumns columns;
  columns.outcome = Column<Outcome>(Outcome::kWithdrawn);
  world.end(job, {1, 1, 1}, columns);
  EXPECT_EQ(world.shown(job), 2u);
  world.tell(job, 1, 900);
  EXPECT_EQ(world.shown(job), 2u);
  world.tell(job, 1, 50, 2);
  EXPECT_EQ(world.shown(job), 3u);
  world.board.forget(job);
  EXPECT_EQ(world.board.size(), 0u);
}

TEST(TaskBoard, KeepsSoManyOfAJobAndNoMore) {
  World world;
  const JobId job = world.head.submit(TaskBoard::kPerJob + 10);
  for (Index i = 0; i < TaskBoard::kPerJob + 10; ++i) world.tell(job, i, 1);
  world.tell(job, 10, 2);  // the oldest of those that are left is the youngest now
  world.tell(job, 0, 3);
  const auto words = world.board.of(world.state(), job);
  ASSERT_EQ(words.size(), TaskBoard::kPerJob);
  EXPECT_EQ(world.board.size(), TaskBoard::kPerJob);
  EXPECT_EQ(words[0].run.index, 0u);
  EXPECT_EQ(words[1].run.index, 10u);
  EXPECT_EQ(words.back().run.index, 12u);
}

}  // namespace
}  // namespace leat::engine
