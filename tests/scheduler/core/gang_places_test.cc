// Where gangs are put, what is reserved for those that wait, and what pools grow by for them.

#include "scheduler/core/reservation.h"
#include "tests/scheduler/core/gangs_world.h"

namespace leat::core {
namespace {

TEST(GangPlacement, TakesTheNodesThatFitTightest) {
  Gangs w;
  w.nodes(2, 8);
  const auto small = w.nodes(2, 2);
  const JobId job = w.submit(gangs(1, 2, 2));
  w.place();
  EXPECT_EQ(w.gang(job)->nodes, small);
}

TEST(GangPlacement, TakesTheEmptiestNodesWhereAskedToSpread) {
  Gangs w;
  w.nodes(2, 2);
  const auto large = w.nodes(2, 8);
  JobSpec spec = gangs(1, 2, 2);
  spec.packing = Packing::kSpread;
  const JobId job = w.submit(spec);
  w.place();
  EXPECT_EQ(w.gang(job)->nodes, large);
}

TEST(GangPlacement, StaysInOnePool) {
  Gangs w;
  w.pool("a");
  w.pool("b");
  const auto pools = w.state.pools();
  w.node_of(pools.begin()->first, 1);
  w.node_of(std::next(pools.begin())->first, 1);
  const JobId job = w.submit(gangs(1, 2));
  EXPECT_EQ(w.place(), 0u);
  const NodeRef third = w.node_of(std::next(pools.begin())->first, 1);
  w.place();
  EXPECT_EQ(w.gang(job)->nodes.back(), third);
}

TEST(GangPlacement, PlacesSeveralOfAnArrayInOneTurnAndSharesNodes) {
  Gangs w;
  w.nodes(4, 2);
  const JobId job = w.submit(gangs(10, 2));
  EXPECT_EQ(w.place(), 4u);
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 4u);
  for (const auto& [id, node] : w.state.nodes()) EXPECT_EQ(node.free.millicores, 0u);
  w.check_replay();
}

TEST(GangPlacement, GivesAnExclusiveGangItsNodesAlone) {
  Gangs w;
  const auto nodes = w.nodes(2, 4);
  w.submit(sweep(1));
  w.place();
  JobSpec spec = gangs(1, 2);
  spec.stages[0].exclusive = true;
  const JobId job = w.submit(spec);
  EXPECT_EQ(w.place(), 0u);
  w.node(4);
  EXPECT_EQ(w.place(), 1u);
  for (const NodeRef node : w.gang(job)->nodes) EXPECT_EQ(w.state.node(node)->free.millicores, 0u);
}

TEST(GangPlacement, GivesUpAfterSoManyNodesThatAreTriedInVain) {
  for (const std::size_t misses :
       {CapacityIndex::kCandidatesMax - 1, CapacityIndex::kCandidatesMax}) {
    Gangs w;
    // Cores are free on all of them, memory on the last in their order alone.
    for (std::size_t n = 0; n <= misses; ++n) w.node(2, 1u << 20);
    JobSpec filler = sweep(misses);
    filler.stages[0].resources = {1, 1u << 20, 0, {}};
    w.submit(filler);
    w.place();
    JobSpec spec = gangs(1, 1);
    spec.stages[0].resources.memory_bytes = 1u << 20;
    const JobId job = w.submit(spec);
    w.place();
    const bool found = misses < CapacityIndex::kCandidatesMax;
    EXPECT_EQ(w.count(job, found ? TaskState::kPlaced : TaskState::kWaiting), 1u);
  }
}

TEST(Reservation, IsOfTheNodesThatAreFreeEarliest) {
  Gangs w;
  const auto nodes = w.nodes(3, 1);
  const Time start = w.now;
  for (const int limit : {30, 10, 20}) {
    w.submit(limited(sweep(1), seconds(limit), seconds(2)));
    w.place();
  }
  const JobId gang = w.submit(gangs(1, 2));
  const auto reserved = w.reservations();
  ASSERT_EQ(reserved.size(), 1u);
  EXPECT_EQ(reserved[0].stage, (StageRef{gang, 0}));
  EXPECT_EQ(reserved[0].nodes, (std::vector<NodeId>{nodes[1].id, nodes[2].id}));
  EXPECT_EQ(reserved[0].from, start + seconds(22));
}

TEST(Reservation, LetsInOnlyWhatIsOverByThen) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  const JobId running = w.submit(limited(sweep(1), seconds(20)));
  w.place();
  const JobId gang = w.submit(gangs(1, 2));
  const JobId unlimited = w.submit(sweep(1));
  const JobId longer = w.submit(limited(sweep(1), seconds(20), seconds(1)));
  const JobId fitting = w.submit(limited(sweep(1), seconds(15), seconds(5)));
  w.place();
  EXPECT_EQ(w.count(unlimited, TaskState::kWaiting), 1u);
  EXPECT_EQ(w.count(longer, TaskState::kWaiting), 1u);
  EXPECT_EQ(w.count(fitting, TaskState::kPlaced), 1u);
  EXPECT_EQ(w.reservations()[0].from, w.now + seconds(20));
  w.now = w.now + seconds(20);
  w.end(nodes[0], Gangs::run(running));
  w.end(nodes[1], Gangs::run(fitting));
  w.place();
  EXPECT_EQ(w.count(gang, TaskState::kPlaced), 1u);
}

