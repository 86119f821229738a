#pragma once

// capacity_index.h - nodes by kind and by what they have free, so that a place is found without
// looking at all of them.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/labels.h"
#include "base/resources.h"
#include "base/time.h"

namespace leat::core {

struct Node;

// What a task wants of a node. Borrows.
struct Want {
  const Resources& need;
  std::span<const Requirement> labels;
  bool exclusive = false;  // the whole node
  bool spread = false;     // the emptiest node rather than the tightest
  Time ends = kNever;      // when the task would be over at the latest
  // A label that the nodes of a gang must all have, with the same value; empty: none.
  std::string_view in_common = {};
};

// Nodes that have the same of some label.
struct LabelShare {
  std::optional<std::string_view> value;  // as label_value() says. Borrowed
  std::size_t count = 0;
  std::vector<NodeId> some;  // the first few found
};

// Nodes of a pool that are alike but for how much memory they have to the byte.
using KindId = std::uint32_t;

// Nodes that are kept free for something else: wholly, or from some time on. Adding many costs next
// to nothing: they are sorted when first looked for.
class Reserved {
 public:
  // Precondition: `node` is not among them.
  void add(NodeId node) { fresh_.push_back(node); }
  void add_kind(KindId kind) { kinds_.insert(kind); }
  bool has_kind(KindId kind) const { return kinds_.contains(kind); }
  // `node` is kept free from then on: what is over by then may run there. Time{}: wholly.
  void add_from(NodeId node, Time from) {
    Time& known = from_.emplace(node, from).first->second;
    known = std::min(known, from);
  }
  bool is_kept_from(NodeId node) const { return from_.contains(node); }
  // For what would be over at `ends`.
  bool contains(NodeId node, Time ends = kNever);

 private:
  std::map<NodeId, Time> from_;
  std::vector<NodeId> sorted_;
  std::vector<NodeId> fresh_;
  std::set<KindId> kinds_;
};

// The nodes that take work, per pool and kind, ordered by free millicores, then memory, then id.
//
// Borrows the nodes: their addresses must hold from insert() to erase().
class CapacityIndex {
 public:
  // Nodes of one kind with cores enough that are tried before the search gives up.
  static constexpr std::size_t kCandidatesMax = 64;
  // Beyond this many kinds in a pool, the others are one kind of unlike nodes, of which more
  // candidates are tried.
  static constexpr std::size_t kKindsMax = 64;
  static constexpr std::size_t kMixedCandidatesMax = 1024;

  // From its report, what it has free and its room for tasks. Sets node.kind.
  void insert(Node& node);
  void erase(const Node& node);
  // What the node has free is now `free`, and so many tasks have claims there.
  void change(Node& node, const Resources& free, std::uint32_t claimed);

  // A node of `pool` that can take a task now: the one with the least left over, or for `spread`
  // the most; nothing if there is none, or if all candidates were tried in vain.
  std::optional<NodeId> best(PoolId pool, const Want& want, Reserved& except) const;

  // The same for `count` tasks, each on a node of its own, and all of these with the same of what
  // they must have in common: the nodes, ordered by id, or fewer if there are no more. Looks at no
  // more than `count` nodes of each kind beside those that are tried in vain.
  std::vector<NodeId> collect(PoolId pool, const Want& want, std::size_t count,
                              Reserved& except) const;

  // How many nodes of `pool`, of kinds that are not reserved, could each take a task if nothing
  // else ran: the most that have the same of what they must have in common. Counts no further than
  // to `up_to`.
  std::size_t able_count(PoolId pool, const Want& want, std::size_t up_to,
                         const Reserved& except) const;

  // Nodes that could take a task if nothing else ran, of kinds that are not reserved: the emptiest
  // of each kind first, `looks` at most.
  std::vector<const Node*> able(PoolId pool, const Want& want, const Reserved& except,
                                std::size_t looks) const;

  // Reserves nodes that could take a task if nothing else ran, the emptiest first, for so many
  // tasks; where more tasks are wanted than a kind has nodes, the kind. Returns for how many tasks
  // no node was found.
  std::uint64_t reserve(PoolId pool, const Want& want, std::uint64_t tasks,
                        Reserved& reserved) const;

  // How many nodes of `pool` take work.
  std::size_t size(PoolId pool) const;

  // What the nodes of `pool` that take work have of a label, in the order of its values. Looks at
  // kinds, and of unlike nodes at the emptiest.
  static constexpr std::size_t kShareNamed = 4;
  std::vector<LabelShare> shares(PoolId pool, std::string_view label) const;

 private:
  struct Entry {
    std::uint32_t millicores = 0;
    std::uint64_t memory_bytes = 0;
    NodeId id;
    const Node* node = nullptr;  // goes along, does not order

    friend bool operator<(const Entry& a, const Entry& b) {
      if (a.millicores != b.millicores) return a.millicores < b.millicores;
      if (a.memory_bytes != b.memory_bytes) return a.memory_bytes < b.memory_bytes;
      return a.id < b.id;
    }
  };
  // What nodes of one kind have in common.
  struct Likeness {
    std::vector<std::string> labels;  // sorted
    Resources capacity;               // without memory
    bool mixed = false;               // nothing: all that did not get a kind of their own

    friend bool operator==(const Likeness&, const Likeness&) = default;
  };
  struct Kind {
    KindId id = 0;
    Likeness likeness;
    std::set<Entry> open;                         // nodes with room for one task more
    std::set<Entry> full;                         // the others: as many tasks as the pool allows
    std::set<Entry> idle;                         // those of `open` on which nothing is placed
    std::map<std::uint64_t, std::size_t> memory;  // of the nodes' capacities -> how many

    std::size_t size() const { return open.size() + full.size(); }
  };
  using Kinds = std::vector<Kind>;

  static Entry entry_of(const Node& node);
  static Likeness likeness_of(const Node& node);
  static bool suits(const Kind& kind, const Want& want);
  static bool suits(const Node& node, const Want& want);
  static std::optional<Entry> best_of(const Kind& kind, const Want& want, Reserved& except);
  // Visits the nodes of a kind that can take a task now, in the order of preference, while `visit`
  // returns true.
  template <typename Visit>
  static void visit_fitting(const Kind& kind, const Want& want, Reserved& except, Visit visit);
  static void add_to(Kind& kind, const Node& node);
  static void take_from(Kind& kind, const Node& node);
  // Visits the nodes of a kind, the emptiest first, while `visit` returns true.
  template <typename Visit>
  static void visit_emptiest(const Kind& kind, Visit visit);
  Kind& kind_of(const Node& node);
  Kind& kind_for(const Node& node);

  std::map<PoolId, Kinds> pools_;
  KindId next_kind_ = 1;
};

}  // namespace leat::core
