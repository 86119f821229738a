#pragma once

// agent_core_words.h - short words for what a head says to an agent's core, for tests.

#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "node-agent/agent_core.h"

namespace leat::agent {

inline constexpr HeadEpoch kHead{7};
inline constexpr StageRef kStage{JobId{17}, 0};

inline Time at_ms(std::int64_t ms) {
  return Time{Duration(ms * 1000)};
}

inline IndexList list(std::string_view text) {
  return IndexList::parse(text).value();
}

inline std::shared_ptr<const StageSpec> spec_over(std::string_view indices) {
  StageSpec spec;
  spec.program.argv = {"/bin/true"};
  spec.indices = list(indices);
  return std::make_shared<const StageSpec>(std::move(spec));
}

inline RunResult exit_code(std::int32_t code) {
  RunResult result;
  result.code = code;
  return result;
}

// A core in session 1, and short words for what the head says.
struct Node {
  explicit Node(std::string_view indices = "0-999", std::uint32_t slots = 64)
      : spec(spec_over(indices)), core(slots) {
    EXPECT_EQ(core.on_joined(1, kHead), Verdict::kTaken);
  }

  StartBatch batch(std::string_view indices, std::uint32_t claims, Attempt attempt = 1) {
    StartSet set;
    set.runs = {kStage, attempt, list(indices), 0};
    set.claims = claims;
    set.spec = spec;
    set.task_count = spec->indices.size();
    return {kHead, 1, ++sequence, {set}};
  }
  Verdict start(std::string_view indices, std::uint32_t claims, Attempt attempt = 1) {
    return core.on_start(batch(indices, claims, attempt), now);
  }
  void end(std::string_view indices, Outcome why, Attempt attempt = 1) {
    const EndOrder order{{kStage, attempt, list(indices), 0}, why, Duration(1000)};
    EXPECT_EQ(core.on_end(kHead, {&order, 1}, now), Verdict::kTaken);
  }
  bool exit(Index index, Attempt attempt = 1, bool by_order = false) {
    return core.on_exit(run_id(kStage, attempt, index), exit_code(0), by_order, now).has_value();
  }
  std::vector<Index> launched() {
    std::vector<Index> indices;
    for (const Launch& launch : core.take_actions().launches) indices.push_back(launch.run.index);
    return indices;
  }

  std::shared_ptr<const StageSpec> spec;
  AgentCore core;
  Time now = at_ms(1000);
  std::uint64_t sequence = 0;
};

}  // namespace leat::agent
