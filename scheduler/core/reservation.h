#pragma once

// reservation.h - where, and by when, a gang will run that does not fit now.
//
// EASY backfill (Lifka, 1995): what is first in the queue and does not fit is promised the nodes
// that are free for it earliest. Others may use them meanwhile as far as their time limits say that
// they will be over by then. docs/decisions/0013.

#include <optional>
#include <vector>

#include "base/time.h"
#include "scheduler/core/state.h"

namespace leat::core {

// Nodes that one search for a reservation looks at; in a pool of more, the emptiest of them.
inline constexpr std::size_t kReservationLooks = 8'192;
static_assert(kReservationLooks >= kGangNodesMax);
// Gangs that nodes are reserved for in one turn: the first in the queue.
inline constexpr std::size_t kReservationsMax = 4;

struct Reservation {
  StageRef stage;  // for the first of its gangs
  PoolId pool;
  std::vector<NodeId> nodes;
  Time from = kNever;  // when they are all free at the latest; kNever: nobody knows
};

// When the node has room for a task of `stage`, as the time limits of what runs there go: `now` if
// it has it already, kNever if nobody knows.
Time free_at(const State& state, const Node& node, const StageSpec& stage, Time now);

// The nodes of one pool that a gang of this stage will have earliest, with the same of what they
// must have in common, none of them in `reserved`, to which they are added. None if no pool has
// nodes enough.
std::optional<Reservation> reserve_gang(const State& state, StageRef ref, Time now,
                                        Reserved& reserved);

}  // namespace leat::core
