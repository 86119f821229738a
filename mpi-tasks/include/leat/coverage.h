#pragma once

// coverage.h - which elements a partial result stands for, and of what whole.
//
// Units:   indices of elements, below 2^48. An element is what a program calls so: with an array,
//          most simply the task of that index.
// Thread:  values and pure functions.
// Errors:  CoverageError, before anything is changed.

#include <boost/serialization/vector.hpp>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <leat/payload.h>

namespace leat {

inline constexpr std::uint64_t kIndexMax = (std::uint64_t{1} << 48) - 1;

// Partial results that must not be combined, or a whole that is none. what() is one line.
class CoverageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Elements `first` to `last`, both included.
struct IndexRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  [[nodiscard]] std::uint64_t size() const { return last - first + 1; }
  bool operator==(const IndexRange&) const = default;

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& first& last;
  }
};

// What a result is a part of. Parts of different wholes are never combined.
struct Origin {
  std::uint64_t job = 0;       // 0: not run by Leat
  std::uint32_t stage = 0;     // of the tasks, not of their reduce
  std::uint64_t elements = 0;  // how many the whole has; 0: not known

  bool operator==(const Origin&) const = default;

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& job& stage& elements;
  }
};

// What a task or a reduce step writes: values and what they cover. Ascending and disjoint; one
// value for each range, or, of a commutative reducer, one value for all of them.
template <typename T>
struct Pieces {
  Origin origin;
  std::vector<IndexRange> covered;
  std::vector<T> values;

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& origin& covered& values;
  }
};

template <typename T>
struct PayloadName<Pieces<T>> {
  static std::string of() { return "pieces of " + PayloadName<T>::of(); }
};

// The elements of a larger work that one task is to do: `count` from `first` on.
struct Share {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  bool operator==(const Share&) const = default;
};

// Part `part` of `parts` of `whole`, all as large as each other but for one element; of few
// elements some parts have none. REQUIRES: part < parts.
Share share_of(Share whole, std::uint64_t part, std::uint64_t parts);

// As people write them: "0-63, 70", the middle left out where there are many.
std::string text_of(std::span<const IndexRange> ranges);

namespace detail {

std::uint64_t elements_of(std::span<const IndexRange> ranges);

// Throws CoverageError unless the ranges ascend, are disjoint and lie below kIndexMax.
void require_ascending(std::span<const IndexRange> ranges);

// Throws CoverageError if an element is in both. REQUIRES: both ascend.
void require_disjoint(std::span<const IndexRange> left, std::span<const IndexRange> right);

// Both, neighbours as one range. REQUIRES: both ascend, disjoint.
std::vector<IndexRange> united(std::span<const IndexRange> left, std::span<const IndexRange> right);

// What is not covered between the first and the last element that is.
std::vector<IndexRange> gaps_in(std::span<const IndexRange> ranges);

// The origin of a result made of both. Throws CoverageError if they are of different wholes.
Origin common_origin(const Origin& left, const Origin& right);

// Throws CoverageError unless the ranges are the whole: as many elements as it has, or, where that
// is not known, without a gap unless `gaps_are_fine`.
void require_whole(const Origin& origin, std::span<const IndexRange> ranges, bool gaps_are_fine);

// Whether it is a node of the fixed tree: 2^n elements that begin at a multiple of 2^n.
bool is_tree_node(const IndexRange& range);

// Whether the two are the children of one node of the fixed tree.
bool are_siblings(const IndexRange& left, const IndexRange& right);

// Where a run of tree nodes parts in two below their lowest common ancestor: how many go left.
// REQUIRES: two or more, ascending.
std::size_t left_of_fork(std::span<const IndexRange> nodes);

}  // namespace detail
}  // namespace leat
