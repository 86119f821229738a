#include <gtest/gtest.h>

#include <iostream>
#include <string>
#include <vector>

#include "tests/mpi-tasks/gang_world.h"

namespace leat::mpi {
namespace {

// Whether there is an MPICH to test with.
bool has_mpich() {
  const std::string program = LEAT_MPICH_PROGRAM;
  if (program.empty()) std::cerr << "no MPICH here: tools/setup unpacks one\n";
  return !program.empty();
}

GangPlan plan(NodeIndex nodes, std::uint32_t ranks, const std::string& what) {
  return {.nodes = nodes_of(nodes, ranks), .program = {LEAT_MPICH_PROGRAM, what}};
}

void expect_end(const GangPlan& gang, int code, const std::string& cause) {
  GangWorld world(gang);
  for (const LauncherEnd& end : world.run()) {
    EXPECT_EQ(end.code, code);
    EXPECT_NE(end.error.find("leat-mpi-launcher: " + cause + "\n"), std::string::npos) << end.error;
  }
  EXPECT_EQ(world.left_over(), "");
}

TEST(Mpich, RanksAreOneWorldWhetherAskedForOrNot) {
  if (!has_mpich()) return;
  for (const MpiMode mode : {MpiMode::kPmi1, MpiMode::kAutomatic, MpiMode::kRequired})
    for (const auto& [nodes, ranks] : {std::pair(1u, 2u), std::pair(2u, 2u)})
      for (const char* what : {"allreduce", "shared"}) {
        // The other modes differ only in whether there is a PMIx server as well.
        if (mode != MpiMode::kPmi1 && (nodes > 1 || what != std::string("shared"))) continue;
        GangPlan gang = plan(nodes, ranks, what);
        gang.mpi = mode;
        GangWorld world(gang);
        const std::vector<LauncherEnd> ends = world.run();
        for (NodeIndex node = 0; node < nodes; ++node) {
          EXPECT_EQ(ends[node].code, 0);
          EXPECT_EQ(ends[node].error, "");
          for (const Rank rank : gang.nodes[node].ranks) {
            const std::string& text = ends[node].rank_out.at(rank);
            EXPECT_TRUE(text.starts_with("rank " + std::to_string(rank) + " of " +
                                         std::to_string(nodes * ranks) + "\n"))
                << text;
            if (what == std::string("shared")) {
              EXPECT_NE(text.find("node of " + std::to_string(ranks)), std::string::npos) << text;
            }
          }
        }
        EXPECT_EQ(world.left_over(), "");
      }
}

TEST(Mpich, FailuresAreNamedAsThoseOfOthers) {
  if (!has_mpich()) return;
  expect_end(plan(2, 1, "abort"), 7, "rank 1 on node node1 called MPI_Abort(7)");
  expect_end(plan(2, 1, "killed"), 137, "rank 1 on node node1 was killed by signal 9 (SIGKILL)");
  expect_end(plan(2, 1, "early"), 1,
             "rank 1 on node node1 exited without MPI_Init while other ranks called it");
  expect_end(plan(2, 1, "unfinalized"), 1, "rank 1 on node node1 exited without MPI_Finalize");
  expect_end(plan(1, 2, "late-3"), 3, "rank 0 on node node0 exited with code 3 after MPI_Finalize");
}

TEST(Mpich, AProgramWithoutMpiRunsWithAWarning) {
  GangPlan gang{.nodes = nodes_of(1, 1), .program = {"true"}};
  gang.mpi = MpiMode::kPmi1;
  expect_end(gang, 0, "warning: the rank never called MPI_Init");
}

}  // namespace
}  // namespace leat::mpi
