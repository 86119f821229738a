#include "tests/sim/seeds.h"

#include <cstdio>
#include <cstdlib>

namespace leat::sim {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void add(World::Figures& sum, const World::Figures& more) {
  sum.heads += more.heads;
  sum.agents += more.agents;
  sum.nodes += more.nodes;
  sum.seals += more.seals;
  sum.launches += more.launches;
  sum.facts += more.facts;
  sum.machines += more.machines;
  sum.evacuations += more.evacuations;
}

}  // namespace

Seeds seeds_or(std::uint64_t count) {
  return {setting("LEAT_SIM_FIRST", 1), setting("LEAT_SIM_SEEDS", count)};
}

void run_seeds(const Seeds& seeds, const std::string& test,
               const std::function<std::vector<std::string>(std::uint64_t seed)>& run) {
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    const std::vector<std::string> complaints = run(seed);
    ASSERT_TRUE(complaints.empty())
        << "seed " << seed << ": " << complaints.front() << " (and " << complaints.size() - 1
        << " more)\nreplay: LEAT_SIM_FIRST=" << seed
        << " LEAT_SIM_SEEDS=1 sim_test --gtest_filter=" << test << '*';
  }
}

World::Figures run_worlds(const Seeds& seeds, const std::string& test,
                          const std::function<Plan(std::uint64_t seed)>& plan_of) {
  World::Figures sum;
  run_seeds(seeds, test, [&](std::uint64_t seed) {
    World world(plan_of(seed));
    std::vector<std::string> complaints = world.run();
    add(sum, world.figures());
    return complaints;
  });
  const auto shown = [](std::uint64_t number) { return std::to_string(number); };
  std::printf("%s\n", (shown(seeds.count) + " seeds: " + shown(sum.heads) + " heads, " +
                       shown(sum.agents) + " agents and " + shown(sum.nodes) + " nodes killed, " +
                       shown(sum.machines) + " machines made, " + shown(sum.evacuations) +
                       " brought their outputs away, " + shown(sum.launches) + " launches, " +
                       shown(sum.facts) + " facts, " + shown(sum.seals) + " snapshots")
                          .c_str());
  return sum;
}

}  // namespace leat::sim
