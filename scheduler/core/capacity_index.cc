#include "scheduler/core/capacity_index.h"

#include "base/check.h"

namespace leat::core {

void CapacityIndex::insert(PoolId pool, NodeId node, const Resources& free) {
  const bool fresh =
      nodes_[pool].insert({free.millicores, free.memory_bytes, free.gpus, node}).second;
  LEAT_CHECK(fresh);
}

void CapacityIndex::erase(PoolId pool, NodeId node, const Resources& free) {
  const auto at = nodes_.find(pool);
  LEAT_CHECK(at != nodes_.end());
  const std::size_t erased =
      at->second.erase({free.millicores, free.memory_bytes, free.gpus, node});
  LEAT_CHECK(erased == 1);
}

std::optional<NodeId> CapacityIndex::tightest(PoolId pool, const Resources& need,
                                              const std::set<NodeId>& except) const {
  const auto at = nodes_.find(pool);
  if (at == nodes_.end()) return std::nullopt;
  std::size_t tried = 0;
  for (auto i = at->second.lower_bound({need.millicores, need.memory_bytes, 0, {}});
       i != at->second.end(); ++i) {
    if (tried++ == kCandidatesMax) return std::nullopt;
    const bool holds = i->memory_bytes >= need.memory_bytes && i->gpus >= need.gpus;
    if (holds && !except.contains(i->node)) return i->node;
  }
  return std::nullopt;
}

std::size_t CapacityIndex::size(PoolId pool) const {
  const auto at = nodes_.find(pool);
  return at == nodes_.end() ? 0 : at->second.size();
}

}  // namespace leat::core
