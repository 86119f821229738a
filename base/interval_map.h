#pragma once

// interval_map.h - a value for every number of a line, equal neighbours folded.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/check.h"
#include "base/interval_set.h"
#include "base/sorted_chunks.h"

namespace leat {

// Maps every number of 0..size-1 to a V. Numbers with equal values that follow each other cost
// one entry, so a million equal tasks are one.
//
// Invariants: entries partition 0..size-1; neighbouring entries differ.
template <typename V>
class IntervalMap {
 public:
  IntervalMap() = default;
  IntervalMap(std::uint64_t size, V value) : size_(size) {
    if (size > 0) entries_.insert(entries_.end(), 0, std::move(value));
  }

  std::uint64_t size() const { return size_; }
  std::size_t entry_count() const { return entries_.size(); }

  // Precondition: number < size().
  const V& at(std::uint64_t number) const {
    LEAT_CHECK(number < size_);
    return entries_.value(entry_of(number));
  }

  // Gives every number of `where` the value `value`.
  void assign(Interval where, const V& value) {
    change(where, [&value](Interval, V& v) { v = value; });
  }

  // Calls change(Interval, V&) for every entry within `where`, splitting at its ends and folding
  // after.
  template <typename Change>
  void change(Interval where, Change change) {
    LEAT_CHECK(where.first <= where.last && where.last < size_);
    auto i = entry_of(where.first);
    if (entries_.key(i) < where.first)
      i = entries_.insert(entries_.next(i), where.first, V(entries_.value(i)));
    for (bool last = false; !last;) {
      const Interval part{entries_.key(i), std::min(last_of(i), where.last)};
      if (part.last < last_of(i))
        i = entries_.previous(
            entries_.insert(entries_.next(i), part.last + 1, V(entries_.value(i))));
      change(part, entries_.value(i));
      i = fold_into_previous(i);
      last = part.last == where.last;
    }
    // The neighbour behind may now be as the last that was changed.
    if (i != entries_.end()) fold_into_previous(i);
  }

  // Calls visit(Interval, const V&) for every entry that meets `where`, cut to it.
  template <typename Visit>
  void for_each(Interval where, Visit visit) const {
    if (size_ == 0) return;
    LEAT_CHECK(where.first <= where.last && where.last < size_);
    for (auto i = entry_of(where.first); i != entries_.end() && entries_.key(i) <= where.last;
         i = entries_.next(i)) {
      const std::uint64_t first = std::max(entries_.key(i), where.first);
      visit(Interval{first, std::min(last_of(i), where.last)}, entries_.value(i));
    }
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    if (size_ > 0) for_each(Interval{0, size_ - 1}, visit);
  }

 private:
  using Entries = SortedChunks<V>;  // first number -> value

  typename Entries::Cursor entry_of(std::uint64_t number) const {
    return entries_.previous(entries_.above(number));
  }

  std::uint64_t last_of(typename Entries::Cursor i) const {
    const auto after = entries_.next(i);
    return after == entries_.end() ? size_ - 1 : entries_.key(after) - 1;
  }

  // Drops the entry if it is as the one before it. Returns where the next stands.
  typename Entries::Cursor fold_into_previous(typename Entries::Cursor i) {
    if (i == entries_.begin()) return entries_.next(i);
    if (!(entries_.value(entries_.previous(i)) == entries_.value(i))) return entries_.next(i);
    return entries_.erase(i);
  }

  std::uint64_t size_ = 0;
  Entries entries_;
};

}  // namespace leat
