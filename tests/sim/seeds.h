#pragma once

// seeds.h - which seeds a simulation is run for, and what they came to.
//
// LEAT_SIM_SEEDS=N and LEAT_SIM_FIRST=S choose them; docs/testing.md.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace leat::sim {

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t count = 0;
};

// As the environment says; else `count` of them from 1.
Seeds seeds_or(std::uint64_t count);

// Runs each with `run`, which returns what was wrong, until one has something to complain of. That
// is a failure, and said with the line that runs it again; `test` is its name, as far as it takes.
void run_seeds(const Seeds& seeds, const std::string& test,
               const std::function<std::vector<std::string>(std::uint64_t seed)>& run);

// Runs virtual clusters and prints what they came to.
World::Figures run_worlds(const Seeds& seeds, const std::string& test,
                          const std::function<Plan(std::uint64_t seed)>& plan_of);

}  // namespace leat::sim
