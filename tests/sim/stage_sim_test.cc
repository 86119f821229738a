#include <gtest/gtest.h>

#include "tests/sim/seeds.h"

namespace leat::sim {
namespace {

Plan pipelines(std::uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.stages = true;
  plan.gangs = true;
  plan.jobs = 8;
  plan.tasks_max = 40;
  return plan;
}

TEST(Stages, ComeAfterEachOtherThroughEveryFault) {
  run_worlds(seeds_or(200), "Stages.Come", pipelines);
}

}  // namespace
}  // namespace leat::sim
