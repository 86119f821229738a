#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/sim/world.h"

// LEAT_SIM_SEEDS=N and LEAT_SIM_FIRST=S choose the seeds; docs/testing.md.

namespace leat::sim {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

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
  const std::uint64_t first = setting("LEAT_SIM_FIRST", 1);
  const std::uint64_t seeds = setting("LEAT_SIM_SEEDS", 50);
  World::Figures sum;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    World world(pipelines(seed));
    const auto complaints = world.run();
    ASSERT_TRUE(complaints.empty())
        << "seed " << seed << ": " << complaints.front() << " (and " << complaints.size() - 1
        << " more)\nreplay: LEAT_SIM_FIRST=" << seed
        << " LEAT_SIM_SEEDS=1 sim_test --gtest_filter=Stages.Come*";
    const World::Figures f = world.figures();
    sum.heads += f.heads;
    sum.agents += f.agents;
    sum.nodes += f.nodes;
    sum.launches += f.launches;
    sum.facts += f.facts;
  }
  std::printf(
      "%llu seeds: %llu heads, %llu agents and %llu nodes killed, %llu launches, "
      "%llu facts\n",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(sum.heads),
      static_cast<unsigned long long>(sum.agents), static_cast<unsigned long long>(sum.nodes),
      static_cast<unsigned long long>(sum.launches), static_cast<unsigned long long>(sum.facts));
}

}  // namespace
}  // namespace leat::sim
