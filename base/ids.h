#pragma once

// ids.h - numbers that cannot be mixed up, and the names built from them.
//
// These names never change, on the wire or on disk (docs/store.md).

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace leat {

// A number for one kind of thing. Ids of different kinds convert neither into each other nor
// into an integer. Zero means "none"; real ids start at 1.
template <typename Tag, typename Rep>
struct Id {
  Rep value = 0;

  constexpr explicit operator bool() const { return value != 0; }
  friend constexpr auto operator<=>(Id, Id) = default;
};

using JobId = Id<struct JobTag, std::uint64_t>;
using PoolId = Id<struct PoolTag, std::uint32_t>;
using NodeId = Id<struct NodeTag, std::uint32_t>;
using NodeEpoch = Id<struct NodeEpochTag, std::uint64_t>;  // one life of a node; never repeats
using HeadEpoch = Id<struct HeadEpochTag, std::uint64_t>;  // one life of the head; never repeats

// Stages count from 0: a plain job has stage 0 only.
using StageId = std::uint16_t;
// What users call a task's number. Less than kIndexLimit.
using Index = std::uint64_t;
// 1 for a task's first run. A new number for every run, whatever ended the one before.
using Attempt = std::uint32_t;

inline constexpr Index kIndexLimit = Index{1} << 48;
inline constexpr std::uint64_t kTasksPerJobMax = std::uint64_t{1} << 32;

// One life of one node.
struct NodeRef {
  NodeId id;
  NodeEpoch epoch;

  friend constexpr auto operator<=>(const NodeRef&, const NodeRef&) = default;
};

// One stage of one job: all its tasks share program, resources and policies.
struct StageRef {
  JobId job;
  StageId stage = 0;

  friend constexpr auto operator<=>(const StageRef&, const StageRef&) = default;
};

// One attempt at one task. Every report carries it, so that a late word from an earlier attempt
// cannot pass for news about the current one.
struct RunId {
  JobId job;
  StageId stage = 0;
  Attempt attempt = 0;
  Index index = 0;

  friend constexpr auto operator<=>(const RunId&, const RunId&) = default;
};

}  // namespace leat

template <typename Tag, typename Rep>
struct std::hash<leat::Id<Tag, Rep>> {
  std::size_t operator()(leat::Id<Tag, Rep> id) const noexcept { return id.value; }
};
