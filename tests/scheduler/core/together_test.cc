// What pools, waits, resources and reduces do to each other.

#include "base/labels.h"
#include "tests/scheduler/core/pools_world.h"

namespace leat::core {
namespace {

RunRow failure() {
  RunRow row;
  row.outcome = Outcome::kExit;
  row.code = 1;
  return row;
}

RunSet one(JobId job, Index index, Attempt attempt = 1, StageId stage = 0) {
  return {{job, stage}, attempt, IndexList(Stride{index, 1, 1})};
}

JobSpec wanting(JobSpec spec, std::string_view label) {
  spec.labels = {parse_requirement(label).value()};
  return spec;
}

TEST(Together, ATaskCancelledTooLateIsNotWaitedForByItsReduce) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(with_reduce(sweep(2), 2));
  w.place();
  w.must(Cancel{{}, {}, job, 0, IndexList(Stride{1, 1, 1})});
  w.end(node, one(job, 0));
  // It had succeeded before the order came.
  w.end(node, one(job, 1));
  w.place();
  EXPECT_FALSE(w.state.job(job)->active());
  EXPECT_EQ(w.count(job, TaskState::kCancelled), 1u);
  w.check_replay();
}

TEST(Together, DemandBelievesWhatJoinedNodesSayOfThemselves) {
  Pools w;
  const PoolId pool = w.elastic(0, 8);
  w.submit(wanting(sweep(1), kMemoryLimitLabel));
  EXPECT_EQ(w.plan(pool).grow, 1u);  // nobody knows yet
  w.grow_and_arrive(pool);
  EXPECT_EQ(w.plan(pool).grow, 0u);
  EXPECT_EQ(w.plan(pool).needed, 0u);
  w.check_replay();
}

TEST(Together, APoolForOneJobIsNotMadeWhileTheJobWaitsForAnother) {
  Pools w;
  const NodeRef node = w.node(1);
  const JobId first = w.submit(sweep(1));
  JobSpec then = sweep(4);
  then.stages[0].after = {After{first, false, Condition::kSuccess}};
  PoolSpec own{"own", "local", {3, 3}, Resources{2000, 0, 0}, {}};
  const auto second = std::get<JobId>(w.must(Submit{"s", {}, then, own}));
  const PoolId pool = w.state.own_pool(second)->id;
  EXPECT_EQ(w.plan(pool).grow, 0u);
  w.place();
  w.end(node, one(first, 0));
  w.place();
  EXPECT_EQ(w.plan(pool).grow, 3u);
  const std::vector<NodeRef> nodes = w.grow_and_arrive(pool);
  w.must(HoldJob{{}, {}, second});
  w.pass(400);
  for (const NodeRef ref : nodes) {
    EXPECT_NE(w.state_of(ref), NodeState::kUp);
    w.must(ProveGone{ref, "it was ended"});
  }
  w.must(ReleaseJob{{}, {}, second});
  EXPECT_EQ(w.plan(pool).needed, 2u);
}

TEST(Together, APoolGrowsForAJobThatOnlyKeptNodesCouldTake) {
  Pools w;
  w.must(SetPool{{}, {}, PoolSpec{"a", "local", 1, std::nullopt, {}}});
  const NodeRef busy = w.node(2);
  JobSpec wide = sweep(1, 2);
  wide.pools = {"a"};
  w.submit(sweep(1));
  w.place();
  w.submit(wide);  // the node is kept for it
  const PoolId other = w.elastic(0, 4, "b");
  w.submit(sweep(1));
  EXPECT_EQ(w.place(), 0u);
  EXPECT_EQ(w.plan(other).grow, 1u);
  EXPECT_EQ(w.state_of(busy), NodeState::kUp);
}

TEST(Together, TheLeasesOfALostNodeEndHoweverManyTasksAreDelayed) {
  World w;
  const NodeRef lost = w.node(1);
  const JobId waits = w.submit(sweep(1));
  w.place();
  const NodeRef node = w.node(400);
  std::vector<JobId> jobs;
  for (int n = 0; n < 300; ++n) {
    JobSpec spec = sweep(1);
    spec.stages[0].retries = 9;
    spec.stages[0].retry_delay = {std::chrono::minutes(6), 1000, {}};
    jobs.push_back(w.submit(spec));
  }
  w.place();
  w.must(LoseNode{lost});
  for (const JobId job : jobs) w.end(node, one(job, 0), failure());
  w.now = w.now + std::chrono::minutes(7);
  w.must(Tick{});
  EXPECT_EQ(w.count(waits, TaskState::kWaiting), 1u);
  for (const JobId job : jobs) EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
}

TEST(Together, ALargeJobInManyPiecesIsCancelledByManyFacts) {
  World w;
  const std::uint64_t tasks = 3 * 2 * kIntervalsPerWait;
  const NodeRef node = w.node(static_cast<std::uint32_t>(tasks));
  JobSpec spec = sweep(tasks);
  spec.stages[0].retries = 1;
  spec.stages[0].retry_delay = {std::chrono::hours(1), 1000, {}};
  const JobId job = w.submit(spec);
  w.place();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, tasks / 2, 2})}, failure());
  ASSERT_EQ(w.count(job, TaskState::kDelayed), tasks / 2);
  const std::size_t before = w.log.size();
  w.must(Cancel{{}, {}, job, 0, {}});
  EXPECT_EQ(w.count(job, TaskState::kCancelled), tasks / 2);
  std::size_t facts = 0;
  for (std::size_t n = before; n < w.log.size(); ++n)
    if (const auto* aside = std::get_if<TasksSetAside>(&w.log[n].first)) {
      ++facts;
      EXPECT_LE(aside->indices.strides().size(), kIntervalsPerWait);
    }
  EXPECT_EQ(facts, 3u);
}

