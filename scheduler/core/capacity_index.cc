#include "scheduler/core/capacity_index.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace leat::core {

bool ReservedNodes::contains(NodeId node) {
  if (!fresh_.empty()) {
    sorted_.insert(sorted_.end(), fresh_.begin(), fresh_.end());
    std::sort(sorted_.begin(), sorted_.end());
    fresh_.clear();
  }
  return std::binary_search(sorted_.begin(), sorted_.end(), node);
}

void CapacityIndex::insert(PoolId pool, NodeId node, const Resources& free,
                           const Resources& capacity) {
  Entry entry = key(free, node);
  entry.capacity = capacity;
  const bool fresh = nodes_[pool].insert(entry).second;
  LEAT_CHECK(fresh);
}

void CapacityIndex::erase(PoolId pool, NodeId node, const Resources& free) {
  const auto at = nodes_.find(pool);
  LEAT_CHECK(at != nodes_.end());
  const std::size_t erased = at->second.erase(key(free, node));
  LEAT_CHECK(erased == 1);
}

void CapacityIndex::change(PoolId pool, NodeId node, const Resources& from, const Resources& to) {
  const auto at = nodes_.find(pool);
  LEAT_CHECK(at != nodes_.end());
  const auto entry = at->second.find(key(from, node));
  LEAT_CHECK(entry != at->second.end());
  auto handle = at->second.extract(entry);
  const Resources capacity = handle.value().capacity;
  handle.value() = key(to, node);
  handle.value().capacity = capacity;
  at->second.insert(std::move(handle));
}

std::optional<NodeId> CapacityIndex::tightest(PoolId pool, const Resources& need,
                                              ReservedNodes& except) const {
  const auto at = nodes_.find(pool);
  if (at == nodes_.end()) return std::nullopt;
  std::size_t tried = 0;
  for (auto i = at->second.lower_bound({need.millicores, need.memory_bytes, 0, {}, {}});
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
