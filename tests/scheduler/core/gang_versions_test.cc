// Gangs whose nodes must have something in common: ranks of one Open MPI.

#include "base/labels.h"
#include "scheduler/core/demand.h"
#include "scheduler/core/mpi_versions.h"
#include "scheduler/core/reservation.h"
#include "tests/scheduler/core/gangs_world.h"

namespace leat::core {
namespace {

constexpr const char* kOld = "40.30.4";
constexpr const char* kNew = "50.0.1";

JobSpec mpi(JobSpec spec) {
  for (StageSpec& stage : spec.stages)
    if (stage.gang) stage.in_common = kMpiLabel;
  return spec;
}

struct Versions : Gangs {
  // Joins, or joins again, with that Open MPI; with an empty `version` with none.
  void join_with(NodeRef ref, std::uint32_t cores, const std::string& version,
                 std::vector<std::string> labels = {}) {
    NodeReport report;
    report.node = ref;
    report.capacity = {cores * 1000, 0, 0};
    if (!version.empty()) labels.push_back(std::string(kMpiLabel) + "=" + version);
    report.labels = std::move(labels);
    must(JoinNode{report});
  }
  NodeRef node_with(const std::string& version, std::uint32_t cores = 1,
                    std::vector<std::string> labels = {}) {
    if (state.pools().empty()) pool();
    Hash token{};
    token[0] = static_cast<std::uint8_t>(state.meta().next_node & 0xff);
    const auto ref = std::get<NodeRef>(
        must(RequestNode{state.pools().begin()->first, token, now + Duration(1000)}));
    must(EnrolNode{token});
    join_with(ref, cores, version, std::move(labels));
    return ref;
  }
  std::vector<NodeRef> nodes_with(std::size_t count, const std::string& version,
                                  std::uint32_t cores = 1) {
    std::vector<NodeRef> made;
    while (made.size() < count) made.push_back(node_with(version, cores));
    return made;
  }
  void arrive_with(NodeRef ref, const std::string& version) {
    must(EnrolNode{state.node(ref)->token_hash});
    join_with(ref, 2, version);
  }
};

TEST(GangVersions, ArePutOnNodesOfOneVersionAlone) {
  Versions w;
  w.node_with(kNew);
  const NodeRef second = w.node_with(kOld);
  w.node_with("");
  const JobId job = w.submit(mpi(gangs(1, 2)));
  EXPECT_EQ(w.place(), 0u);
  const NodeRef last = w.node_with(kOld);
  EXPECT_EQ(w.place(), 1u);
  EXPECT_EQ(w.gang(job)->nodes, (std::vector<NodeRef>{second, last}));
  w.check_replay();
}

TEST(GangVersions, AreOfNoConcernToGangsThatStartTheirRanksThemselves) {
  Versions w;
  w.node_with(kNew);
  w.node_with(kOld);
  w.node_with("");
  w.submit(gangs(1, 3));
  EXPECT_EQ(w.place(), 1u);
}

TEST(GangVersions, AreChosenByWhatFitsTightest) {
  Versions w;
  w.nodes_with(2, kOld, 8);
  const auto small = w.nodes_with(2, kNew, 2);
  w.nodes_with(1, kOld, 2);
  const JobId job = w.submit(mpi(gangs(1, 2, 2)));
  w.place();
  EXPECT_EQ(w.gang(job)->nodes, small);
}

TEST(GangVersions, ArePlacedSeveralInOneTurnEachOnItsOwn) {
  Versions w;
  w.nodes_with(3, kOld, 2);
  w.nodes_with(2, kNew, 1);
  const JobId job = w.submit(mpi(gangs(9, 2)));
  // Of the old ones the third is left over, though there were free ones beside it.
  EXPECT_EQ(w.place(), 3u);
  for (std::uint64_t n = 0; n < 3; ++n) {
    std::set<std::string> labels;
    for (const NodeRef node : w.gang(job, n)->nodes)
      labels.insert(w.state.node(node)->report.labels[0]);
    EXPECT_EQ(labels.size(), 1u);
  }
}

TEST(GangVersions, AreToldApartAmongMoreKindsThanTheIndexKeeps) {
  Versions w;
  // Every node of a kind of its own: those beyond the limit are in one heap.
  for (std::size_t n = 0; n < CapacityIndex::kKindsMax + 9; ++n)
    w.node_with(n % 3 == 0 ? kNew : kOld, 1, {"rack=" + std::to_string(n)});
  const std::size_t all = CapacityIndex::kKindsMax + 9;
  const std::size_t fresh = (all + 2) / 3;
  const JobId too_large = w.submit(mpi(gangs(1, static_cast<std::uint32_t>(all - fresh + 1))));
  EXPECT_EQ(w.place(), 0u);
  EXPECT_EQ(w.only_cause(too_large).reason, std::string("versions"));
  const JobId first = w.submit(mpi(gangs(1, static_cast<std::uint32_t>(all - fresh))));
  const JobId second = w.submit(mpi(gangs(1, static_cast<std::uint32_t>(fresh))));
  EXPECT_EQ(w.place(), 2u);
  EXPECT_NE(w.gang(first), nullptr);
  EXPECT_NE(w.gang(second), nullptr);
}

TEST(GangVersions, ThatNoneHasEnoughOfStandInNobodysWay) {
  Versions w;
  w.nodes_with(2, kOld);
  w.nodes_with(1, kNew);
  w.submit(mpi(gangs(1, 3)));
  const JobId behind = w.submit(sweep(3));
  EXPECT_TRUE(w.reservations().empty());
  EXPECT_EQ(w.count(behind, TaskState::kPlaced), 3u);
}

TEST(GangVersions, AreReservedWhereEnoughOfOneAreFreeFirst) {
  Versions w;
  const auto old = w.nodes_with(2, kOld);
  const NodeRef only = w.node_with(kNew);
  for (const int limit : {30, 20}) {
    w.submit(limited(sweep(1), seconds(limit)));
    w.place();
  }
  ASSERT_EQ(w.state.node(only)->claimed, 0u);
  const JobId gang = w.submit(mpi(gangs(1, 2)));
  auto reserved = w.reservations();
  ASSERT_EQ(reserved.size(), 1u);
  EXPECT_EQ(reserved[0].nodes, (std::vector<NodeId>{old[0].id, old[1].id}));
  EXPECT_EQ(reserved[0].from, w.now + seconds(30));
  // What is free of another version is not kept.
  const JobId behind = w.submit(sweep(1));
  w.place();
  EXPECT_EQ(w.count(behind, TaskState::kPlaced), 1u);
  // Another of the new ones comes, and the first is used for as long as nobody knows.
  const NodeRef late = w.node_with(kNew);
  reserved = w.reservations();
  EXPECT_EQ(reserved.at(0).nodes, (std::vector<NodeId>{old[0].id, old[1].id}));
  w.end(only, Gangs::run(behind));
  w.place();
  EXPECT_EQ(w.gang(gang)->nodes, (std::vector<NodeRef>{only, late}));
}

TEST(GangVersions, AreDemandedOfTheStageThatIsAGangAlone) {
  Versions w;
  const NodeRef bare = w.node_with("");
  JobSpec spec = sweep(1);
  JobSpec ranks = mpi(gangs(1, 1));
  ranks.stages[0].after.push_back({{}, false, Condition::kSuccess, 0});
  spec.stages.push_back(ranks.stages[0]);
  const JobId job = w.submit(spec);
  EXPECT_EQ(w.place(), 1u);
  w.end(bare, Gangs::run(job));
  EXPECT_EQ(w.place(), 0u);
  const std::vector<Cause> causes = why(w.state, {job, 1}, std::nullopt, w.now);
  ASSERT_EQ(causes.size(), 1u);
  EXPECT_EQ(std::string(causes[0].reason), "labels");
  EXPECT_NE(causes[0].message.find("have the labels it requires: leat:mpi (leat:mpi: Open MPI"),
            std::string::npos)
      << causes[0].message;
  EXPECT_EQ(causes[0].remedy, "add nodes with these labels, or submit without --requires or --mpi");
  w.node_with(kOld);
  EXPECT_EQ(w.place(), 1u);
}

TEST(GangVersions, ToldByWhyAreNamedWithTheirNumbers) {
  Versions w;
  w.must(SetPool{{}, {}, PoolSpec{"p", kStaticProvider, 9, std::nullopt, {}}});
  w.nodes_with(2, kOld);
  w.nodes_with(1, kNew);
  const JobId job = w.submit(mpi(gangs(1, 3)));
  const Cause divided = w.only_cause(job);
  EXPECT_EQ(std::string(divided.reason), "versions");
  EXPECT_EQ(divided.message,
            "it needs 3 nodes of one Open MPI version; in pool \"p\" 2 have 40.30.4, 1 has 50.0.1; "
            "pool \"p\" waits for nodes to be started by hand: leat agent join");
  EXPECT_EQ(divided.remedy, "add nodes with the same Open MPI, or install one on all");
  // Enough of one, and busy.
  const NodeRef third = w.node_with(kOld);
  w.must(LoseNode{third});
  EXPECT_EQ(std::string(w.only_cause(job).reason), "versions");
  w.join_with(third, 1, kOld);
  JobSpec single = sweep(1);
  single.priority = 1;
  w.submit(single);
  w.place();
  const Cause busy = w.only_cause(job);
  EXPECT_EQ(std::string(busy.reason), "busy");
  EXPECT_TRUE(busy.message.starts_with(
      "it needs 3 nodes of one Open MPI version at once; of those in pool \"p\" that are free "
      "2 have 40.30.4, 1 has 50.0.1; nodes are kept for it"))
      << busy.message;
}

TEST(GangVersions, OfANodeThatComesBackAreThoseItHasNow) {
  Versions w;
  const NodeRef first = w.node_with(kOld);
  w.node_with(kNew);
  const JobId job = w.submit(mpi(gangs(1, 2)));
  EXPECT_EQ(w.place(), 0u);
  w.must(LoseNode{first});
  w.join_with(first, 1, kNew);
  EXPECT_EQ(w.place(), 1u);
  EXPECT_NE(w.gang(job), nullptr);
}

TEST(GangVersions, OfNewNodesAreBoughtUntilThereAreEnough) {
  Versions w;
  const PoolId pool = w.elastic(0, 10);
  w.submit(mpi(gangs(1, 2, 2)));
  for (const NodeRef node : w.grow(pool)) w.arrive_with(node, kOld);
  w.place();
  ASSERT_EQ(w.state.gangs().size(), 1u);
  w.submit(mpi(gangs(1, 3, 2)));
  // The pool's nodes have another Open MPI from now on.
  std::size_t bought = 0;
  for (int n = 0; n < 5; ++n) {
    for (const NodeRef node : w.grow(pool)) {
      w.arrive_with(node, kNew);
      ++bought;
    }
    w.place();
  }
  EXPECT_EQ(w.state.gangs().size(), 2u);
  EXPECT_EQ(bought, 3u);
}

TEST(GangVersions, ThatAreOldAreNotOpenedAgainButReplaced) {
  Versions w;
  const PoolId pool = w.elastic(0, 3);
  w.submit(mpi(gangs(1, 2, 2)));
  const auto old = w.grow(pool);
  ASSERT_EQ(old.size(), 2u);
  for (const NodeRef node : old) w.arrive_with(node, kOld);
  w.place();
  w.end_all();
  w.place();
  const JobId job = w.submit(mpi(gangs(1, 3, 2)));
  for (const NodeRef node : w.grow(pool)) w.arrive_with(node, kNew);
  EXPECT_EQ(w.place(), 0u);
  EXPECT_EQ(std::string(w.only_cause(job).reason), "versions");
  // All three idle, and no others may come: they go, and are replaced.
  for (int n = 0; n < 10 && w.state.gangs().empty(); ++n) {
    w.pass(60);
    std::vector<NodeRef> gone;
    for (const auto& [id, node] : w.state.nodes())
      if (node.state == NodeState::kDeleting) gone.push_back(node.ref);
    for (const NodeRef node : gone) w.must(ProveGone{node, "ended"});
    for (const NodeRef node : w.grow(pool)) w.arrive_with(node, kNew);
    w.place();
  }
  EXPECT_EQ(w.state.gangs().size(), 1u);
}

TEST(MpiVersions, AreToldOfEveryNodeThatDiffersFromMost) {
  Versions w;
  const auto told = [&w](NodeRef node) { return mpi_difference(w.state, *w.state.node(node)); };
  EXPECT_EQ(told(w.node_with(kOld)), "");
  EXPECT_EQ(told(w.node_with(kOld)), "");
  const NodeRef third = w.node_with(kNew);
  EXPECT_EQ(told(third),
            "node 3 has Open MPI 50.0.1; in pool \"p\" nodes 1, 2 have 40.30.4: the ranks of one "
            "program run on nodes of one version");
  EXPECT_NE(told(w.node_with(kNew)), "") << "as many have the other";
  EXPECT_EQ(told(w.node_with("")),
            "node 5 has no Open MPI; in pool \"p\" nodes 1, 2 have 40.30.4, nodes 3, 4 have "
            "50.0.1: no ranks are started on it");
  EXPECT_NE(told(w.node_with("")), "") << "it is not the first";
  for (int n = 0; n < 9; ++n) w.node_with(kOld);
  const NodeRef last = w.node_with("60");
  EXPECT_NE(told(last).find("nodes 12, 13, 14, 15 and 7 more have 40.30.4"), std::string::npos)
      << told(last);
  EXPECT_EQ(told(w.node_with(kOld)), "") << "as most";
}

TEST(MpiVersions, AreNotToldWhereNobodyHasAny) {
  Versions w;
  w.node_with("");
  EXPECT_EQ(mpi_difference(w.state, *w.state.node(w.node_with(""))), "");
  const NodeRef third = w.node_with(kOld);
  EXPECT_EQ(mpi_difference(w.state, *w.state.node(third)),
            "node 3 has Open MPI 40.30.4; in pool \"p\" nodes 1, 2 have none: the ranks of one "
            "program run on nodes of one version");
  EXPECT_EQ(mpi_difference(w.state, *w.state.node(w.node_with(kOld))), "") << "what others lack";
}

}  // namespace
}  // namespace leat::core
