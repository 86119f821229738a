#include "cli/job_gang.h"

#include <capnp/message.h>
#include <gtest/gtest.h>

#include "cli/job_options.h"

namespace leat::cli {
namespace {

using Launch = schema::GangSpec::Launch;
using Numbers = std::vector<std::uint32_t>;
using Words = std::vector<std::string>;

JobRequest request_of(Words words) {
  Surroundings surroundings;
  surroundings.directory = "/";
  surroundings.environment = {"PATH=/usr/bin:/bin"};
  JobOptions options;
  Arguments arguments;
  Words command;
  options.declare(arguments);
  arguments.rest("PROGRAM", command);
  words.insert(words.end(), {"--", "true"});
  (void)value_or_fail(arguments.parse(std::move(words)));
  return read_job_request(options.given(command), surroundings);
}

std::string refusal_of(const Words& words) {
  try {
    (void)request_of(words);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::kUsage);
    return failure.message;
  }
  return "none";
}

TEST(JobGang, IsLaidOutAsAsked) {
  struct Case {
    Words words;
    std::uint32_t nodes;
    Numbers ranks;
    std::uint32_t cores_per_rank;
    std::uint32_t millicores;
  };
  const Case cases[] = {
      {{"--mpi"}, 1, {1}, 1, 1000},
      {{"--mpi", "--ranks", "8"}, 1, {8}, 1, 8000},
      {{"--mpi", "--ranks-per-node", "4"}, 1, {4}, 1, 4000},
      {{"--mpi", "--nodes", "3"}, 3, {1}, 1, 1000},
      {{"--mpi", "--nodes", "2", "--ranks", "8"}, 2, {4}, 1, 4000},
      {{"--mpi", "--ranks", "8", "--ranks-per-node", "4"}, 2, {4}, 1, 4000},
      {{"--mpi", "--nodes", "2", "--ranks", "8", "--ranks-per-node", "4"}, 2, {4}, 1, 4000},
      {{"--mpi", "--ranks-per-node", "4,3,3"}, 3, {4, 3, 3}, 1, 4000},
      {{"--mpi", "--ranks-per-node", "4,3,3", "--ranks", "10"}, 3, {4, 3, 3}, 1, 4000},
      {{"--mpi", "--nodes", "2", "--ranks-per-node", "3,3"}, 2, {3}, 1, 3000},
      {{"--mpi", "--ranks", "4", "--cores-per-rank", "2"}, 1, {4}, 2, 8000},
      {{"--mpi", "--ranks", "4", "--cpus", "2"}, 1, {4}, 0, 2000},
      {{"--mpi", "--ranks", "4", "--cpus", "9", "--cores-per-rank", "2"}, 1, {4}, 2, 9000},
      {{"--gang"}, 1, {}, 1, 1000},
      {{"--gang", "--nodes", "2"}, 2, {}, 1, 1000},
      {{"--gang", "--nodes", "2", "--ranks-per-node", "4"}, 2, {4}, 1, 1000},
      {{"--gang", "--nodes", "2", "--ranks", "4", "--cpus", "3"}, 2, {2}, 1, 3000},
  };
  for (const Case& c : cases) {
    const std::string shown = testing::PrintToString(c.words);
    const JobRequest request = request_of(c.words);
    ASSERT_TRUE(request.gang.has_value()) << shown;
    EXPECT_EQ(request.gang->nodes, c.nodes) << shown;
    EXPECT_EQ(request.gang->ranks_per_node, c.ranks) << shown;
    EXPECT_EQ(request.gang->cores_per_rank, c.cores_per_rank) << shown;
    EXPECT_EQ(request.resources.millicores, c.millicores) << shown;
  }
}

TEST(JobGang, IsToldTheHeadWhole) {
  JobRequest request = request_of({"--array",
                                   "1-5",
                                   "--ranks-per-node",
                                   "2,1",
                                   "--mpi=pmi1",
                                   "--coordination",
                                   "echo",
                                   "--coordination-arg",
                                   "a b",
                                   "--coordination-arg",
                                   "--",
                                   "--bind",
                                   "spread",
                                   "--bind-to",
                                   "numa",
                                   "--mpi-interfaces",
                                   "eth0,10.0.0.0/8",
                                   "--exclusive",
                                   "--reduce",
                                   "cat"});
  capnp::MallocMessageBuilder message;
  fill_job_spec(request, message.initRoot<schema::JobSpec>());
  const schema::JobSpec::Reader spec = message.getRoot<schema::JobSpec>().asReader();
  EXPECT_TRUE(spec.getExclusive());
  const schema::StageSpec::Reader stage = spec.getStages()[0];
  EXPECT_EQ(stage.getIndices()[0].getCount(), 5u);
  EXPECT_EQ(stage.getMembers()[0].getCount(), 2u);
  EXPECT_EQ(stage.getMembers()[0].getSpread(), schema::Member::Spread::DISTINCT_NODES);
  EXPECT_EQ(stage.getMembers()[0].getResources().getMillicores(), 2000u);
  const schema::GangSpec::Reader gang = stage.getGang();
  EXPECT_EQ(gang.getLaunch(), Launch::PMI1);
  ASSERT_EQ(gang.getRanksPerNode().size(), 2u);
  EXPECT_EQ(gang.getRanksPerNode()[1], 1u);
  EXPECT_EQ(gang.getCoresPerRank(), 1u);
  EXPECT_EQ(gang.getBind(), schema::GangSpec::Bind::SPREAD);
  EXPECT_EQ(gang.getBindTo(), schema::GangSpec::BindTo::NUMA);
  ASSERT_EQ(gang.getCoordination().size(), 3u);
  EXPECT_EQ(gang.getCoordination()[1], "a b");
  EXPECT_EQ(gang.getCoordination()[2], "--");
  EXPECT_EQ(gang.getInterfaces(), "eth0,10.0.0.0/8");
  EXPECT_FALSE(stage.getProgram().getBindCores());
  // What reduces is a plain task.
  EXPECT_FALSE(spec.getStages()[1].hasGang());
  EXPECT_EQ(spec.getStages()[1].getMembers()[0].getCount(), 1u);
  EXPECT_EQ(spec.getStages()[1].getMembers()[0].getSpread(), schema::Member::Spread::ANY);
}

TEST(JobGang, IsLaunchedAsAsked) {
  EXPECT_EQ(request_of({"--mpi"}).gang->launch, Launch::MPI);
  EXPECT_EQ(request_of({"--mpi", "required"}).gang->launch, Launch::MPI_REQUIRED);
  EXPECT_EQ(request_of({"--mpi", "pmi1"}).gang->launch, Launch::PMI1);
  EXPECT_EQ(request_of({"--gang"}).gang->launch, Launch::APPLICATION);
  EXPECT_FALSE(request_of({"--nodes", "1"}).gang.has_value());
  EXPECT_TRUE(request_of({"--bind"}).bind_cores);
  EXPECT_TRUE(request_of({"--gang", "--bind"}).bind_cores);
}

TEST(JobGang, IsRefusedInOneLineThatSaysWhatWouldBeRight) {
  const std::pair<Words, std::string> cases[] = {
      {{"--nodes", "2"}, "--nodes 2: give --mpi or --gang too, it says what runs on them"},
      {{"--nodes", "0"}, "--nodes \"0\" is not a whole number from 1 to 4096"},
      {{"--ranks", "2"}, "--ranks 2: give --mpi or --gang too, it makes each task a gang"},
      {{"--ranks-per-node", "2"},
       "--ranks-per-node 2: give --mpi or --gang too, it makes each task a gang"},
      {{"--coordination", "true"},
       "--coordination true: give --mpi or --gang too, it makes each task a gang"},
      {{"--bind=spread"}, "--bind spread: give --mpi too, it starts what is bound so"},
      {{"--mpi", "--gang"},
       "--mpi and --gang: give one of them, either Leat starts ranks or the program does"},
      {{"--mpi=slurm"}, "--mpi \"slurm\" is none of required, pmi1"},
      {{"--mpi", "--bind=far"}, "--bind \"far\" is none of compact, spread, none"},
      {{"--mpi", "--bind-to", "die"}, "--bind-to \"die\" is none of core, numa, socket"},
      {{"--gang", "--bind-to", "core"},
       "--bind-to core: with --gang the program starts ranks itself: leave it out, or give --mpi "
       "instead"},
      {{"--mpi", "--ranks", "0"}, "--ranks \"0\" is not a whole number from 1 to 65536"},
      {{"--mpi", "--ranks-per-node", "0"},
       "--ranks-per-node \"0\" is not a whole number from 1 to 65536"},
      {{"--mpi", "--ranks-per-node", "4,0"},
       "--ranks-per-node \"0\" is not a whole number from 1 to 65536"},
      {{"--mpi", "--ranks-per-node", "4,"},
       "--ranks-per-node \"\" is not a whole number from 1 to 65536"},
      {{"--mpi", "--nodes", "3", "--ranks", "10"},
       "--ranks 10: cannot be shared alike by 3 nodes: give --ranks-per-node as a list, like "
       "4,3,3"},
      {{"--mpi", "--nodes", "9", "--ranks", "10"},
       "--ranks 10: cannot be shared alike by 9 nodes: give --ranks-per-node as a list, one "
       "number for each node"},
      {{"--mpi", "--nodes", "3", "--ranks", "2"},
       "--ranks 2: fewer than the 3 nodes: each has one rank at least"},
      {{"--mpi", "--ranks", "10", "--ranks-per-node", "4"},
       "--ranks 10: not a multiple of --ranks-per-node 4: give that as a list"},
      {{"--mpi", "--nodes", "2", "--ranks-per-node", "4,3,3"},
       "--ranks-per-node 4,3,3: 3 numbers for 2 nodes: give one for each, or one"},
      {{"--mpi", "--nodes", "2", "--ranks-per-node", "4", "--ranks", "9"},
       "--ranks 9: --ranks-per-node 4 on 2 nodes makes 8"},
      {{"--mpi", "--ranks-per-node", "4,3,3", "--ranks", "9"},
       "--ranks 9: --ranks-per-node 4,3,3 on 3 nodes makes 10"},
      {{"--mpi", "--nodes", "4096", "--ranks-per-node", "17"},
       "--ranks-per-node 17: 69632 ranks are more than the 65536 of a gang"},
      {{"--mpi", "--ranks", "65536", "--cores-per-rank", "4096"},
       "--cores-per-rank 4096: 65536 ranks need more cores than a node can have"},
      {{"--mpi", "--ranks", "4", "--cpus", "3", "--cores-per-rank", "1"},
       "--cpus 3: 4 ranks with 1 cores each need 4: leave --cores-per-rank out to have them share"},
      {{"--mpi", "--coordination-arg", "x"},
       "--coordination-arg: give --coordination PROG too, it is what takes it"},
      {{"--mpi", "--coordination", "no-such"},
       "--coordination no-such: no such program in PATH: give its path, like ./no-such"},
      {{"--mpi", "--mpi-interfaces", "eth0,"},
       "--mpi-interfaces \"eth0,\" is no list of interfaces: write names or networks, like "
       "eth0,10.0.0.0/8"},
      {{"--mpi", "--mpi-interfaces", "eth 0"},
       "--mpi-interfaces \"eth 0\" is no list of interfaces: write names or networks, like "
       "eth0,10.0.0.0/8"},
  };
  for (const auto& [words, message] : cases)
    EXPECT_EQ(refusal_of(words), message) << testing::PrintToString(words);
}

}  // namespace
}  // namespace leat::cli
