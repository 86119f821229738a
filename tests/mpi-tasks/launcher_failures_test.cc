#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/mpi-tasks/gang_world.h"

namespace leat::mpi {
namespace {

GangPlan plan(NodeIndex nodes, std::uint32_t ranks, const std::string& what) {
  return {.nodes = nodes_of(nodes, ranks), .program = {LEAT_RANK_PROGRAM, what}, .node_cpus = 1};
}

// All launchers end with the same code and say the same, and nothing of the gang is left.
void expect_end(GangWorld& world, int code, const std::string& cause) {
  for (const LauncherEnd& end : world.wait()) {
    EXPECT_EQ(end.code, code) << end.error;
    EXPECT_NE(end.error.find("leat-mpi-launcher: " + cause + "\n"), std::string::npos) << end.error;
  }
  EXPECT_EQ(world.left_over(), "");
}

void expect_end(const GangPlan& gang, int code, const std::string& cause) {
  GangWorld world(gang);
  world.start();
  expect_end(world, code, cause);
}

TEST(LauncherFailures, AnAbortEndsAllNodesWithItsCode) {
  expect_end(plan(2, 2, "abort"), 7, "rank 3 on node node1 called MPI_Abort(7)");
  expect_end(plan(1, 2, "abort"), 7, "rank 1 on node node0 called MPI_Abort(7)");
}

TEST(LauncherFailures, ARankKilledInABarrierIsNamed) {
  expect_end(plan(2, 2, "killed"), 137, "rank 3 on node node1 was killed by signal 9 (SIGKILL)");
}

TEST(LauncherFailures, ARankThatLeavesBeforeInitIsNamedAndNotWaitedFor) {
  expect_end(plan(2, 1, "early"), 1,
             "rank 1 on node node1 exited without MPI_Init while other ranks called it");
  expect_end(plan(2, 1, "early-5"), 5, "rank 1 on node node1 exited with code 5");
}

TEST(LauncherFailures, ARankThatExitsWithoutFinalizeIsNamed) {
  expect_end(plan(2, 1, "unfinalized"), 1, "rank 1 on node node1 exited without MPI_Finalize");
}

TEST(LauncherFailures, AnExitCodeAfterFinalizeIsTheGangs) {
  expect_end(plan(1, 2, "late-3"), 3, "rank 0 on node node0 exited with code 3 after MPI_Finalize");
}

TEST(LauncherFailures, WhoIgnoresSigtermIsKilledAfterTheGrace) {
  GangPlan gang = plan(2, 1, "stubborn");
  gang.grace_ms = 300;
  expect_end(gang, 9, "rank 1 on node node1 called MPI_Abort(9)");
}

TEST(LauncherFailures, SigtermToOneLauncherEndsAll) {
  for (const NodeIndex node : {0u, 1u}) {
    GangWorld world(plan(2, 1, "wait"));
    world.start();
    for (const NodeIndex each : {0u, 1u})
      world.wait_for_output(each, "rank " + std::to_string(each) + " of 2");
    world.signal(node, SIGTERM);
    EXPECT_TRUE(world.has_ended(node, true));
    // Why this was done is not known here: the other ends its ranks, and waits to be told, too.
    while (world.processes().size() > 1) {
    }
    EXPECT_FALSE(world.has_ended(1 - node, false));
    world.signal(1 - node, SIGTERM);
    expect_end(world, 143, "ended by SIGTERM on node node" + std::to_string(node));
  }
}

TEST(LauncherFailures, WhoIsNeverToldToEndDoesSoAllTheSame) {
  GangPlan gang = plan(2, 1, "wait");
  gang.grace_ms = 100;
  GangWorld world(gang);
  world.start();
  world.wait_for_output(1, "rank 1 of 2");
  world.signal(1, SIGTERM);
  expect_end(world, 143, "ended by SIGTERM on node node1");
}

TEST(LauncherFailures, ALostLauncherEndsTheOthersAndItsRanksDieWithIt) {
  for (const NodeIndex lost : {0u, 1u}) {
    GangWorld world(plan(2, 1, "wait"));
    world.start();
    for (const NodeIndex each : {0u, 1u})
      world.wait_for_output(each, "rank " + std::to_string(each) + " of 2");
    world.signal(lost, SIGKILL);
    const std::vector<LauncherEnd> ends = world.wait();
    EXPECT_EQ(ends[lost].code, 128 + SIGKILL);
    EXPECT_EQ(ends[1 - lost].code, 1);
    EXPECT_NE(
        ends[1 - lost].error.find(lost == 0 ? "the connection to the hub on node node0 is lost"
                                            : "the launcher of node node1 is lost"),
        std::string::npos)
        << ends[1 - lost].error;
    world.wait_for_no_process();
    // Its directory is what a killed launcher cannot take with it.
    EXPECT_EQ(::access(world.private_directory(1 - lost).c_str(), F_OK), -1);
  }
}

TEST(LauncherFailures, WhatRanksLeaveBehindInTheBackgroundIsEnded) {
  GangPlan gang = plan(1, 2, "");
  gang.program = {"sh", "-c", "setsid tail -f /dev/null & tail -f /dev/null & exit 0"};
  GangWorld world(gang);
  EXPECT_EQ(world.run().at(0).code, 0);
  EXPECT_EQ(world.left_over(), "");
}

TEST(LauncherFailures, AProgramThatIsMissingEndsTheGangBeforeAnyRank) {
  char name[] = "/tmp/leat-program-XXXXXX";
  const std::string folder = ::mkdtemp(name);
  GangPlan gang = plan(2, 1, "");
  gang.program = {folder + "/app"};
  expect_end(gang, 127, folder + "/app: program not found on node node0");
  std::ofstream(folder + "/app") << "#!/bin/sh\n";
  expect_end(gang, 126, folder + "/app: is not an executable file on node node0");
  ::unlink((folder + "/app").c_str());
  ::rmdir(folder.c_str());
}

TEST(LauncherFailures, AnInterfaceThatIsNotThereEndsTheGangBeforeAnyRank) {
  GangPlan gang = plan(2, 1, "hello");
  gang.interfaces = "lo,no-such0";
  GangWorld world(gang);
  world.start();
  for (const LauncherEnd& end : world.wait()) {
    EXPECT_EQ(end.code, 1) << end.error;
    EXPECT_NE(end.error.find("leat-mpi-launcher: node node"), std::string::npos) << end.error;
    EXPECT_NE(end.error.find("no interface \"no-such0\" (there are "), std::string::npos)
        << end.error;
    EXPECT_NE(end.error.find(", which mpi_interfaces of the pool, or --mpi-interfaces of the job, "
                             "names\n"),
              std::string::npos)
        << end.error;
    EXPECT_EQ(end.out.find("rank "), std::string::npos) << end.out;
  }
  EXPECT_EQ(world.left_over(), "");
}

TEST(LauncherFailures, ANetworkThatANodeIsNotInEndsTheGang) {
  GangPlan gang = plan(1, 1, "hello");
  gang.interfaces = "198.51.100.0/24";
  GangWorld world(gang);
  const LauncherEnd end = world.run().at(0);
  EXPECT_EQ(end.code, 1);
  EXPECT_NE(end.error.find("node node0: no address in \"198.51.100.0/24\" (there are "),
            std::string::npos)
      << end.error;
  // What speaks PMI-1 does not use it.
  gang.mpi = MpiMode::kPmi1;
  gang.program = {"true"};
  EXPECT_EQ(GangWorld(gang).run().at(0).code, 0);
}

TEST(LauncherFailures, AGangThatIsNeverCompleteEndsInTime) {
  GangPlan gang = plan(3, 1, "hello");
  gang.registered_ms = 2000;
  GangWorld world(gang);
  world.start({0, 2});
  expect_end(world, 1, "no launcher was ready in time on node node1");
}

TEST(LauncherFailures, AHubThatCannotListenSaysWhere) {
  GangPlan gang = plan(2, 1, "hello");
  gang.hub_listens = true;
  gang.hub_host = "127.0.0.1";
  gang.listen_address = "192.0.2.1:7";  // nobody's
  GangWorld world(gang);
  world.start({0});
  const LauncherEnd end = world.wait().at(0);
  EXPECT_EQ(end.code, 1);
  EXPECT_NE(end.error.find("cannot listen at 192.0.2.1:7: Cannot assign requested address\n"),
            std::string::npos)
      << end.error;
  EXPECT_EQ(world.left_over(), "");
}

TEST(LauncherFailures, AHubThatIsNotThereIsGivenUp) {
  GangPlan gang = plan(2, 1, "hello");
  gang.registered_ms = 1000;
  GangWorld world(gang);
  world.start({1});
  const LauncherEnd end = world.wait().at(0);
  EXPECT_EQ(end.code, 1);
  EXPECT_NE(end.error.find("cannot reach the hub at 127.0.0.1:"), std::string::npos) << end.error;
  EXPECT_EQ(world.left_over(), "");
}

}  // namespace
}  // namespace leat::mpi
