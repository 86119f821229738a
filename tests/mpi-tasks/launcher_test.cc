#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/mpi-tasks/gang_world.h"

namespace leat::mpi {
namespace {

GangPlan plan(NodeIndex nodes, std::uint32_t ranks, const std::string& what) {
  return {.nodes = nodes_of(nodes, ranks), .program = {LEAT_RANK_PROGRAM, what}};
}

// Every rank has said once that it is one of `size`, on the right node.
void expect_one_world(const GangPlan& gang, const std::vector<LauncherEnd>& ends) {
  std::size_t size = 0;
  for (const GangNode& node : gang.nodes) size += node.ranks.size();
  for (NodeIndex node = 0; node < ends.size(); ++node) {
    EXPECT_EQ(ends[node].skipped, 0u);
    EXPECT_EQ(ends[node].rank_out.size(), gang.nodes[node].ranks.size());
    for (const Rank rank : gang.nodes[node].ranks) {
      const auto at = ends[node].rank_out.find(rank);
      ASSERT_NE(at, ends[node].rank_out.end()) << "rank " << rank << "\n" << ends[node].error;
      EXPECT_TRUE(at->second.starts_with("rank " + std::to_string(rank) + " of " +
                                         std::to_string(size) + "\n"))
          << at->second;
    }
  }
}

// Runs a gang that ends well, and returns what its launchers did.
std::vector<LauncherEnd> run_well(const GangPlan& gang) {
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  for (const LauncherEnd& end : ends) {
    EXPECT_EQ(end.code, 0) << end.error;
    EXPECT_EQ(end.error, "");
  }
  EXPECT_EQ(world.left_over(), "");
  return ends;
}

struct Shape {
  NodeIndex nodes;
  std::uint32_t ranks;
  std::uint32_t cpus;  // per node, as far as the launcher knows
};

class LauncherShapes : public testing::TestWithParam<Shape> {};

TEST_P(LauncherShapes, ReduceOverAllRanks) {
  GangPlan gang = plan(GetParam().nodes, GetParam().ranks, "allreduce");
  gang.node_cpus = GetParam().cpus;
  expect_one_world(gang, run_well(gang));
}

TEST_P(LauncherShapes, ShareMemoryWithinANode) {
  GangPlan gang = plan(GetParam().nodes, GetParam().ranks, "shared");
  gang.node_cpus = GetParam().cpus;
  const std::vector<LauncherEnd> ends = run_well(gang);
  expect_one_world(gang, ends);
  for (const LauncherEnd& end : ends)
    for (const auto& [rank, text] : end.rank_out)
      EXPECT_NE(text.find("node of " + std::to_string(GetParam().ranks)), std::string::npos)
          << text;
}

INSTANTIATE_TEST_SUITE_P(Nodes, LauncherShapes,
                         testing::Values(Shape{1, 2, 2}, Shape{2, 1, 1}, Shape{2, 2, 1},
                                         Shape{3, 8, 2}),
                         [](const auto& test) {
                           return std::to_string(test.param.nodes) + "x" +
                                  std::to_string(test.param.ranks);
                         });

TEST(Launcher, StartsRanksThatAreDealtOutInTurn) {
  GangPlan gang = plan(2, 2, "allreduce");
  gang.nodes = {{"even", {0, 2}}, {"odd", {1, 3}}};
  gang.node_cpus = 1;
  expect_one_world(gang, run_well(gang));
}

TEST(Launcher, ConnectsRanksThatFindEachOtherByName) {
  for (const auto& [nodes, ranks] : {std::pair(1u, 2u), std::pair(2u, 1u)}) {
    GangPlan gang = plan(nodes, ranks, "publish");
    gang.node_cpus = 1;
    expect_one_world(gang, run_well(gang));
  }
}

TEST(Launcher, SurvivesTheVariablesOfASurroundingSchedulerAndMpiJob) {
  GangPlan gang = plan(1, 2, "hello");
  gang.inherited = {"SLURM_JOBID=4",
                    "SLURM_NODELIST=here",
                    "PMIX_NAMESPACE=other",
                    "PMIX_RANK=5",
                    "PMI_FD=3",
                    "PMI_SIZE=7",
                    "OMPI_MCA_ess=singleton",
                    "PBS_JOBID=4",
                    "PMIX_SERVER_URI4=nobody;tcp4://127.0.0.1:1"};
  expect_one_world(gang, run_well(gang));
}

TEST(Launcher, ListensItselfAtAPortThatSomebodyKeepsForIt) {
  GangPlan gang = plan(2, 1, "hello");
  gang.hub_listens = true;
  expect_one_world(gang, run_well(gang));
}

TEST(Launcher, BindsEachRankToItsCpus) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  std::uint16_t cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) ++cpu;
  GangPlan gang = plan(1, 2, "");
  gang.program = {"grep", "Cpus_allowed_list", "/proc/self/status"};
  gang.cpus = {{cpu}, {}};
  GangWorld world(gang);
  const LauncherEnd end = world.run().at(0);
  EXPECT_EQ(end.rank_out.at(0), "Cpus_allowed_list:\t" + std::to_string(cpu) + "\n");
  if (CPU_COUNT(&allowed) > 1) {
    EXPECT_NE(end.rank_out.at(1), end.rank_out.at(0));
  }
}