TEST(Reservation, WithoutTimeLimitsKeepsTheNodesWholly) {
  Gangs w;
  const auto nodes = w.nodes(2, 2);
  const JobId running = w.submit(sweep(1, 2));
  w.place();
  const JobId gang = w.submit(gangs(1, 2));
  const JobId behind = w.submit(limited(sweep(9), seconds(1)));
  const auto reserved = w.reservations();
  ASSERT_EQ(reserved.size(), 1u);
  EXPECT_EQ(reserved[0].from, kNever);
  EXPECT_EQ(w.count(behind, TaskState::kWaiting), 9u);
  w.end(nodes[0], Gangs::run(running));
  w.place();
  EXPECT_EQ(w.count(gang, TaskState::kPlaced), 1u);
  EXPECT_EQ(w.count(behind, TaskState::kPlaced), 2u);
}

TEST(Reservation, LeavesOtherNodesToWhatIsBehind) {
  Gangs w;
  const auto nodes = w.nodes(3, 1);
  w.submit(limited(sweep(1), seconds(10)));
  w.submit(limited(sweep(1), seconds(90)));
  w.submit(limited(sweep(1), seconds(20)));
  w.place();
  w.submit(gangs(1, 2));
  const JobId behind = w.submit(sweep(1));
  w.end(nodes[1], {{JobId{2}, 0}, 1, IndexList(Stride{0})});
  w.place();
  // The node that has become free is the gang's now; the last to come is let go.
  EXPECT_EQ(w.count(behind, TaskState::kWaiting), 1u);
  w.end(nodes[2], {{JobId{3}, 0}, 1, IndexList(Stride{0})});
  w.place();
  w.end(nodes[0], {{JobId{1}, 0}, 1, IndexList(Stride{0})});
  w.place();
  EXPECT_EQ(w.count(behind, TaskState::kPlaced), 1u);
}

TEST(Reservation, IsNotStretchedByQueuesOnTheNode) {
  Gangs w;
  const auto nodes = w.nodes(2, 1);
  // So short that they are queued ahead.
  const JobId quick = w.submit(limited(sweep(5000), seconds(1)));
  w.place();
  RunRow row;
  row.duration_us = 1000;
  for (const StartRuns& start : w.starts()) w.end(start.node, start.runs, row);
  w.place();
  ASSERT_GT(queue_depth(*w.state.stage({quick, 0})), 10u);
  const Allotment& has = w.state.node(nodes[0])->allotments.at({quick, 0});
  ASSERT_GT(has.runs.size(), has.claims);
  EXPECT_EQ(has.until, w.now + seconds(static_cast<std::int64_t>(has.runs.size())));
  JobSpec first = gangs(1, 2);
  first.priority = 1;
  w.submit(first);
  const Time from = w.reservations().at(0).from;
  // The queue runs low, and is not filled beyond what is promised.
  for (const StartRuns& start : w.starts()) {
    const IntervalSet most(0, start.runs.indices.size() - 3);
    w.end(start.node, {start.runs.stage, start.runs.attempt, start.runs.indices.select(most)}, row);
  }
  w.now = w.now + seconds(1);
  const auto reserved = w.reservations();
  ASSERT_EQ(reserved.size(), 1u);
  EXPECT_LE(reserved[0].from, from);
}

TEST(Reservation, IsForTheFirstGangsOnly) {
  Gangs w;
  w.nodes(12, 1);
  w.submit(limited(sweep(12), seconds(100)));
  w.place();
  for (std::size_t n = 0; n < kReservationsMax + 2; ++n) w.submit(gangs(3, 2));
  const auto reserved = w.reservations();
  ASSERT_EQ(reserved.size(), kReservationsMax);
  std::set<NodeId> nodes;
  for (const Reservation& r : reserved) nodes.insert(r.nodes.begin(), r.nodes.end());
  EXPECT_EQ(nodes.size(), 2 * kReservationsMax);
}

TEST(Reservation, IsInThePoolThatIsFreeFirst) {
  Gangs w;
  w.pool("a");
  w.pool("b");
  const PoolId a = w.state.pools().begin()->first;
  const PoolId b = std::next(w.state.pools().begin())->first;
  for (const PoolId pool : {a, a, b, b}) w.node_of(pool, 1);
  JobSpec slow = limited(sweep(2), seconds(50));
  slow.pools = {"a"};
  w.submit(slow);
  JobSpec quick = limited(sweep(2), seconds(5));
  quick.pools = {"b"};
  w.submit(quick);
  w.place();
  w.submit(gangs(1, 2));
  EXPECT_EQ(w.reservations().at(0).pool, b);
}

