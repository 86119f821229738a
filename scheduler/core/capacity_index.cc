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

bool is_idle(const Resources& free, const Resources& capacity) {
  return free == capacity;
}

}  // namespace

bool Reserved::contains(NodeId node) {
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
  if (!all_met(want.labels, kind.likeness.labels)) return false;
  Resources largest = kind.likeness.capacity;
  largest.memory_bytes = kind.memory.empty() ? 0 : kind.memory.rbegin()->first;
  return kind.size() > 0 && largest.holds(want.need);
}

bool CapacityIndex::suits(const Node& node, const Want& want) {
  return node.report.capacity.holds(want.need) && all_met(want.labels, node.report.labels);
}

// Precondition: the kind suits.
std::optional<CapacityIndex::Entry> CapacityIndex::best_of(const Kind& kind, const Want& want,
                                                           Reserved& except) {
  const std::set<Entry>& entries = want.exclusive ? kind.idle : kind.open;
  const std::size_t tries = kind.likeness.mixed ? kMixedCandidatesMax : kCandidatesMax;
  const auto fits = [&](const Entry& entry) {
    const Node& node = *entry.node;
    if (node.room() == 0 || !node.free.holds(want.need) || except.contains(entry.id)) return false;
    return !kind.likeness.mixed || all_met(want.labels, node.report.labels);
  };
  std::size_t tried = 0;
  if (want.spread) {
    for (auto i = entries.rbegin(); i != entries.rend() && tried++ < tries; ++i) {
      if (i->millicores < want.need.millicores) break;
      if (fits(*i)) return *i;
    }
    return std::nullopt;
  }
  const Entry least{want.need.millicores, want.need.memory_bytes, NodeId{}, nullptr};
  for (auto i = entries.lower_bound(least); i != entries.end() && tried++ < tries; ++i)
    if (fits(*i)) return *i;
  return std::nullopt;
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

bool CapacityIndex::could_ever(PoolId pool, const Want& want, const Reserved& except) const {
  const auto at = pools_.find(pool);
  if (at == pools_.end()) return false;
  return std::any_of(at->second.begin(), at->second.end(), [&](const Kind& kind) {
    if (except.has_kind(kind.id)) return false;
    if (!kind.likeness.mixed) return suits(kind, want);
    bool found = false;
    visit_emptiest(kind, [&](const Entry& entry) {
      found = suits(*entry.node, want);
      return !found;
    });
    return found;
  });
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

}  // namespace leat::core
