#pragma once

// local_share.h - what a local pool's definition leaves out, taken from this machine.

#include "definitions/pool_definition.h"

namespace leat::cli {

// Cores and memory that are not given become an equal share of this machine for each of the nodes
// the pool may have; nothing for pools of other providers.
void complete_local(definitions::PoolDefinition& pool);

}  // namespace leat::cli
