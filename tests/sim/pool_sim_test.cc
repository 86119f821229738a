#include <gtest/gtest.h>

#include "tests/sim/seeds.h"

namespace leat::sim {
namespace {

TEST(PoolWalk, LeaksDoublesAndKillsNothingAndLeavesNoNodeIdleBesideWork) {
  const Seeds seeds = seeds_or(200);
  const World::Figures sum = run_worlds(seeds, "PoolWalk.Leaks", walk_plan);
  if (seeds.count < 50) return;
  EXPECT_GT(sum.machines, seeds.count * 4);  // or the walk goes nowhere
  EXPECT_GT(sum.evacuations, seeds.count * 2);
}

}  // namespace
}  // namespace leat::sim
