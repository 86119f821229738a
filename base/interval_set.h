#pragma once

// interval_set.h - a set of numbers, held as few intervals.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/sorted_chunks.h"

namespace leat {

// first..last, both included.
struct Interval {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  std::uint64_t size() const { return last - first + 1; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

// Sorted, disjoint, non-adjacent intervals. All operations are O(log n) in the number of
// intervals plus the number of intervals they touch. A single interval, by far the usual case,
// takes no memory besides the object.
class IntervalSet {
 public:
  // Numbers are below this, so that the one after a number is a number too.
  static constexpr std::uint64_t kNumberMax = ~std::uint64_t{0};

  IntervalSet() = default;
  IntervalSet(std::uint64_t first, std::uint64_t last) { insert(Interval{first, last}); }

  bool empty() const { return size_ == 0; }
  std::uint64_t size() const { return size_; }
  std::size_t interval_count() const { return is_single() ? 1 : intervals_.size(); }

  void insert(Interval interval);
  void erase(Interval interval);
  void insert_all(const IntervalSet& other);
  void erase_all(const IntervalSet& other);
  void clear();

  bool contains(std::uint64_t value) const;
  // Every number of `interval` is in the set.
  bool contains(Interval interval) const;
  // At least one is.
  bool intersects(Interval interval) const;

  // The part of the set within `interval`.
  IntervalSet within(Interval interval) const;
  IntervalSet intersection(const IntervalSet& other) const;

  // The lowest `count` numbers, or all if there are fewer.
  IntervalSet lowest(std::uint64_t count) const;

  // The interval with the lowest numbers. Precondition: not empty.
  Interval front() const;

  // Ascending.
  std::vector<Interval> intervals() const;

  template <typename Visit>
  void for_each(Visit visit) const {
    if (is_single()) visit(only_);
    for (auto i = intervals_.begin(); i != intervals_.end(); i = intervals_.next(i))
      visit(interval_at(i));
  }

  friend bool operator==(const IntervalSet& a, const IntervalSet& b);

 private:
  using Intervals = SortedChunks<std::uint64_t>;  // first -> last

  bool is_single() const { return size_ > 0 && intervals_.empty(); }
  // True if that was all there was to do; else the set is in chunks now.
  bool insert_in_place(Interval interval);
  bool erase_in_place(Interval interval);
  // From one interval held in place to one in chunks.
  void spread();

  Interval interval_at(Intervals::Cursor at) const {
    return {intervals_.key(at), intervals_.value(at)};
  }
  // The first interval in chunks that ends at or after `number`.
  Intervals::Cursor reaching(std::uint64_t number) const;

  Interval only_;        // the whole set, if it is not empty and there are no chunks
  Intervals intervals_;  // else all of it
  std::uint64_t size_ = 0;
};

}  // namespace leat
