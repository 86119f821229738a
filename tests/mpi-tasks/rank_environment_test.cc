#include "mpi-tasks/rank_environment.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace leat::mpi {
namespace {

RankSurroundings surroundings() {
  RankSurroundings around;
  around.memory_directory = "/dev/shm/x";
  around.rank_count = 8;
  return around;
}

std::string value(const Variables& variables, std::string_view name) {
  return std::string(value_of(variables, name));
}

TEST(RankEnvironment, KeepsEveryRankFromBeingAWorldOfItsOwn) {
  const Variables variables = rank_environment(surroundings(), {}, 3, 1);
  EXPECT_EQ(value(variables, "OMPI_MCA_schizo"), "ompi");
  EXPECT_EQ(value(variables, "OMPI_MCA_ess"), "pmi");
  EXPECT_EQ(value(variables, "OMPI_MCA_btl_vader_backing_directory"), "/dev/shm/x");
  EXPECT_EQ(value(variables, "OMPI_MCA_osc_sm_backing_directory"), "/dev/shm/x");
  EXPECT_EQ(value(variables, "LEAT_RANK"), "3");
  EXPECT_EQ(value(variables, "LEAT_LOCAL_RANK"), "1");
  EXPECT_EQ(value(variables, "LEAT_RANK_COUNT"), "8");
}

TEST(RankEnvironment, HidesASurroundingMpiJobButKeepsASchedulersVariables) {
  RankSurroundings around = surroundings();
  around.inherited = {"PMIX_RANK=7",       "PMI_FD=3",      "OMPI_MCA_btl=self", "PRTE_X=1",
                      "SLURM_JOBID=12345", "HOME=/home/us", "PMIXED=stays"};
  const Variables variables = rank_environment(around, {}, 0, 0);
  EXPECT_EQ(value(variables, "PMIX_RANK"), "");
  EXPECT_EQ(value(variables, "PMI_FD"), "");
  EXPECT_EQ(value(variables, "OMPI_MCA_btl"), "");
  EXPECT_EQ(value(variables, "PRTE_X"), "");
  EXPECT_EQ(value(variables, "SLURM_JOBID"), "12345");
  EXPECT_EQ(value(variables, "HOME"), "/home/us");
  EXPECT_EQ(value(variables, "PMIXED"), "stays");
}

TEST(RankEnvironment, TheUsersValuesWinButNotOverWhatPmixNeeds) {
  RankSurroundings around = surroundings();
  around.user = {"OMPI_MCA_mtl=psm2", "PMIX_RANK=9", "HOME=/mine"};
  around.inherited = {"HOME=/theirs"};
  const Variables variables = rank_environment(around, {"PMIX_RANK=0"}, 0, 0);
  EXPECT_EQ(value(variables, "OMPI_MCA_mtl"), "psm2");
  EXPECT_EQ(value(variables, "PMIX_RANK"), "0");
  EXPECT_EQ(value(variables, "HOME"), "/mine");
  EXPECT_EQ(
      std::ranges::count_if(variables, [](const auto& one) { return one.starts_with("HOME="); }),
      1);
}

TEST(RankEnvironment, LooksOftenForOtherNodesWhereThereAreAny) {
  RankSurroundings around = surroundings();
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_mpi_event_tick_rate"), "");
  around.several_nodes = true;
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_mpi_event_tick_rate"), "100");
}

TEST(RankEnvironment, YieldsOnlyWhereRanksShareCpus) {
  RankSurroundings around = surroundings();
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_mpi_yield_when_idle"), "");
  around.yields = true;
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_mpi_yield_when_idle"), "1");
}

TEST(RankEnvironment, LeavesOutPsmOnlyWithoutItsHardware) {
  RankSurroundings around = surroundings();
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_mtl"), "^ofi,psm,psm2");
  around.has_psm = true;
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_mtl"), "");
}

TEST(RankEnvironment, RestrictsTheInterfacesOnlyIfTold) {
  RankSurroundings around = surroundings();
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_btl_tcp_if_include"), "");
  around.interfaces = "eth1";
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_btl_tcp_if_include"), "eth1");
  EXPECT_EQ(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_oob_tcp_if_include"), "eth1");
}

TEST(RankEnvironment, GivesEveryGangATransportKeyOfItsOwn) {
  RankSurroundings around = surroundings();
  around.gang_word = 1;
  const std::string one =
      value(rank_environment(around, {}, 0, 0), "OMPI_MCA_orte_precondition_transports");
  EXPECT_EQ(one, "0000000000000001-9e3779b97f4a7c15");
  around.gang_word = 2;
  EXPECT_NE(value(rank_environment(around, {}, 0, 0), "OMPI_MCA_orte_precondition_transports"),
            one);
}

TEST(ApplicationEnvironment, MakesAnMpirunUseTheGangAndNoOtherScheduler) {
  RankSurroundings around = surroundings();
  around.place = place_variables("/x/hostfile", "a,b", 1, 2);
  around.inherited = {"SLURM_JOBID=4", "PBS_NODEFILE=n", "PMIX_RANK=3", "HOME=/h"};
  around.user = {"OMPI_MCA_plm_rsh_agent=mine", "LEAT_RSH_TOKEN=guessed", "SLURM_NODELIST=there"};
  const StarterTools tools{"/bin/leat-rsh", {"LEAT_RSH_TOKEN=secret"}, "/x/tmp", false};
  for (const bool remote : {false, true}) {
    const Variables variables = application_environment(around, tools, remote);
    EXPECT_EQ(value(variables, "SLURM_JOBID") + value(variables, "PBS_NODEFILE"), "");
    EXPECT_EQ(value(variables, "SLURM_NODELIST"), "");
    EXPECT_EQ(value(variables, "PMIX_RANK"), "");
    EXPECT_EQ(value(variables, "HOME"), "/h");
    EXPECT_EQ(value(variables, "OMPI_MCA_plm_rsh_agent"), "mine");
    EXPECT_EQ(value(variables, "OMPI_MCA_orte_default_hostfile"), "/x/hostfile");
    EXPECT_EQ(value(variables, "LEAT_RSH_TOKEN"), "secret");
    EXPECT_EQ(value(variables, "LEAT_HOST_LIST"), "a,b");
    EXPECT_EQ(value(variables, "LEAT_IS_PRIMARY"), "0");
    EXPECT_EQ(value(variables, "TMPDIR"), "/x/tmp");
    EXPECT_EQ(value(variables, "OMPI_MCA_btl_vader_backing_directory"), remote ? "/dev/shm/x" : "");
    EXPECT_EQ(value(variables, "OMPI_ALLOW_RUN_AS_ROOT"), "");
  }
}

}  // namespace
}  // namespace leat::mpi
