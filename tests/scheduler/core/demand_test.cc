// How many nodes a pool wants for the work that waits.

#include "tests/scheduler/core/pools_world.h"

namespace leat::core {
namespace {

TEST(Demand, IsCountedInNodesOfThePoolsShape) {
  Pools w;
  const PoolId pool = w.elastic(0, 10);
  EXPECT_EQ(w.plan(pool).grow, 0u);
  w.submit(sweep(5));
  EXPECT_EQ(w.plan(pool).needed, 3u);
  EXPECT_EQ(w.grow(pool).size(), 3u);
  // What is coming is not asked for twice.
  EXPECT_EQ(w.plan(pool).grow, 0u);
  EXPECT_EQ(w.grow(pool).size(), 0u);
  w.submit(sweep(2));
  EXPECT_EQ(w.grow(pool).size(), 1u);
  w.check_replay();
}

TEST(Demand, IsOneNodeForOneTaskAndNeverMoreThanTheMaximum) {
  Pools w;
  const PoolId pool = w.elastic(0, 4);
  w.submit(sweep(1));
  EXPECT_EQ(w.plan(pool).grow, 1u);
  w.submit(sweep(1'000'000'000));
  EXPECT_EQ(w.plan(pool).grow, 4u);
  EXPECT_EQ(w.grow(pool).size(), 4u);
  EXPECT_EQ(w.plan(pool).why, Growth::kFull);
}

TEST(Demand, LeavesOutWhatDoesNotFitANode) {
  Pools w;
  const PoolId small = w.elastic(0, 4, "small");
  PoolSpec spec{"large", "local", {0, 4}, Resources{8000, 0, 0}, {}};
  const auto large = std::get<PoolId>(w.must(SetPool{"k", {}, spec}));
  w.submit(sweep(3, 4));  // four cores each
  EXPECT_EQ(w.plan(small).needed, 0u);
  EXPECT_EQ(w.plan(large).needed, 2u);
}

TEST(Demand, FillsWhatIsLeftOnANodeBeforeItAsksForAnother) {
  Pools w;
  const PoolId pool = w.elastic(0, 10);
  w.submit(sweep(1));
  w.submit(sweep(1));
  w.submit(sweep(1));
  EXPECT_EQ(w.plan(pool).needed, 2u);
}

TEST(Demand, IsForOnePoolOnlyWhereAJobMayUseSeveral) {
  Pools w;
  const PoolId first = w.elastic(0, 2, "a");
  const PoolId second = w.elastic(0, 9, "b");
  JobSpec job = sweep(10);
  job.pools = {"b", "a"};
  w.submit(job);
  EXPECT_EQ(w.plan(second).needed, 5u);
  EXPECT_EQ(w.plan(first).needed, 0u);
  JobSpec other = sweep(100);
  other.pools = {"a", "b"};
  w.submit(other);
  EXPECT_EQ(w.plan(first).needed, 2u);
  EXPECT_EQ(w.plan(second).needed, 9u);
}

TEST(Demand, IsNoneForBlockedTasksAndForWhatFitsAFreeNode) {
  Pools w;
  const PoolId pool = w.elastic(1, 9);
  w.grow_and_arrive(pool);
  w.submit(with_reduce(sweep(2), 2));
  // It fits the free node: it will be placed there.
  EXPECT_EQ(w.plan(pool).grow, 0u);
  w.place();
  EXPECT_EQ(w.plan(pool).grow, 0u);
  EXPECT_EQ(w.plan(pool).tasks, 0u);
}

TEST(Demand, OfAPoolWhoseNodesNobodyHasSeenIsOneNode) {
  Pools w;
  PoolSpec spec{"p", "local", {0, 9}, std::nullopt, {}};
  const auto pool = std::get<PoolId>(w.must(SetPool{"k", {}, spec}));
  w.submit(sweep(100));
  ASSERT_EQ(w.grow_and_arrive(pool).size(), 1u);
  w.place();
  EXPECT_EQ(w.plan(pool).grow, 8u);  // 98 tasks, two to a node, at most nine nodes
}

// Declared: four cores and a GPU. What the nodes that join have is said with them.
struct Declared : Pools {
  Declared() {
    PoolSpec spec{"p", "local", {0, 20}, Resources{4000, 0, 1}, {}};
    pool = std::get<PoolId>(must(SetPool{"k", {}, spec}));
  }
  void arrive_with(NodeRef ref, Resources has) {
    must(EnrolNode{state.node(ref)->token_hash});
    NodeReport report;
    report.node = ref;
    report.capacity = std::move(has);
    must(JoinNode{report});
  }
  std::string why_text(JobId job) const {
    std::string text;
    for (const Cause& cause : why(state, {job, 0}, std::nullopt, now)) text += cause.message;
    return text;
  }

  PoolId pool;
};

TEST(Demand, CountsComingNodesByWhatTheNewestThatJoinedHas) {
  Declared w;
  w.submit(sweep(16));
  auto nodes = w.grow(w.pool);
  EXPECT_EQ(nodes.size(), 4u) << "as declared";
  w.arrive_with(nodes[0], {2000, 0, 1});
  w.place();
  // 14 tasks, two to a node: three are coming, and four more.
  EXPECT_EQ(w.plan(w.pool).needed, 7u);
  EXPECT_EQ(w.grow(w.pool).size(), 4u);
  EXPECT_EQ(w.grow(w.pool).size(), 0u);
  w.arrive_with(nodes[1], {8000, 0, 1});
  w.place();
  // Six tasks and one node with eight cores: nothing more is bought.
  EXPECT_EQ(w.plan(w.pool).needed, 1u);
  EXPECT_EQ(w.plan(w.pool).grow, 0u);
  w.check_replay();
}

TEST(Demand, BuysNoSecondNodeForWhatOnlyTheDeclarationHas) {
  Declared w;
  JobSpec spec = sweep(1);
  spec.stages[0].resources.gpus = 1;
  const JobId job = w.submit(spec);
  const auto nodes = w.grow(w.pool);
  ASSERT_EQ(nodes.size(), 1u);
  w.arrive_with(nodes[0], {4000, 0, 0});
  w.place();
  EXPECT_EQ(w.grow(w.pool).size(), 0u);
  EXPECT_NE(w.why_text(job).find("the newest that joined has"), std::string::npos)
      << w.why_text(job);
  // It idles and goes, and so it stays, until a node joins that has what was declared.
  w.pass(1000);
  EXPECT_EQ(w.duty_of(nodes[0]), NodeDuty::kClosing);
  w.must(ProveGone{nodes[0], "ended"});
  EXPECT_EQ(w.grow(w.pool).size(), 0u);
  EXPECT_NE(w.why_text(job).find("the newest that joined has"), std::string::npos)
      << w.why_text(job);
  w.must(ChangePool{"k", {}, "p", 1u, 20u, {}, {}, {}});
  const auto mended = w.grow(w.pool);
  ASSERT_EQ(mended.size(), 1u);
  w.arrive_with(mended[0], {4000, 0, 1});
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
}

TEST(Growth, OfAFullPoolWaitsForNodesThatAreOnTheWayOut) {
  Pools w;
  const PoolId pool = w.elastic(0, 1);
  w.submit(sweep(2));
  const auto nodes = w.grow_and_arrive(pool);
  w.place();
  w.end_all();
  w.pass(40);
  ASSERT_EQ(w.state_of(nodes[0]), NodeState::kDeleting);
  const JobId job = w.submit(sweep(2));
  EXPECT_EQ(w.grow(pool).size(), 0u) << "it is paid for until it is gone";
  const std::vector<Cause> causes = why(w.state, {job, 0}, std::nullopt, w.now);
  ASSERT_EQ(causes.size(), 1u);
  const std::string& text = causes[0].message;
  EXPECT_NE(text.find("maximum of 1, 1 of them on the way out (node 1 for "), std::string::npos)
      << text;
  w.must(ProveGone{nodes[0], "ended"});
  EXPECT_EQ(w.grow(pool).size(), 1u);
}

TEST(Demand, OfAPoolThatDoesNotExistIsAnsweredWithoutMakingIt) {
  Pools w;
  w.submit(sweep(7));
  PoolSpec spec{"p", "local", {1, 9}, Resources{2000, 0, 0}, {}};
  const PoolPlan plan = plan_for(w.state, spec, w.now);
  EXPECT_EQ(plan.grow, 4u);
  EXPECT_NE(text_of(plan, spec).find("7 tasks"), std::string::npos) << text_of(plan, spec);
  EXPECT_TRUE(w.state.pools().empty());
}

TEST(Growth, OfOnePoolHoldsUpNobodyInAnother) {
  Pools w;
  w.elastic(0, 1, "empty");
  const PoolId full = w.elastic(1, 1, "full");
  w.elastic(0, 1, "own");
  w.grow_and_arrive(full);
  JobSpec first = sweep(100);
  first.pools = {"empty"};
  for (int n = 0; n < 40; ++n) w.submit(first);
  first.pools = {"full"};
  for (int n = 0; n < 40; ++n) w.submit(first);
  w.place();
  const PoolId own = w.state.pool_named("own")->id;
  first.pools = {"own"};
  const JobId behind = w.submit(first);
  w.grow_and_arrive(own);
  w.place();
  EXPECT_GT(w.count(behind, TaskState::kPlaced), 0u);
}

TEST(Growth, KeepsTheMinimumWithoutWork) {
  Pools w;
  const PoolId pool = w.elastic(2, 5);
  ASSERT_EQ(w.grow_and_arrive(pool).size(), 2u);
  w.pass(100);
  EXPECT_EQ(w.plan(pool).serving, 2u);
}

TEST(Growth, IsOneFactForABatch) {
  Pools w;
  const PoolId pool = w.elastic(40, 40);
  const std::size_t before = w.log.size();
  EXPECT_EQ(w.grow(pool).size(), 40u);
  EXPECT_EQ(w.log.size(), before + 1);
  std::size_t created = 0;
  for (const Effect& effect : w.effects)
    created += std::holds_alternative<CreateNode>(effect) ? 1 : 0;
  EXPECT_EQ(created, 40u);
}

TEST(Growth, CountsLostNodesAsTheyMayComeBack) {
  Pools w;
  const PoolId pool = w.elastic(2, 2);
  const auto nodes = w.grow_and_arrive(pool);
  w.must(LoseNode{nodes[0]});
  EXPECT_EQ(w.grow(pool).size(), 0u);
  w.must(ProveGone{nodes[0], "pulled"});
  EXPECT_EQ(w.grow(pool).size(), 1u);
}

}  // namespace
}  // namespace leat::core
