#include "scheduler/core/capacity_index.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "scheduler/core/state.h"

namespace leat::core {
namespace {

// Moves an entry to where it belongs now, without making it anew.
template <typename Entries, typename Entry>
void move_entry(Entries& out_of, const Entry& from, Entries& into, const Entry& to) {
  const auto at = out_of.find(from);
  LEAT_CHECK(at != out_of.end());
  auto handle = out_of.extract(at);
  handle.value() = to;
  into.insert(std::move(handle));
}

bool has_labels(std::span<const std::string> labels, const Want& want) {
  return all_met(want.labels, labels) && label_value(labels, want.in_common).has_value();
}

// What a node has of the common label. Precondition: has_labels().
std::string_view common_value(std::span<const std::string> labels, const Want& want) {
  return label_value(labels, want.in_common).value_or(std::string_view());
}

bool is_idle(const Resources& free, const Resources& capacity) {
  return free == capacity;
}

}  // namespace

bool Reserved::contains(NodeId node, Time ends) {
  if (!from_.empty()) {
    const auto at = from_.find(node);
    if (at != from_.end() && ends > at->second) return true;
  }
  if (!fresh_.empty()) {
    sorted_.insert(sorted_.end(), fresh_.begin(), fresh_.end());
    std::sort(sorted_.begin(), sorted_.end());
    fresh_.clear();
  }
  return std::binary_search(sorted_.begin(), sorted_.end(), node);
}

CapacityIndex::Entry CapacityIndex::entry_of(const Node& node) {
  return {node.free.millicores, node.free.memory_bytes, node.ref.id, &node};
}

CapacityIndex::Likeness CapacityIndex::likeness_of(const Node& node) {
  Likeness likeness{node.report.labels, node.report.capacity, false};
  std::sort(likeness.labels.begin(), likeness.labels.end());
  likeness.capacity.memory_bytes = 0;
  return likeness;
}

// Looks the kind up, or makes it.
CapacityIndex::Kind& CapacityIndex::kind_for(const Node& node) {
  Kinds& kinds = pools_[node.pool];
  Likeness likeness = likeness_of(node);
  for (Kind& kind : kinds)
    if (!kind.likeness.mixed && kind.likeness == likeness) return kind;
  // A kind whose nodes are all gone serves for another.
  for (Kind& kind : kinds)
    if (!kind.likeness.mixed && kind.size() == 0) {
      kind.id = next_kind_++;
      kind.likeness = std::move(likeness);
      return kind;
    }
  if (kinds.size() >= kKindsMax) {
    for (Kind& kind : kinds)
      if (kind.likeness.mixed) return kind;
    likeness = {{}, Resources::none(), true};
  }
  Kind& kind = kinds.emplace_back();
  kind.id = next_kind_++;
  kind.likeness = std::move(likeness);
  return kind;
}

CapacityIndex::Kind& CapacityIndex::kind_of(const Node& node) {
  const auto at = pools_.find(node.pool);
  LEAT_CHECK(at != pools_.end());
  for (Kind& kind : at->second)
    if (kind.id == node.kind) return kind;
  LEAT_CHECK(!"the node is in the index");
  return at->second.front();
}

void CapacityIndex::add_to(Kind& kind, const Node& node) {
  const bool fresh = (node.room() > 0 ? kind.open : kind.full).insert(entry_of(node)).second;
  LEAT_CHECK(fresh);
  if (is_idle(node.free, node.report.capacity)) kind.idle.insert(entry_of(node));
  ++kind.memory[node.report.capacity.memory_bytes];
}

void CapacityIndex::take_from(Kind& kind, const Node& node) {
  const std::size_t erased = (node.room() > 0 ? kind.open : kind.full).erase(entry_of(node));
  LEAT_CHECK(erased == 1);
  kind.idle.erase(entry_of(node));
  const auto memory = kind.memory.find(node.report.capacity.memory_bytes);
  LEAT_CHECK(memory != kind.memory.end());
  if (--memory->second == 0) kind.memory.erase(memory);
}

void CapacityIndex::insert(Node& node) {
  Kind& kind = kind_for(node);
  node.kind = kind.id;
  add_to(kind, node);
}

void CapacityIndex::erase(const Node& node) {
  take_from(kind_of(node), node);
}

void CapacityIndex::change(Node& node, const Resources& free, std::uint32_t claimed) {
  Kind& kind = kind_of(node);
  const Entry from = entry_of(node);
  std::set<Entry>& before = node.room() > 0 ? kind.open : kind.full;
  const bool was_idle = is_idle(node.free, node.report.capacity);
  node.free = free;
  node.claimed = claimed;
  const Entry to = entry_of(node);
  const bool now_idle = is_idle(node.free, node.report.capacity);
  move_entry(before, from, node.room() > 0 ? kind.open : kind.full, to);
  if (was_idle) kind.idle.erase(from);
  if (now_idle) kind.idle.insert(to);
}

bool CapacityIndex::suits(const Kind& kind, const Want& want) {
  if (kind.likeness.mixed) return true;
  if (!has_labels(kind.likeness.labels, want)) return false;
  Resources largest = kind.likeness.capacity;
  largest.memory_bytes = kind.memory.empty() ? 0 : kind.memory.rbegin()->first;
  return kind.size() > 0 && largest.holds(want.need);
}

bool CapacityIndex::suits(const Node& node, const Want& want) {
  return node.report.capacity.holds(want.need) && has_labels(node.report.labels, want);
}

// Precondition: the kind suits.
template <typename Visit>
void CapacityIndex::visit_fitting(const Kind& kind, const Want& want, Reserved& except,
                                  Visit visit) {
  const std::set<Entry>& entries = want.exclusive ? kind.idle : kind.open;
  const std::size_t tries = kind.likeness.mixed ? kMixedCandidatesMax : kCandidatesMax;
  const auto fits = [&](const Entry& entry) {
    const Node& node = *entry.node;
    if (node.room() == 0 || !node.free.holds(want.need)) return false;
    if (except.contains(entry.id, want.ends)) return false;
    return !kind.likeness.mixed || has_labels(node.report.labels, want);
  };
  std::size_t misses = 0;
  if (want.spread) {
    for (auto i = entries.rbegin(); i != entries.rend() && misses < tries; ++i) {
      if (i->millicores < want.need.millicores) return;
      if (!fits(*i)) {
        ++misses;
      } else if (!visit(*i)) {
        return;
      }
    }
    return;
  }
  const Entry least{want.need.millicores, want.need.memory_bytes, NodeId{}, nullptr};
  for (auto i = entries.lower_bound(least); i != entries.end() && misses < tries; ++i) {
    if (!fits(*i)) {
      ++misses;
    } else if (!visit(*i)) {
      return;
    }
  }
}

std::optional<CapacityIndex::Entry> CapacityIndex::best_of(const Kind& kind, const Want& want,
                                                           Reserved& except) {
  std::optional<Entry> best;
  visit_fitting(kind, want, except, [&best](const Entry& entry) {
    best = entry;
    return false;
  });
  return best;
}

std::vector<NodeId> CapacityIndex::collect(PoolId pool, const Want& want, std::size_t count,
                                           Reserved& except) const {
  const auto at = pools_.find(pool);
  if (at == pools_.end()) return {};
  std::map<std::string_view, std::vector<Entry>> alike;  // by what they have in common
  for (const Kind& kind : at->second) {
    if (except.has_kind(kind.id) || !suits(kind, want)) continue;
    const bool mixed = kind.likeness.mixed;
    const std::string_view of_all = mixed ? "" : common_value(kind.likeness.labels, want);
    // Of unlike nodes the first to be found need not have anything in common.
    const bool divided = mixed && !want.in_common.empty();
    const std::size_t most = divided ? count + kMixedCandidatesMax : count;
    std::size_t of_kind = 0;
    visit_fitting(kind, want, except, [&](const Entry& entry) {
      alike[divided ? common_value(entry.node->report.labels, want) : of_all].push_back(entry);
      return ++of_kind < most;
    });
  }
  const auto is_better = [&want](const Entry& a, const Entry& b) {
    return want.spread ? b < a : a < b;
  };
  std::vector<Entry> found;
  for (auto& [value, entries] : alike) {
    std::sort(entries.begin(), entries.end(), is_better);
    entries.resize(std::min(entries.size(), count));
    const bool better = entries.size() == found.size() && is_better(entries.back(), found.back());
    if (entries.size() > found.size() || better) found = std::move(entries);
  }
  std::vector<NodeId> nodes;
  nodes.reserve(found.size());
  for (const Entry& entry : found) nodes.push_back(entry.id);
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

std::optional<NodeId> CapacityIndex::best(PoolId pool, const Want& want, Reserved& except) const {
  const auto at = pools_.find(pool);
  if (at == pools_.end()) return std::nullopt;
  std::optional<Entry> best;
  for (const Kind& kind : at->second) {
    if (except.has_kind(kind.id) || !suits(kind, want)) continue;
    const std::optional<Entry> found = best_of(kind, want, except);
    if (found && (!best || (want.spread ? *best < *found : *found < *best))) best = found;
  }
  return best ? std::optional<NodeId>(best->id) : std::nullopt;
}

template <typename Visit>
void CapacityIndex::visit_emptiest(const Kind& kind, Visit visit) {
  std::size_t left = kind.likeness.mixed ? kMixedCandidatesMax : kind.size();
  for (const std::set<Entry>* entries : {&kind.open, &kind.full})
    for (auto i = entries->rbegin(); i != entries->rend() && left > 0; ++i, --left)
      if (!visit(*i)) return;
}

std::size_t CapacityIndex::able_count(PoolId pool, const Want& want, std::size_t up_to,
                                      const Reserved& except) const {
  const auto at = pools_.find(pool);
  if (at == pools_.end()) return 0;
  std::map<std::string_view, std::size_t> alike;  // by what they have in common
  std::size_t most = 0;
  const auto add = [&alike, &most](std::string_view value, std::size_t nodes) {
    most = std::max(most, alike[value] += nodes);
  };
  for (const Kind& kind : at->second) {
    if (most >= up_to) break;
    if (except.has_kind(kind.id) || !suits(kind, want)) continue;
    if (!kind.likeness.mixed && up_to == 1) return 1;
    if (!kind.likeness.mixed) {
      // Alike but for their memory.
      std::size_t nodes = 0;
      for (auto at_least = kind.memory.lower_bound(want.need.memory_bytes);
           at_least != kind.memory.end() && nodes < up_to; ++at_least)
        nodes += at_least->second;
      add(common_value(kind.likeness.labels, want), nodes);
      continue;
    }
    visit_emptiest(kind, [&](const Entry& entry) {
      if (suits(*entry.node, want)) add(common_value(entry.node->report.labels, want), 1);
      return most < up_to;
    });
  }
  return std::min(most, up_to);
}

std::vector<const Node*> CapacityIndex::able(PoolId pool, const Want& want, const Reserved& except,
                                             std::size_t looks) const {
  std::vector<const Node*> nodes;
  const auto at = pools_.find(pool);
  if (at == pools_.end()) return nodes;
  for (const Kind& kind : at->second) {
    if (except.has_kind(kind.id) || !suits(kind, want)) continue;
    visit_emptiest(kind, [&](const Entry& entry) {
      if (looks == 0) return false;
      --looks;
      if (suits(*entry.node, want)) nodes.push_back(entry.node);
      return true;
    });
  }
  return nodes;
}

std::uint64_t CapacityIndex::reserve(PoolId pool, const Want& want, std::uint64_t tasks,
                                     Reserved& reserved) const {
  const auto at = pools_.find(pool);
  if (at == pools_.end()) return tasks;
  for (const Kind& kind : at->second) {
    if (tasks == 0) break;
    if (reserved.has_kind(kind.id) || !suits(kind, want)) continue;
    if (!kind.likeness.mixed && tasks >= kind.size()) {
      reserved.add_kind(kind.id);
      tasks -= kind.size();
      continue;
    }
    std::vector<NodeId> chosen;
    visit_emptiest(kind, [&](const Entry& entry) {
      if (suits(*entry.node, want) && !reserved.contains(entry.id)) chosen.push_back(entry.id);
      return chosen.size() < tasks;
    });
    for (const NodeId node : chosen) reserved.add(node);
    tasks -= chosen.size();
  }
  return tasks;
}

std::size_t CapacityIndex::size(PoolId pool) const {
  const auto at = pools_.find(pool);
  std::size_t size = 0;
  if (at != pools_.end())
    for (const Kind& kind : at->second) size += kind.size();
  return size;
}

std::vector<LabelShare> CapacityIndex::shares(PoolId pool, std::string_view label) const {
  const auto at = pools_.find(pool);
  if (at == pools_.end()) return {};
  std::map<std::optional<std::string_view>, LabelShare> shares;
  for (const Kind& kind : at->second) {
    if (!kind.likeness.mixed && kind.size() > 0)
      shares[label_value(kind.likeness.labels, label)].count += kind.size();
    std::size_t named = 0;
    visit_emptiest(kind, [&](const Entry& entry) {
      LabelShare& share = shares[label_value(entry.node->report.labels, label)];
      if (kind.likeness.mixed) ++share.count;
      if (share.some.size() < kShareNamed) share.some.push_back(entry.id);
      return kind.likeness.mixed || ++named < kShareNamed;
    });
  }
  std::vector<LabelShare> list;
  for (auto& [value, share] : shares) {
    share.value = value;
    std::sort(share.some.begin(), share.some.end());
    list.push_back(std::move(share));
  }
  return list;
}

}  // namespace leat::core
