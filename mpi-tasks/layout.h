#pragma once

// layout.h - which rank stands on which node, and the texts by which PMIx is told.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leat::mpi {

// Of which names of gangs and nodes are made.
inline constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

using Rank = std::uint32_t;
using NodeIndex = std::uint32_t;

struct GangNode {
  std::string name;
  std::vector<Rank> ranks;  // ascending
};

// Immutable. Invariant: node names differ, and every rank 0..size()-1 stands on exactly one node.
class Layout {
 public:
  // Refused with the node named if that would not hold.
  static Result<Layout> make(std::vector<GangNode> nodes);

  std::uint32_t size() const { return static_cast<std::uint32_t>(places_.size()); }
  NodeIndex node_count() const { return static_cast<NodeIndex>(nodes_.size()); }
  const GangNode& node(NodeIndex index) const { return nodes_[index]; }

  bool has(Rank rank) const { return rank < size(); }
  // Precondition of these: has(rank).
  NodeIndex node_of(Rank rank) const { return places_[rank].node; }
  std::uint32_t local_rank_of(Rank rank) const { return places_[rank].local; }

  // Nodes with at least one of `ranks`; no ranks: all nodes. Ascending.
  std::vector<NodeIndex> nodes_of(const std::vector<Rank>& ranks) const;

  // What PMIx_generate_regex and PMIx_generate_ppn take: "a,b" and "0,1;2,3".
  std::string node_names() const;
  std::string node_ranks() const;
  // "0,1": the ranks of one node.
  std::string peers(NodeIndex index) const;
  // PMI-1's process mapping: "(vector,(0,2,4),(2,1,1))" is two nodes from 0 with four ranks each,
  // then one with one. Empty if ranks are not numbered node by node, for then it cannot be said.
  std::string process_mapping() const;

 private:
  struct Place {
    NodeIndex node = 0;
    std::uint32_t local = 0;
  };

  Layout() = default;

  std::vector<GangNode> nodes_;
  std::vector<Place> places_;
};

}  // namespace leat::mpi
