#pragma once

// capacity_index.h - nodes by what they have free, so that the tightest fit is found without
// looking at all of them.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/ids.h"
#include "scheduler/core/spec.h"

namespace leat::core {

// Nodes that are kept free for something else. Adding many costs next to nothing: they are sorted
// when first looked for.
class ReservedNodes {
 public:
  // Precondition: `node` is not among them.
  void add(NodeId node) { fresh_.push_back(node); }
  bool contains(NodeId node);

 private:
  std::vector<NodeId> sorted_;
  std::vector<NodeId> fresh_;
};

// Per pool, the nodes that are up, ordered by free millicores, then free memory, then id.
class CapacityIndex {
 public:
  // How many nodes with cores enough are tried for memory before the search gives up.
  static constexpr std::size_t kCandidatesMax = 64;

  void insert(PoolId pool, NodeId node, const Resources& free, const Resources& capacity);
  void erase(PoolId pool, NodeId node, const Resources& free);
  // What the node has free is now `to`.
  void change(PoolId pool, NodeId node, const Resources& from, const Resources& to);

  // The node of `pool` that holds `need` with the least left over; nothing if none does, or if
  // kCandidatesMax nodes were tried in vain. Nodes in `except` do not count.
  std::optional<NodeId> tightest(PoolId pool, const Resources& need, ReservedNodes& except) const;

  // Calls visit(node, its capacity) for nodes of `pool`, those with the most free cores first,
  // while it returns true.
  template <typename Visit>
  void visit_freest(PoolId pool, Visit visit) const {
    const auto at = nodes_.find(pool);
    if (at == nodes_.end()) return;
    for (auto i = at->second.rbegin(); i != at->second.rend(); ++i)
      if (!visit(i->node, i->capacity)) return;
  }

  // How many nodes of `pool` are up.
  std::size_t size(PoolId pool) const;

 private:
  struct Entry {
    std::uint32_t millicores = 0;
    std::uint64_t memory_bytes = 0;
    std::uint32_t gpus = 0;
    NodeId node;
    Resources capacity;  // goes along, does not order

    friend bool operator<(const Entry& a, const Entry& b) {
      if (a.millicores != b.millicores) return a.millicores < b.millicores;
      if (a.memory_bytes != b.memory_bytes) return a.memory_bytes < b.memory_bytes;
      return a.gpus != b.gpus ? a.gpus < b.gpus : a.node < b.node;
    }
  };

  static Entry key(const Resources& free, NodeId node) {
    return {free.millicores, free.memory_bytes, free.gpus, node, {}};
  }

  std::map<PoolId, std::set<Entry>> nodes_;
};

}  // namespace leat::core
