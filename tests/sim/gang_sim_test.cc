#include <gtest/gtest.h>

#include "tests/sim/seeds.h"

namespace leat::sim {
namespace {

// Every third on a pool that grows and shrinks.
Plan mixed(std::uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.gangs = true;
  plan.walk = seed % 3 == 0;
  plan.jobs = plan.walk ? 5 : 10;
  plan.tasks_max = plan.walk ? 12 : 60;
  return plan;
}

TEST(Gangs, MixWithSingleTasksThroughEveryFault) {
  run_worlds(seeds_or(200), "Gangs.Mix", mixed);
}

}  // namespace
}  // namespace leat::sim
