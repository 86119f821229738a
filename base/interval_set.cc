#include "base/interval_set.h"

#include <algorithm>

#include "base/check.h"

namespace leat {
namespace {

// What two intervals that meet have in common.
Interval common(Interval a, Interval b) {
  return {std::max(a.first, b.first), std::min(a.last, b.last)};
}

bool meet(Interval a, Interval b) {
  return a.first <= b.last && b.first <= a.last;
}

}  // namespace

void IntervalSet::spread() {
  intervals_.insert(intervals_.end(), only_.first, only_.last);
}

IntervalSet::Intervals::Cursor IntervalSet::reaching(std::uint64_t number) const {
  const auto after = intervals_.above(number);
  if (after == intervals_.begin()) return after;
  const auto before = intervals_.previous(after);
  return intervals_.value(before) >= number ? before : after;
}

bool IntervalSet::insert_in_place(Interval interval) {
  if (!empty() && !is_single()) return false;
  const bool touches =
      empty() || (interval.first <= only_.last + 1 && only_.first <= interval.last + 1);
  if (!touches) {
    spread();
    return false;
  }
  if (!empty())
    interval = {std::min(only_.first, interval.first), std::max(only_.last, interval.last)};
  only_ = interval;
  size_ = interval.size();
  return true;
}

bool IntervalSet::erase_in_place(Interval interval) {
  if (!is_single()) return false;
  if (!meet(only_, interval)) return true;
  const bool low = only_.first < interval.first;
  const bool high = only_.last > interval.last;
  if (low && high) {
    spread();
    return false;
  }
  size_ -= common(only_, interval).size();
  if (low) only_.last = interval.first - 1;
  if (high) only_.first = interval.last + 1;
  return true;
}

void IntervalSet::insert(Interval interval) {
  LEAT_CHECK(interval.first <= interval.last);
  LEAT_CHECK(interval.last < kNumberMax);
  // Neighbours that touch are merged too.
  if (insert_in_place(interval)) return;
  auto at = reaching(interval.first == 0 ? 0 : interval.first - 1);
  if (at == intervals_.end() || intervals_.key(at) > interval.last + 1) {
    intervals_.insert(at, interval.first, interval.last);
    size_ += interval.size();
    return;
  }
  // The first that touches grows over all the others.
  Interval grown = interval_at(at);
  size_ -= grown.size();
  grown.first = std::min(grown.first, interval.first);
  grown.last = std::max(grown.last, interval.last);
  for (auto other = intervals_.next(at);
       other != intervals_.end() && intervals_.key(other) <= grown.last + 1;
       other = intervals_.next(at)) {
    size_ -= interval_at(other).size();
    grown.last = std::max(grown.last, intervals_.value(other));
    intervals_.erase(other);
  }
  intervals_.set_key(at, grown.first);
  intervals_.value(at) = grown.last;
  size_ += grown.size();
}

void IntervalSet::erase(Interval interval) {
  LEAT_CHECK(interval.first <= interval.last);
  if (erase_in_place(interval)) return;
  auto at = reaching(interval.first);
  while (at != intervals_.end() && intervals_.key(at) <= interval.last) {
    const Interval old = interval_at(at);
    const bool low = old.first < interval.first;
    const bool high = old.last > interval.last;
    size_ -= common(old, interval).size();
    if (low) intervals_.value(at) = interval.first - 1;
    if (low && high) intervals_.insert(intervals_.next(at), interval.last + 1, old.last);
    if (!low && high) intervals_.set_key(at, interval.last + 1);
    if (high) return;
    at = low ? intervals_.next(at) : intervals_.erase(at);
  }
}

void IntervalSet::insert_all(const IntervalSet& other) {
  other.for_each([this](Interval i) { insert(i); });
}

void IntervalSet::erase_all(const IntervalSet& other) {
  other.for_each([this](Interval i) { erase(i); });
}

void IntervalSet::clear() {
  intervals_.clear();
  size_ = 0;
}

bool IntervalSet::contains(std::uint64_t value) const {
  return contains(Interval{value, value});
}

bool IntervalSet::contains(Interval interval) const {
  if (is_single()) return only_.first <= interval.first && only_.last >= interval.last;
  const auto at = reaching(interval.first);
  return at != intervals_.end() && intervals_.key(at) <= interval.first &&
         intervals_.value(at) >= interval.last;
}

bool IntervalSet::intersects(Interval interval) const {
  if (is_single()) return meet(only_, interval);
  const auto at = reaching(interval.first);
  return at != intervals_.end() && intervals_.key(at) <= interval.last;
}

IntervalSet IntervalSet::within(Interval interval) const {
  IntervalSet result;
  if (is_single() && meet(only_, interval)) result.insert(common(only_, interval));
  for (auto at = reaching(interval.first);
       at != intervals_.end() && intervals_.key(at) <= interval.last; at = intervals_.next(at))
    result.insert(common(interval_at(at), interval));
  return result;
}

IntervalSet IntervalSet::intersection(const IntervalSet& other) const {
  const bool other_is_small = other.interval_count() < interval_count();
  const IntervalSet& small = other_is_small ? other : *this;
  const IntervalSet& large = other_is_small ? *this : other;
  IntervalSet result;
  small.for_each([&](Interval i) { result.insert_all(large.within(i)); });
  return result;
}

IntervalSet IntervalSet::lowest(std::uint64_t count) const {
  if (size_ <= count) return *this;
  IntervalSet result;
  if (count == 0) return result;
  if (is_single()) return {only_.first, only_.first + count - 1};
  for (auto at = intervals_.begin(); at != intervals_.end() && count > 0;
       at = intervals_.next(at)) {
    const Interval found = interval_at(at);
    const std::uint64_t taken = std::min(count, found.size());
    result.insert(Interval{found.first, found.first + taken - 1});
    count -= taken;
  }
  return result;
}

Interval IntervalSet::front() const {
  LEAT_CHECK(!empty());
  return is_single() ? only_ : interval_at(intervals_.begin());
}

std::vector<Interval> IntervalSet::intervals() const {
  std::vector<Interval> result;
  result.reserve(interval_count());
  for_each([&result](Interval i) { result.push_back(i); });
  return result;
}

bool operator==(const IntervalSet& a, const IntervalSet& b) {
  if (a.size_ != b.size_ || a.interval_count() != b.interval_count()) return false;
  // One interval may be held in either form.
  if (a.interval_count() <= 1) return a.empty() || a.front() == b.front();
  return a.intervals_ == b.intervals_;
}

}  // namespace leat