TEST(Reservation, OfAGangThatNoPoolCouldHoldStandsInNobodysWay) {
  Gangs w;
  w.nodes(2, 1);
  w.submit(gangs(1, 3));
  const JobId behind = w.submit(sweep(2));
  EXPECT_TRUE(w.reservations().empty());
  EXPECT_EQ(w.count(behind, TaskState::kPlaced), 2u);
}

TEST(Reservation, YieldsToHigherPriority) {
  Gangs w;
  w.nodes(2, 1);
  w.submit(limited(sweep(1), seconds(10)));
  w.place();
  w.submit(gangs(1, 2));
  w.place();
  JobSpec urgent = sweep(1);
  urgent.priority = 1;
  const JobId first = w.submit(urgent);
  w.place();
  EXPECT_EQ(w.count(first, TaskState::kPlaced), 1u);
}

TEST(Reservation, ToldByWhyNamesTheTime) {
  Gangs w;
  w.nodes(3, 1);
  w.submit(limited(sweep(2), seconds(90)));
  w.place();
  const JobId job = w.submit(gangs(1, 2));
  w.place();
  const Cause busy = w.only_cause(job);
  EXPECT_EQ(std::string(busy.reason), "busy");
  EXPECT_EQ(busy.message,
            "it needs 2 nodes at once; in pool \"p\" 1 of the 3 nodes that could run it is free; "
            "nodes are reserved for it from 1970-01-01 00:01:31 UTC on (in 1m30s), or sooner; pool "
            "\"p\" requests 64 for 1 task that wait");
}

TEST(Reservation, ToldByWhyNamesWhatIsMissing) {
  Gangs w;
  w.nodes(2, 1);
  EXPECT_EQ(w.only_cause(w.submit(gangs(1, 3))).message,
            "it needs 3 nodes at once; in pool \"p\" 2 are up (0 coming, 0 lost); pool \"p\" "
            "requests 64 for 1 task that wait");
}

TEST(GangDemand, GrowsByWholeGangsBesideWhatIsFreeOrComing) {
  Gangs w;
  const PoolId pool = w.elastic(0, 10);
  w.submit(gangs(1, 4, 2));
  EXPECT_EQ(w.plan(pool).grow, 4u);
  auto nodes = w.grow(pool);
  ASSERT_EQ(nodes.size(), 4u);
  EXPECT_EQ(w.plan(pool).grow, 0u);
  for (std::size_t n = 0; n < 3; ++n) w.arrive(nodes[n]);
  EXPECT_EQ(w.place(), 0u);
  EXPECT_EQ(w.plan(pool).grow, 0u);
  w.arrive(nodes[3]);
  EXPECT_EQ(w.place(), 1u);
  // An array of two: one node of two cores holds one member each.
  w.submit(gangs(2, 3, 2));
  EXPECT_EQ(w.plan(pool).grow, 6u);
}

TEST(GangDemand, BuysNoPartOfAGangBeyondTheMaximum) {
  Gangs w;
  const PoolId pool = w.elastic(0, 5);
  w.submit(gangs(3, 2, 2));
  EXPECT_EQ(w.plan(pool).grow, 4u);
  EXPECT_EQ(w.plan(pool).tasks, 2u);
  // Smaller work may still have the last.
  w.submit(sweep(2));
  EXPECT_EQ(w.plan(pool).grow, 5u);
}

TEST(GangDemand, SharesNodesAmongGangsOfOneArray) {
  Gangs w;
  const PoolId pool = w.elastic(0, 10);
  w.submit(gangs(4, 2, 1));  // two members fit a node
  EXPECT_EQ(w.plan(pool).grow, 6u);
}

TEST(GangDemand, CompletesBusyNodesWhereTheMaximumLeavesNoOtherWay) {
  Gangs w;
  const PoolId pool = w.elastic(0, 4);
  w.submit(sweep(2, 2));
  w.grow_and_arrive(pool);
  w.place();
  w.submit(gangs(1, 4, 2));
  EXPECT_EQ(w.plan(pool).grow, 2u);
  const auto nodes = w.grow_and_arrive(pool);
  EXPECT_EQ(w.plan(pool).grow, 0u);
  w.place();
  // They wait with it for the others: nobody closes them for idling.
  w.pass(120);
  for (const NodeRef node : nodes) EXPECT_EQ(w.duty_of(node), NodeDuty::kServing);
  w.end_all();
  w.place();
  EXPECT_EQ(w.state.gangs().size(), 1u);
}

TEST(GangDemand, RefusesWhatThePoolCanNeverHold) {
  Gangs w;
  w.elastic(0, 4);
  EXPECT_EQ(w.refused(Submit{"g", {}, gangs(1, 5)}, Reason::kConflict),
            "a task needs 5 nodes at once; pool \"p\" has 4 at most: ask for fewer, or make it "
            "larger with leat pool resize");
  w.submit(gangs(1, 4));
  ChangePool smaller;
  smaller.pool = "p";
  smaller.max = 3;
  w.must(smaller);
  EXPECT_EQ(w.plan(w.state.pools().begin()->first).grow, 0u);
  // Single tasks wait until it is larger.
  smaller.max = 0;
  w.must(smaller);
  w.submit(sweep(1));
}

}  // namespace
}  // namespace leat::core
