#pragma once

// pool_rules.h - what pools and nodes do as time passes, and the numbers behind it.

#include <cstdint>

#include "base/time.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"

namespace leat::core {

// So many nodes in a row that do not join, or do not stay, and their pool is paused.
inline constexpr std::uint32_t kJoinFailuresMax = 3;
// A node that joined and is gone sooner counts as one that did not stay; one that is up for so long
// ends the row.
inline constexpr Duration kShortLife = std::chrono::seconds(10);
// Outputs that a reduce still needs keep a node so long after the deadline that a person gave it.
inline constexpr Duration kOutputsPatience = std::chrono::minutes(10);
// A paused pool tries one node after so long; then after twice that, up to the longest.
inline constexpr Duration kProbeFirst = std::chrono::seconds(5);
inline constexpr Duration kProbeLongest = std::chrono::minutes(5);
// Before runs that were recalled, and have not ended, are recalled once more.
inline constexpr Duration kRecallAgain = std::chrono::seconds(5);
// Nodes requested by one command at most.
inline constexpr std::uint32_t kNodesPerRequest = 64;
// Nodes closed by one fact at most; the rest follows with the next Tick.
inline constexpr std::size_t kNodesPerFact = 1024;

// What a node has done until `at`, for accounting.
struct NodeUse {
  std::uint64_t used_millicore_us = 0;  // by claims
  std::uint64_t busy_us = 0;            // with at least one claim
};
NodeUse use_of(const Node& node, Time at);

// Nothing is on the node that would go with it: no run, no output that may yet be read.
bool node_is_empty(const Node& node);

// Whether a node of the pool has joined after the last failure, and stayed.
bool has_settled(const State& state, const Pool& pool, Time at);

// Whether a closing node may be opened again for new work. Not one with another Open MPI than the
// node that its pool would get instead: with what comes later it might never make up a gang.
bool may_reopen(const Pool& pool, const Node& node);

// The name of a node's state for people: its duty, while it is up and does not serve.
const char* shown_state(const Node& node);

// Whom to close so that `count` nodes fewer are left, those first that cost least: nodes that have
// not come yet, then idle ones, then those with the fewest claims; the newest first.
std::vector<const Node*> choose_surplus(const State& state, PoolId pool, std::size_t count);

// Facts that give up `nodes`: what has not come is deleted, the rest is closed by `step`.
struct Parting {
  DutyStep step = DutyStep::kClose;
  std::string reason;
  Time recall_at = kNever;
  Principal actor;
  std::string key;
};
void part_with(const std::vector<const Node*>& nodes, const Parting& parting, Facts& out);

// What is due by now in every pool: nodes that did not join in time, nodes idle for too long, nodes
// that are closed and empty, runs to be recalled; pools to be paused, deleted, removed.
void keep_pools(const State& state, Time now, Facts& out);

}  // namespace leat::core
