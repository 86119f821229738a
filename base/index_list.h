#pragma once

// index_list.h - which indices: ranges with steps, sorted, each index once.
//
// What users write (`1-100:2,7`), what facts are made of, and what batches on the wire name.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/interval_set.h"
#include "base/result.h"

namespace leat {

// `count` indices from `first`, `step` apart.
struct Stride {
  Index first = 0;
  std::uint64_t count = 1;
  std::uint64_t step = 1;

  Index last() const { return first + (count - 1) * step; }
  friend bool operator==(const Stride&, const Stride&) = default;
};

// A sorted list of distinct indices, held as strides that do not interleave: all of one stand
// before all of the next. A *position* is an element's place in the list, from 0.
//
// Invariants: count >= 1 and step >= 1 in every stride; last() of a stride < first of the next;
// every index < kIndexLimit; size() <= kTasksPerJobMax.
class IndexList {
 public:
  // Strides a list may have after sorting; what would need more is refused.
  static constexpr std::size_t kStridesMax = 1u << 20;

  IndexList() = default;

  // `count` indices from `first`. Preconditions of the invariants are checked.
  explicit IndexList(Stride stride);

  // Reads `RANGE[,RANGE]…`, RANGE = N | A-B | A-B:STEP. Overlapping parts are merged. Refused with
  // the offending part named: nothing, `5-1`, step 0, numbers out of range, too many tasks.
  static Result<IndexList> parse(std::string_view text);

  // From strides of an untrusted message: refused unless the invariants hold.
  static Result<IndexList> from_strides(const std::vector<Stride>& strides);

  // Folds indices into few strides. Precondition: strictly ascending, below kIndexLimit.
  static IndexList from_sorted(std::span<const Index> indices);

  std::uint64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const Stride> strides() const {
    if (!strides_.empty()) return strides_;
    return {&only_, empty() ? 0u : 1u};
  }

  // Precondition: position < size().
  Index at(std::uint64_t position) const;
  std::optional<std::uint64_t> position_of(Index index) const;

  // The elements at `positions`, in order. Precondition: all < size().
  IndexList select(const IntervalSet& positions) const;

  // Positions of all elements of `part`; nothing if one of them is not in this list, or if they
  // would make more than kStridesMax intervals.
  std::optional<IntervalSet> positions_of(const IndexList& part) const;

  // Calls visit(index) in ascending order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Stride& s : strides())
      for (std::uint64_t i = 0; i < s.count; ++i) visit(s.first + i * s.step);
  }

  // Every index, ascending. For lists known to be small (a batch).
  std::vector<Index> expand() const;

  // The form parse() reads.
  std::string to_string() const;

  friend bool operator==(const IndexList& a, const IndexList& b) {
    return std::ranges::equal(a.strides(), b.strides());
  }

 private:
  void append(Stride stride);
  // Which stride the element at `position` is in. Precondition: position < size().
  std::size_t stride_holding(std::uint64_t position) const;
  // The same for an index; nothing if the list does not have it.
  std::optional<std::size_t> stride_with(Index index) const;
  // The position of the first element of stride `n`.
  std::uint64_t start_of(std::size_t n) const { return strides_.empty() ? 0 : starts_[n]; }

  // A single stride, by far the usual case, is held in place.
  Stride only_;                        // if `strides_` is empty and size() > 0
  std::vector<Stride> strides_;        // else all of them,
  std::vector<std::uint64_t> starts_;  // and the position of each one's first element
  std::uint64_t size_ = 0;
};

}  // namespace leat
