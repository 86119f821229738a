#pragma once

// tree.h - who is connected to whom among the launchers of a gang.

#include <vector>

#include "mpi-tasks/layout.h"

namespace leat::mpi {

// Node 0, the hub, is the root, and the parent of node i is (i - 1) / width; a star is a tree that
// is wide enough. Immutable. Precondition of all with two nodes: both are of the gang.
class Tree {
 public:
  // A star of up to `star_max` nodes. Above that a tree of that width; of 0: the least by which
  // nobody is more than two connections away from the hub, so that what anybody sends for a fence
  // grows with the root of the number of nodes and its way does not.
  static Tree of(NodeIndex nodes, NodeIndex star_max, NodeIndex width);

  NodeIndex nodes() const { return nodes_; }
  NodeIndex width() const { return width_; }

  // Precondition: not the hub.
  NodeIndex parent(NodeIndex node) const { return (node - 1) / width_; }
  // Ascending.
  std::vector<NodeIndex> children(NodeIndex node) const;
  // Whether others are connected to it.
  bool is_inner(NodeIndex node) const { return std::uint64_t{node} * width_ + 1 < nodes_; }

  // Whether `node` is `top` or reaches the hub through it.
  bool is_under(NodeIndex top, NodeIndex node) const;
  // Those of `nodes` that are under `top`, each as the child of `top` that it is under or, if it is
  // `top`, as itself. `nodes` are ascending; so is the result, and nobody is in it twice.
  std::vector<NodeIndex> branches(NodeIndex top, const std::vector<NodeIndex>& nodes) const;
  // The same for one. Precondition: is_under(top, node).
  NodeIndex branch(NodeIndex top, NodeIndex node) const;

 private:
  Tree(NodeIndex nodes, NodeIndex width) : nodes_(nodes), width_(width) {}

  NodeIndex nodes_;
  NodeIndex width_;
};

}  // namespace leat::mpi
