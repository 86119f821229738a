#pragma once

// rank_binding.h - which processors each rank of a gang is bound to.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "node-agent/messages.h"
#include "node-agent/topology.h"

namespace leat::agent {

// Processors for each of `ranks` ranks, out of the cores a gang's member has on this node. Ranks
// get cores_per_rank cores each, or as many as there are for each: compact, those that follow
// each other; spread, runs of cores as far apart as they can be. Bound to a NUMA domain or a
// socket they may use all of the member's cores in those they have cores in. Empty lists, so that
// ranks are not bound: where that is asked for, or there are fewer cores than ranks want.
std::vector<std::vector<std::uint32_t>> bind_ranks(const GangSpec& gang, std::size_t ranks,
                                                   const std::vector<CoreSite>& cores);

}  // namespace leat::agent
