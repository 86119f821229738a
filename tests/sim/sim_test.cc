#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/world.h"

// LEAT_SIM_SEEDS=N and LEAT_SIM_FIRST=S choose the seeds; docs/testing.md.

namespace leat::sim {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::vector<std::string> complaints_of(const Plan& plan) {
  World world(plan);
  return world.run();
}

TEST(Simulation, LosesNothingAndCountsNothingTwice) {
  const std::uint64_t first = setting("LEAT_SIM_FIRST", 1);
  const std::uint64_t seeds = setting("LEAT_SIM_SEEDS", 50);
  World::Figures sum;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    Plan plan;
    plan.seed = seed;
    World world(plan);
    const auto complaints = world.run();
    const World::Figures f = world.figures();
    sum.heads += f.heads;
    sum.agents += f.agents;
    sum.nodes += f.nodes;
    sum.seals += f.seals;
    sum.launches += f.launches;
    sum.facts += f.facts;
    ASSERT_TRUE(complaints.empty())
        << "seed " << seed << ": " << complaints.front() << " (and " << complaints.size() - 1
        << " more)\nreplay: LEAT_SIM_FIRST=" << seed
        << " LEAT_SIM_SEEDS=1 sim_test --gtest_filter=Simulation.LosesNothing*";
  }
  std::printf(
      "%llu seeds: %llu heads, %llu agents and %llu nodes killed, %llu launches, "
      "%llu facts, %llu snapshots\n",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(sum.heads),
      static_cast<unsigned long long>(sum.agents), static_cast<unsigned long long>(sum.nodes),
      static_cast<unsigned long long>(sum.launches), static_cast<unsigned long long>(sum.facts),
      static_cast<unsigned long long>(sum.seals));
}

// A simulation that finds nothing proves nothing: each mutant must be caught within 50 seeds.
class Mutants : public testing::TestWithParam<Mutant> {};

TEST_P(Mutants, AreCaughtWithin50Seeds) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Plan plan;
    plan.seed = seed;
    // Only there nodes are told to go.
    if (GetParam() == Mutant::kEvacuateLater) plan = walk_plan(seed);
    plan.mutant = GetParam();
    const auto complaints = complaints_of(plan);
    if (!complaints.empty()) {
      std::printf("caught by seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  complaints.front().c_str());
      return;
    }
  }
  FAIL() << "50 seeds did not notice";
}

INSTANTIATE_TEST_SUITE_P(All, Mutants,
                         testing::Values(Mutant::kAcknowledgeEarly, Mutant::kCountStale,
                                         Mutant::kForgetEpoch, Mutant::kEvacuateLater),
                         [](const auto& test) {
                           switch (test.param) {
                             case Mutant::kAcknowledgeEarly:
                               return "AcknowledgeBeforeCommit";
                             case Mutant::kCountStale:
                               return "CountAStaleAttempt";
                             case Mutant::kEvacuateLater:
                               return "SayOutputsAreSafeTooEarly";
                             default:
                               return "DropTheEpochCheck";
                           }
                         });

TEST(Simulation, GivesTheSameStateForTheSameSeed) {
  Plan plan;
  plan.seed = 7;
  std::vector<std::uint64_t> digests;
  for (int n = 0; n < 2; ++n) {
    World world(plan);
    world.run();
    ASSERT_NE(world.head(), nullptr);
    digests.push_back(world.head()->state().digest());
    digests.push_back(world.figures().facts);
  }
  EXPECT_EQ(digests[0], digests[2]);
  EXPECT_EQ(digests[1], digests[3]);
}

}  // namespace
}  // namespace leat::sim
