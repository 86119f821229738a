#pragma once

// mpi_versions.h - which Open MPI the nodes of a pool have, for people.

#include <string>

#include "scheduler/core/state.h"

namespace leat::core {

// If `node`, which has just joined, is the only one of its pool with what it has of Open MPI, be it
// none, or if as many have another version: what that is, and what others have. Else empty. Looks
// at kinds of nodes rather than at all.
std::string mpi_difference(const State& state, const Node& node);

}  // namespace leat::core
