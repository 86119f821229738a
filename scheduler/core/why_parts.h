#pragma once

// why_parts.h - what an answer to "why does it wait" is put together from. Only why*.cc include
// this.
//
// Room is looked for as through a funnel: a node takes a task when it passes every filter, in
// their order. What a pool lacks is the first filter that none of its nodes passes; for a gang,
// that fewer nodes pass than it has members. A pool may also be contested: somebody ahead in the
// queue takes what becomes free there. Of the pools a job may use, those count that lack least:
// whatever is lacking beside that elsewhere would not have to change.
//
// To add what keeps nodes from taking tasks: one Filter and one function in kFilters. To add any
// other cause: one function in kCauses (why.cc). tests/scheduler/core/why_oracle_test.cc says the
// same by brute force, and must learn of it too.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/core/decide_parts.h"

namespace leat::core {

// Entries of the ready queue that one question looks at; what is ahead of them is not counted.
inline constexpr std::size_t kAheadMax = 256;
// Nodes that it looks at for them, together; a question must not hold up a turn.
inline constexpr std::uint64_t kLooksMax = 200'000;

inline std::string number(std::uint64_t n) {
  return std::to_string(n);
}

enum class Filter : std::uint8_t {
  kUp,
  kHasLabels,
  kLargeEnough,
  kAlike,    // every node; of a gang whose nodes must have something in common only those count
             // from here on that have it, the most of them
  kHasRoom,  // the last: all before it hold whatever runs
};
inline constexpr std::size_t kFilterCount = 5;

// Whether `node` passes the filter for a task of `stage`, given that it passes those before.
using Passes = bool (*)(const Node& node, const Job& job, const StageSpec& stage);
extern const std::array<Passes, kFilterCount> kFilters;

// How many filters the node passes before the first that it does not: kFilterCount for all.
std::size_t filters_passed(const Node& node, const Job& job, const StageSpec& stage);

// Nodes that have the same of what the nodes of a gang must have in common.
struct AlikeNodes {
  std::uint64_t able = 0;  // large enough, with all labels
  std::uint64_t free = 0;  // of these with room
};

// One pool that the job may use, as a task of the stage sees it.
struct PoolView {
  const Pool* pool = nullptr;
  std::uint64_t wanted = 1;  // nodes, at once
  std::uint64_t nodes = 0;
  std::uint64_t lost = 0;
  std::uint64_t coming = 0;
  std::uint64_t closed = 0;                           // up, and closed to new work
  std::array<std::uint64_t, kFilterCount> passing{};  // nodes that pass this filter and all before
  std::uint64_t at_cap = 0;  // large enough, and with as many tasks as the pool allows
  bool contested = false;
  std::map<std::string_view, AlikeNodes> alike{};  // of a gang that asks for it; borrows from nodes

  // The first filter that fewer nodes pass than are wanted; kFilterCount if enough pass all.
  std::size_t lacks() const;
};

// A question, and what has been found out for all causes.
struct Asked {
  const State& state;
  const Job& job;
  const Stage& stage;
  StageRef ref;
  Time now;
  std::optional<std::uint64_t> position = std::nullopt;  // of the only task it is about
  std::uint64_t waiting = 0;                             // tasks that it is about
  std::uint64_t blocked = 0;
  std::uint64_t delayed = 0;
  std::vector<PoolView> pools = {};      // that the job may use
  std::vector<const PoolView*> of = {};  // those that lack least
  std::uint64_t ahead = 0;               // entries of the queue that contest one of the pools

  std::uint64_t tasks() const { return waiting + blocked + delayed; }
  // Positions that it is about.
  Interval where() const {
    return position ? Interval{*position, *position} : Interval{0, stage.cells.size() - 1};
  }

  // The pools among `of` that lack just this.
  std::vector<const PoolView*> lacking(Filter filter) const;
};

// Fills pools, of and ahead, if there are waiting tasks.
void survey(Asked& asked);

// Why tasks wait on purpose (why_waits.cc).
std::optional<Cause> held(const Asked& asked);
std::optional<Cause> delayed_try(const Asked& asked);
std::optional<Cause> start_within(const Asked& asked);
// One cause for each job that the stage comes after.
void explain_dependencies(const Asked& asked, std::vector<Cause>& causes);

// "fast, !slow": the labels that a node must have, or must not, for a task of the stage.
std::string required_text(const Asked& asked);

// Of a gang whose nodes have nothing in common: too few of each sort (why_gangs.cc).
std::optional<Cause> gang_divided(const Asked& asked);
// Of a gang: the cause that goes with the filter (why_gangs.cc).
std::optional<Cause> gang_lacks(const Asked& asked, Filter filter);

// What these pools do about it, to follow a message: whether they grow, and if not, why not; empty
// if there is nothing to say.
std::string growth_text(const Asked& asked, const std::vector<const PoolView*>& views);

}  // namespace leat::core
