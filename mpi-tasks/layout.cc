#include "mpi-tasks/layout.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace leat::mpi {
namespace {

constexpr std::size_t kNameMax = 64;

std::string joined(const std::vector<Rank>& ranks) {
  std::string text;
  for (const Rank rank : ranks) {
    if (!text.empty()) text += ',';
    text += std::to_string(rank);
  }
  return text;
}

Result<Done> check_node(const GangNode& node) {
  if (node.name.empty() || node.name.size() > kNameMax ||
      node.name.find_first_not_of(kNameCharacters) != std::string::npos)
    return invalid("'" + node.name + "' is no node name");
  if (node.ranks.empty()) return invalid("node " + node.name + " has no ranks");
  for (std::size_t i = 1; i < node.ranks.size(); ++i)
    if (node.ranks[i - 1] >= node.ranks[i])
      return invalid("ranks of node " + node.name + " are not in ascending order");
  return Done{};
}

}  // namespace

Result<Layout> Layout::make(std::vector<GangNode> nodes) {
  if (nodes.empty()) return invalid("a gang needs a node");
  std::set<std::string_view> names;
  std::size_t count = 0;
  for (const GangNode& node : nodes) {
    if (const Result<Done> sound = check_node(node); !sound.ok()) return sound.refusal();
    if (!names.insert(node.name).second) return invalid("two nodes are called " + node.name);
    count += node.ranks.size();
  }
  Layout layout;
  layout.places_.resize(count);
  std::vector<bool> seen(count);
  for (NodeIndex index = 0; index < nodes.size(); ++index) {
    std::uint32_t local = 0;
    for (const Rank rank : nodes[index].ranks) {
      if (rank >= count || seen[rank])
        return invalid("node " + nodes[index].name + ": rank " + std::to_string(rank) +
                       (rank >= count ? " is not below their number" : " stands on two nodes"));
      seen[rank] = true;
      layout.places_[rank] = {index, local++};
    }
  }
  layout.nodes_ = std::move(nodes);
  return layout;
}

std::vector<NodeIndex> Layout::nodes_of(const std::vector<Rank>& ranks) const {
  std::set<NodeIndex> involved;
  for (const Rank rank : ranks) involved.insert(node_of(rank));
  if (ranks.empty())
    for (NodeIndex index = 0; index < node_count(); ++index) involved.insert(index);
  return {involved.begin(), involved.end()};
}

std::string Layout::node_names() const {
  std::string text;
  for (const GangNode& node : nodes_) {
    if (!text.empty()) text += ',';
    text += node.name;
  }
  return text;
}

std::string Layout::node_ranks() const {
  std::string text;
  for (const GangNode& node : nodes_) {
    if (!text.empty()) text += ';';
    text += joined(node.ranks);
  }
  return text;
}

std::string Layout::peers(NodeIndex index) const {
  return joined(nodes_[index].ranks);
}

std::string Layout::process_mapping() const {
  std::string text = "(vector";
  Rank next = 0;
  NodeIndex first = 0;
  while (first < node_count()) {
    const std::size_t each = nodes_[first].ranks.size();
    NodeIndex end = first;
    for (; end < node_count() && nodes_[end].ranks.size() == each; ++end) {
      if (nodes_[end].ranks.front() != next || nodes_[end].ranks.back() != next + each - 1)
        return {};
      next += static_cast<Rank>(each);
    }
    text += ",(" + std::to_string(first) + "," + std::to_string(end - first) + "," +
            std::to_string(each) + ")";
    first = end;
  }
  return text + ")";
}

}  // namespace leat::mpi
