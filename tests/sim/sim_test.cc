#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/seeds.h"

namespace leat::sim {
namespace {

std::vector<std::string> complaints_of(const Plan& plan) {
  World world(plan);
  return world.run();
}

TEST(Simulation, LosesNothingAndCountsNothingTwice) {
  run_worlds(seeds_or(50), "Simulation.LosesNothing", [](std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    return plan;
  });
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
