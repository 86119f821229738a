#pragma once

// samples_pools.h - samples about pools and the coming and going of nodes; what samples share.

#include <map>
#include <string>

#include "base/random.h"
#include "scheduler/core/messages.h"

namespace leat::store {

core::Hash hash_from(std::uint8_t first);
NodeRef node_ref(std::uint32_t id, std::uint64_t epoch);
std::string random_text(Random& random);

// The part of sample_facts() that is about pools.
std::map<std::string, core::Fact> sample_pool_facts();
// The part of random_fact() that is about pools: kinds 16 and later.
core::Fact random_pool_fact(std::size_t kind, Random& random);

}  // namespace leat::store