TEST(Together, NodesHaveTheLabelsOfTheirPoolWhoeverStartedThem) {
  World w;
  w.must(SetPool{{}, {}, PoolSpec{"lab", "static", {2, 2}, std::nullopt, {"fast"}}});
  const NodeRef node = w.node_of(w.state.pools().begin()->first, 1);
  EXPECT_EQ(w.state.node(node)->report.labels, std::vector<std::string>{"fast"});
  const JobId job = w.submit(wanting(sweep(1), "fast"));
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
}

TEST(Together, ALabelThatNoPoolOfTheJobHasIsRefused) {
  Pools w;
  w.elastic(0, 4);
  JobSpec spec = wanting(sweep(1), "slow");
  // Another pool may yet be made.
  w.must(Submit{"any", {}, spec});
  spec.pools = {"p"};
  EXPECT_EQ(w.refused(Submit{"p", {}, spec}, Reason::kConflict),
            "no node of pool \"p\" has the label slow: see its labels with leat pool show");
}

TEST(Together, APoolForOneJobHasANameOfItsOwn) {
  Pools w;
  const std::string next = std::to_string(w.state.meta().next_job);
  w.elastic(0, 4, "burst-" + next);
  const PoolSpec own{"burst", "local", {0, 3}, Resources{2000, 0, 0}, {}};
  EXPECT_EQ(w.refused(Submit{"s", {}, sweep(1), own}, Reason::kConflict),
            "a pool is named \"burst-" + next + "\" already: give the job's pool another name");
}

TEST(Together, OutputsOnANodeThatIsToGoAreReadByOneThatComesForThem) {
  Pools w;
  const PoolId pool = w.elastic(0, 1);
  const JobId job = w.submit(with_reduce(sweep(2), 2));
  const NodeRef node = w.grow_and_arrive(pool).at(0);
  w.place();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 2, 1})});
  w.must(RemoveNode{{}, {}, node.id, {Running::kComplete, {}}});
  const std::vector<NodeRef> more = w.grow_and_arrive(pool);
  ASSERT_EQ(more.size(), 1u);
  EXPECT_EQ(w.plan(pool).grow, 0u);
  w.starts();
  w.place();
  w.end(more[0], one(job, 0, 1, 1));
  w.place();
  w.pass(3);
  EXPECT_FALSE(w.state.job(job)->active());
  EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
}

TEST(Together, OutputsOfAHeldJobGiveWayToADeadlineInTheEnd) {
  Pools w;
  const PoolId pool = w.elastic(1, 4);
  const NodeRef node = w.grow_and_arrive(pool).at(0);
  const JobId job = w.submit(with_reduce(sweep(2), 2));
  w.place();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 2, 1})});
  w.must(HoldJob{{}, {}, job});
  ASSERT_EQ(w.count(job, TaskState::kHeld), 2u);
  w.must(RemoveNode{{}, {}, node.id, {Running::kRequeue, seconds(1)}});
  w.pass(60);
  EXPECT_EQ(w.state_of(node), NodeState::kUp);
  w.pass(600);
  EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
  w.must(ProveGone{node, "it was ended"});
  EXPECT_EQ(w.count(job, TaskState::kHeld), 0u);
  w.check_replay();
}

}  // namespace
}  // namespace leat::core
