#pragma once

// samples_gangs.h - facts and rows about gangs; see samples.h.

#include <map>
#include <string>

#include "base/random.h"
#include "scheduler/core/state.h"

namespace leat::store {

std::map<std::string, core::Fact> sample_gang_facts();
core::Gang sample_gang();
// sample_node(), with a time by which its runs are over.
core::Node sample_node_with_time();
// Of the last two kinds in the variant.
core::Fact random_gang_fact(std::size_t kind, Random& random);

}  // namespace leat::store
