#include "mpi-tasks/tree.h"

#include <algorithm>
#include <set>

namespace leat::mpi {

Tree Tree::of(NodeIndex nodes, NodeIndex star_max, NodeIndex width) {
  if (nodes <= star_max) return {nodes, std::max<NodeIndex>(nodes, 1)};
  const auto within_two = [](std::uint64_t each) { return 1 + each + each * each; };
  if (width == 0)
    while (within_two(++width) < nodes) continue;
  return {nodes, width};
}

std::vector<NodeIndex> Tree::children(NodeIndex node) const {
  std::vector<NodeIndex> result;
  const std::uint64_t first = std::uint64_t{node} * width_ + 1;
  for (std::uint64_t child = first; child < first + width_ && child < nodes_; ++child)
    result.push_back(static_cast<NodeIndex>(child));
  return result;
}

bool Tree::is_under(NodeIndex top, NodeIndex node) const {
  while (node > top) node = parent(node);
  return node == top;
}

NodeIndex Tree::branch(NodeIndex top, NodeIndex node) const {
  while (node != top && parent(node) != top) node = parent(node);
  return node;
}

std::vector<NodeIndex> Tree::branches(NodeIndex top, const std::vector<NodeIndex>& nodes) const {
  std::set<NodeIndex> found;
  for (const NodeIndex node : nodes)
    if (is_under(top, node)) found.insert(branch(top, node));
  return {found.begin(), found.end()};
}

}  // namespace leat::mpi
