#pragma once

// gangs_world.h - a small cluster with gangs on it.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/scheduler/core/pools_world.h"

namespace leat::core {

// An array of gangs, to be adorned.
inline JobSpec gangs(std::uint64_t tasks, std::uint32_t nodes, std::uint32_t cores = 1) {
  JobSpec spec = sweep(tasks, cores);
  spec.stages[0].nodes = nodes;
  spec.stages[0].gang = true;
  return spec;
}

inline JobSpec limited(JobSpec spec, Duration limit, Duration grace = seconds(0)) {
  for (StageSpec& stage : spec.stages) {
    stage.time_limit = limit;
    stage.grace = grace;
  }
  return spec;
}

inline RunRow exits(std::int32_t code) {
  RunRow row;
  row.code = code;
  return row;
}

inline RunRow ends(Outcome outcome) {
  RunRow row;
  row.outcome = outcome;
  return row;
}

struct Gangs : Pools {
  std::vector<NodeRef> nodes(std::size_t count, std::uint32_t cores) {
    std::vector<NodeRef> made;
    while (made.size() < count) made.push_back(node(cores));
    return made;
  }

  const Gang* gang(JobId job, std::uint64_t position = 0) const {
    return state.gang({job, 0}, position);
  }

  static RunSet run(JobId job, Attempt attempt = 1, Index index = 0) {
    return {{job, 0}, attempt, IndexList(Stride{index})};
  }

  // A member of the first gang of a job ends.
  void member(JobId job, NodeRef where, RunRow row = {}, Attempt attempt = 1) {
    end(where, run(job, attempt), row);
  }

  std::vector<EndRuns> ended_orders() {
    std::vector<EndRuns> orders;
    for (const Effect& effect : std::exchange(effects, {}))
      if (const auto* order = std::get_if<EndRuns>(&effect)) orders.push_back(*order);
    return orders;
  }

  // The reservations as they are when nothing more can be placed.
  std::vector<Reservation> reservations() {
    place();
    Placer placer(now);
    Facts none;
    EXPECT_FALSE(placer.next(state, none));
    return placer.reservations();
  }

  Cause only_cause(JobId job) const {
    const std::vector<Cause> causes = why(state, {job, 0}, std::nullopt, now);
    EXPECT_EQ(causes.size(), 1u);
    return causes.empty() ? Cause{} : causes[0];
  }
};

}  // namespace leat::core