TEST(Launcher, TellsWhereItsRanksAreAsTheSystemHasIt) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  std::vector<std::uint16_t> all;
  for (std::uint16_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) all.push_back(cpu);
  GangPlan gang = plan(1, 3, "wait");
  gang.node_cpus = 1;
  gang.cpus = {{all.back()}, {}, all};
  GangWorld world(gang);
  world.start();
  for (const char* const rank : {"rank 0 of", "rank 1 of", "rank 2 of"})
    world.wait_for_output(0, rank);
  std::map<std::uint32_t, std::vector<std::uint16_t>> bound;  // by process
  for (const pid_t pid : world.processes()) {
    cpu_set_t cpus;
    ASSERT_EQ(sched_getaffinity(pid, sizeof cpus, &cpus), 0);
    for (std::uint16_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &cpus)) bound[static_cast<std::uint32_t>(pid)].push_back(cpu);
  }
  world.signal(0, SIGTERM);
  const LauncherEnd end = world.wait().at(0);
  ASSERT_EQ(end.places.size(), 3u);
  for (Rank rank = 0; rank < 3; ++rank) {
    const spool::RankPlace& place = end.places[rank];
    EXPECT_EQ(place.rank, rank);
    EXPECT_EQ(place.host, "node0");
    ASSERT_TRUE(bound.contains(place.pid)) << place.pid;
    EXPECT_EQ(place.cpus, rank == 1 ? std::vector<std::uint16_t>() : bound.at(place.pid));
    if (rank != 1) {
      EXPECT_EQ(place.cpus, gang.cpus[rank]);
    }
  }
}

TEST(Launcher, RunsAProgramThatKnowsNothingOfMpiWithAWarning) {
  GangPlan gang = plan(2, 2, "");
  gang.program = {"sh", "-c", "echo rank $LEAT_RANK of $LEAT_RANK_COUNT; echo oops >&2"};
  GangWorld world(gang);
  const std::vector<LauncherEnd> ends = world.run();
  expect_one_world(gang, ends);
  for (const LauncherEnd& end : ends) {
    EXPECT_EQ(end.code, 0);
    EXPECT_NE(end.error.find("warning: none of the 4 ranks called MPI_Init"), std::string::npos);
    EXPECT_EQ(end.rank_error.begin()->second, "oops\n");
  }
  EXPECT_EQ(world.left_over(), "");
}

TEST(Launcher, RefusesSuchAProgramWhereMpiIsRequired) {
  GangPlan gang = plan(1, 2, "");
  gang.program = {"true"};
  gang.mpi = MpiMode::kRequired;
  GangWorld world(gang);
  const LauncherEnd end = world.run().at(0);
  EXPECT_EQ(end.code, 1);
  EXPECT_NE(end.error.find("none of the 2 ranks called MPI_Init"), std::string::npos);
}

TEST(Launcher, MergesTheOutputIfToldTo) {
  GangPlan gang = plan(1, 2, "hello");
  gang.plain = true;
  GangWorld world(gang);
  const LauncherEnd end = world.run().at(0);
  EXPECT_EQ(end.code, 0);
  EXPECT_TRUE(end.out == "rank 0 of 2\nrank 1 of 2\n" || end.out == "rank 1 of 2\nrank 0 of 2\n")
      << end.out;
  EXPECT_EQ(end.error, "");
}

TEST(Launcher, LosesNothingOfMuchOutputAndMixesNoRanks) {
  GangPlan gang = plan(1, 3, "");
  gang.program = {"sh", "-c", "yes $LEAT_RANK | head -c 3000000"};
  GangWorld world(gang);
  const LauncherEnd end = world.run().at(0);
  EXPECT_EQ(end.skipped, 0u);
  for (Rank rank = 0; rank < 3; ++rank) {
    const std::string& text = end.rank_out.at(rank);
    EXPECT_EQ(text.size(), 3'000'000u);
    EXPECT_EQ(text.find_first_not_of(std::to_string(rank) + "\n"), std::string::npos);
  }
}

TEST(Launcher, RegistersMapsOfSevenHundredNodes) {
  GangPlan gang = plan(700, 4, "hello");
  gang.registered_ms = 3000;
  GangWorld world(gang);
  world.start({0});
  const LauncherEnd end = world.wait().at(0);
  EXPECT_EQ(end.code, 1);
  // Had the maps been refused, that would be the reason; and node0 would be missing.
  EXPECT_NE(end.error.find("no launcher was ready in time on node node1, node2, node3, node4 and "
                           "695 more"),
            std::string::npos)
      << end.error;
  EXPECT_EQ(world.left_over(), "");
}

}  // namespace
}  // namespace leat::mpi
