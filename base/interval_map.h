#pragma once

// interval_map.h - a value for every number of a line, equal neighbours folded.

#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/interval_set.h"

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
    if (size > 0) entries_.emplace(0, std::move(value));
  }

  std::uint64_t size() const { return size_; }
  std::size_t entry_count() const { return entries_.size(); }

  // Precondition: number < size().
  const V& at(std::uint64_t number) const {
    LEAT_CHECK(number < size_);
    return std::prev(entries_.upper_bound(number))->second;
  }

  // Gives every number of `where` the value `value`.
  void assign(Interval where, const V& value) {
    change(where, [&value](V& v) { v = value; });
  }

  // Calls change(V&) for every entry within `where`, splitting at its ends and folding after.
  template <typename Change>
  void change(Interval where, Change change) {
    LEAT_CHECK(where.first <= where.last && where.last < size_);
    auto at = split(where.first);
    const auto end = where.last + 1 == size_ ? entries_.end() : split(where.last + 1);
    for (auto i = at; i != end; ++i) change(i->second);
    fold(at, end);
  }

  // Calls visit(Interval, const V&) for every entry that meets `where`, cut to it.
  template <typename Visit>
  void for_each(Interval where, Visit visit) const {
    if (size_ == 0) return;
    LEAT_CHECK(where.first <= where.last && where.last < size_);
    for (auto i = std::prev(entries_.upper_bound(where.first));
         i != entries_.end() && i->first <= where.last; ++i) {
      const std::uint64_t first = i->first < where.first ? where.first : i->first;
      const std::uint64_t entry_last = last_of(i);
      visit(Interval{first, entry_last > where.last ? where.last : entry_last}, i->second);
    }
  }

  template <typename Visit>
  void for_each(Visit visit) const {
    if (size_ > 0) for_each(Interval{0, size_ - 1}, visit);
  }

 private:
  using Entries = std::map<std::uint64_t, V>;

  std::uint64_t last_of(typename Entries::const_iterator i) const {
    const auto after = std::next(i);
    return (after == entries_.end() ? size_ : after->first) - 1;
  }

  // The entry that begins at `number`, made by cutting if need be.
  typename Entries::iterator split(std::uint64_t number) {
    auto i = std::prev(entries_.upper_bound(number));
    if (i->first == number) return i;
    return entries_.emplace_hint(std::next(i), number, i->second);
  }

  // Joins equal neighbours from the entry before `at` to the entry at `end`.
  void fold(typename Entries::iterator at, typename Entries::iterator end) {
    if (at != entries_.begin()) --at;
    for (;;) {
      const auto after = std::next(at);
      if (after == entries_.end()) return;
      const bool was_last = after == end;
      if (after->second == at->second) {
        entries_.erase(after);
      } else {
        at = after;
      }
      if (was_last) return;
    }
  }

  std::uint64_t size_ = 0;
  Entries entries_;  // first number -> value
};

}  // namespace leat
