// launcher_tree_test.cc - launchers that are connected as a tree.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "spool/rank_frames.h"
#include "tests/mpi-tasks/gang_world.h"

namespace leat::mpi {
namespace {

// Two are connected to each: of seven, nodes 3 to 6 to nodes 1 and 2; an eighth to node 3.
GangPlan narrow(NodeIndex nodes, const std::string& what) {
  return {.nodes = nodes_of(nodes, 1),
          .program = {LEAT_RANK_PROGRAM, what},
          .node_cpus = 1,
          .star_nodes = 2,
          .tree_width = 2};
}

// The same, with a program that knows nothing of MPI and does not end.
GangPlan idle(NodeIndex nodes) {
  GangPlan gang = narrow(nodes, "");
  gang.program = {"sh", "-c", "echo up; exec tail -f /dev/null"};
  return gang;
}

// As wide as it makes itself: nodes 4 to 6 are connected to node 1, node 7 to node 2. Its ranks
// speak PMI-1.
GangPlan wide(const std::string& end) {
  const std::string script =
      "say() { echo \"$1\" >&3; read -r heard <&3; }\n"
      "say 'cmd=init pmi_version=1 pmi_subversion=1'\n"
      "say \"cmd=put kvsname=any key=k$LEAT_RANK value=of-$LEAT_RANK\"\n"
      "say cmd=barrier_in\n"
      "say \"cmd=get kvsname=any key=k$((LEAT_RANK_COUNT - 1 - LEAT_RANK))\"\n"
      "echo \"$heard\"\n" +
      end;
  GangPlan gang{.nodes = nodes_of(8, 1), .program = {"sh", "-c", script}, .star_nodes = 7};
  gang.mpi = MpiMode::kPmi1;
  return gang;
}

void wait_for_all(GangWorld& world, NodeIndex nodes, const std::string& text) {
  for (NodeIndex node = 0; node < nodes; ++node) world.wait_for_output(node, text);
}

// All but the lost one end with 1, those that were connected to it because they miss it.
void expect_lost(GangWorld& world, NodeIndex lost, const std::vector<NodeIndex>& orphans) {
  const std::string name = "node" + std::to_string(lost);
  const std::vector<LauncherEnd> ends = world.wait();
  for (NodeIndex node = 0; node < ends.size(); ++node) {
    EXPECT_EQ(ends[node].code, node == lost ? 128 + SIGKILL : 1) << node;
    if (node == lost) continue;
    const bool orphan = std::ranges::find(orphans, node) != orphans.end();
    const std::string where = lost == 0 ? "hub on node " : "launcher of node ";
    const std::string cause = orphan ? "the connection to the " + where + name + " is lost\n"
                                     : "the launcher of node " + name + " is lost\n";
    EXPECT_NE(ends[node].error.find(cause), std::string::npos) << node << ": " << ends[node].error;
    // Its own is what a killed launcher cannot take with it.
    EXPECT_NE(::access(world.private_directory(node).c_str(), F_OK), 0);
  }
  world.wait_for_no_process();
}

TEST(LauncherTree, ReducesOverAllRanksTwoAndThreeConnectionsDeep) {
  for (const NodeIndex nodes : {4u, 8u}) {
    GangWorld world(narrow(nodes, "allreduce"));
    const std::vector<LauncherEnd> ends = world.run();
    for (NodeIndex node = 0; node < nodes; ++node) {
      EXPECT_EQ(ends[node].code, 0) << ends[node].error;
      EXPECT_EQ(ends[node].rank_out.at(node),
                "rank " + std::to_string(node) + " of " + std::to_string(nodes) + "\n");
    }
    EXPECT_EQ(world.left_over(), "");
  }
}

TEST(LauncherTree, ConnectsRanksThatFindEachOtherByName) {
  GangWorld world(narrow(6, "publish"));
  for (const LauncherEnd& end : world.run()) EXPECT_EQ(end.code, 0) << end.error;
  EXPECT_EQ(world.left_over(), "");
}

TEST(LauncherTree, TellsAllWhatEachHasPutThere) {
  GangWorld world(wide("say cmd=finalize"));
  const std::vector<LauncherEnd> ends = world.run();
  for (NodeIndex node = 0; node < ends.size(); ++node) {
    EXPECT_EQ(ends[node].code, 0) << node << ": " << ends[node].error;
    EXPECT_EQ(ends[node].rank_out.at(node),
              "cmd=get_result rc=0 msg=success value=of-" + std::to_string(7 - node) + "\n");
  }
  EXPECT_EQ(world.left_over(), "");
}

TEST(LauncherTree, EndsRanksThatHaveMetWithTheNodeThatIsLost) {
  GangWorld world(wide("exec tail -f /dev/null"));
  world.start();
  wait_for_all(world, 8, "value=of-");
  world.signal(1, SIGKILL);
  expect_lost(world, 1, {4, 5, 6});
}

TEST(LauncherTree, EndsWithTheNodeThatIsLostWhereverItIs) {
  for (const auto& [lost, orphans] : {std::pair(NodeIndex{1}, std::vector<NodeIndex>{3, 4, 7}),
                                      std::pair(NodeIndex{4}, std::vector<NodeIndex>{}),
                                      std::pair(NodeIndex{7}, std::vector<NodeIndex>{})}) {
    GangWorld world(idle(8));
    world.start();
    wait_for_all(world, 8, "up");
    world.signal(lost, SIGKILL);
    expect_lost(world, lost, orphans);
  }
}

TEST(LauncherTree, EndsIfTheHubIsLost) {
  GangWorld world(idle(8));
  world.start();
  wait_for_all(world, 8, "up");
  world.signal(0, SIGKILL);
  expect_lost(world, 0, {1, 2, 3, 4, 5, 6, 7});
}

TEST(LauncherTree, EndsAllWithTheCodeOfAnAbort) {
  GangWorld world(narrow(7, "abort"));
  for (const LauncherEnd& end : world.run()) {
    EXPECT_EQ(end.code, 7);
    EXPECT_NE(end.error.find("rank 6 on node node6 called MPI_Abort(7)\n"), std::string::npos)
        << end.error;
  }
  EXPECT_EQ(world.left_over(), "");
}

TEST(LauncherTree, EndsAllBySigtermToOne) {
  for (const NodeIndex node : {1u, 6u}) {
    GangWorld world(idle(7));
    world.start();
    wait_for_all(world, 7, "up");
    world.signal(node, SIGTERM);
    for (const LauncherEnd& end : world.wait()) {
      EXPECT_EQ(end.code, 143);
      EXPECT_NE(end.error.find("ended by SIGTERM on node node" + std::to_string(node) + "\n"),
                std::string::npos)
          << end.error;
    }
    EXPECT_EQ(world.left_over(), "");
  }
}

TEST(LauncherTree, WithoutOneInBetweenEndsInTimeAndNamesIt) {
  GangPlan gang = narrow(7, "hello");
  gang.registered_ms = 2000;
  GangWorld world(gang);
  world.start({0, 2, 3, 4, 5, 6});
  for (const LauncherEnd& end : world.wait()) {
    EXPECT_EQ(end.code, 1);
    EXPECT_NE(end.error.find("no launcher was ready in time on node node1\n"), std::string::npos)
        << end.error;
  }
  EXPECT_EQ(world.left_over(), "");
}

TEST(LauncherTree, HearsOfAFailureOnANodeThatWaitsForItsParent) {
  GangPlan gang = narrow(7, "hello");
  gang.registered_ms = 3000;
  GangWorld world(gang);
  ASSERT_EQ(::mkdir(world.private_directory(3).c_str(), 0700), 0);
  world.start({0, 2, 3, 4, 5, 6});
  for (const LauncherEnd& end : world.wait()) {
    EXPECT_EQ(end.code, 1);
    EXPECT_NE(end.error.find("cannot be made on node node3: File exists\n"), std::string::npos)
        << end.error;
  }
}

TEST(LauncherTree, CarriesCommandsToNodesThatAreFarAway) {
  GangPlan gang = narrow(8, "");
  gang.program = {"sh", "-c",
                  "for i in 1 2 3 4 5 6 7; do $LEAT_RSH node$i 'echo on $LEAT_NODE_INDEX; exit "
                  "5'; echo $?; done"};
  gang.application = true;
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  std::string expected;
  for (int node = 1; node < 8; ++node) expected += "on " + std::to_string(node) + "\n5\n";
  EXPECT_EQ(ends[0].rank_out.at(spool::kApplication), expected) << ends[0].error;
  EXPECT_EQ(world.left_over(), "");
}

}  // namespace
}  // namespace leat::mpi
