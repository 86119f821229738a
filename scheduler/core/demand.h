#pragma once

// demand.h - how many nodes a pool should have for the work that waits.

#include <cstdint>
#include <map>
#include <string>

#include "base/time.h"
#include "scheduler/core/state.h"

namespace leat::core {

// Stages looked at, in the order in which they would be placed; what is behind them waits its turn.
inline constexpr std::size_t kStagesWeighed = 1024;
// Those among them that no pool could grow for, or that fit now, cost less.
inline constexpr std::size_t kStagesLookedAt = 4096;

// Why a pool does not grow although work waits for it, or none.
enum class Growth : std::uint8_t {
  kEnough,   // nothing waits that a new node could take, but for nodes that are coming
  kGrows,    // `grow` nodes are to be requested
  kReopens,  // nodes that are being closed are opened again instead
  kFull,     // at its maximum
  kPaused,   // until the next probe
  kByHand,   // its nodes are started by hand
  kLeaving,  // it is being deleted
};

// A pool's books. Every node is in exactly one of the first seven; they add up to `have`.
struct PoolPlan {
  std::uint32_t serving = 0;
  std::uint32_t coming = 0;
  std::uint32_t lost = 0;
  std::uint32_t draining = 0;
  std::uint32_t closing = 0;
  std::uint32_t leaving = 0;
  std::uint32_t deleting = 0;
  std::uint32_t have = 0;
  std::uint32_t idle = 0;     // of those that serve
  std::uint32_t keeping = 0;  // of those that leave: they only keep outputs that are yet to be read
  std::uint64_t tasks = 0;    // that wait, fit, could start now, and are counted for this pool
  std::uint32_t needed = 0;   // nodes for these tasks, coming ones included
  std::uint32_t reopen = 0;   // closing nodes to be opened again
  std::uint32_t grow = 0;     // nodes to be requested now
  bool awaited = false;       // a gang waits for nodes that are there: none is closed for idling
  bool asleep = false;        // of one job alone, which has nothing that could run: no minimum
  Growth why = Growth::kEnough;
};

// The books of every pool. Demand is counted as tasks would be placed: in the order of the queue,
// each task once, in the first pool of its job that can hold it and may still grow; only what fits
// a node of the pool; nothing that fits a node that is free now, for it will be placed there.
std::map<PoolId, PoolPlan> plan_pools(const State& state, Time now);

// The books of a pool that does not exist: as if it were created now.
PoolPlan plan_for(const State& state, const PoolSpec& spec, Time now);

// What its next node is taken to have: as much as the newest that joined, for a machine may have
// less than was declared for it; before the first, what was declared. Nothing: nobody knows.
const std::optional<Resources>& shape_of(const Pool& pool);

// How many tasks of `stage` one node of the pool holds at a time: 0, if it can never hold one;
// nothing, if nobody knows yet what its nodes are like.
std::optional<std::uint64_t> tasks_per_node(const Pool& pool, const Job& job, const Stage& stage);

// How many nodes it is to have at least.
std::uint32_t least_of(const PoolSpec& spec, const PoolPlan& plan);

// One line for people: what the pool does and why.
std::string text_of(const PoolPlan& plan, const PoolSpec& spec);

}  // namespace leat::core
