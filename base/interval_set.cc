#include "base/interval_set.h"

#include <algorithm>

#include "base/check.h"

namespace leat {

IntervalSet::Intervals::Cursor IntervalSet::reaching(std::uint64_t number) const {
  const auto after = intervals_.above(number);
  if (after == intervals_.begin()) return after;
  const auto before = intervals_.previous(after);
  return intervals_.value(before) >= number ? before : after;
}

void IntervalSet::insert(Interval interval) {
  LEAT_CHECK(interval.first <= interval.last);
  LEAT_CHECK(interval.last < kNumberMax);
  // Neighbours that touch are merged too.
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
  auto at = reaching(interval.first);
  while (at != intervals_.end() && intervals_.key(at) <= interval.last) {
    const Interval old = interval_at(at);
    const bool low = old.first < interval.first;
    const bool high = old.last > interval.last;
    size_ -= std::min(old.last, interval.last) - std::max(old.first, interval.first) + 1;
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
  const auto at = reaching(interval.first);
  return at != intervals_.end() && intervals_.key(at) <= interval.first &&
         intervals_.value(at) >= interval.last;
}

bool IntervalSet::intersects(Interval interval) const {
  const auto at = reaching(interval.first);
  return at != intervals_.end() && intervals_.key(at) <= interval.last;
}

IntervalSet IntervalSet::within(Interval interval) const {
  IntervalSet result;
  for (auto at = reaching(interval.first);
       at != intervals_.end() && intervals_.key(at) <= interval.last; at = intervals_.next(at)) {
    const Interval found = interval_at(at);
    result.insert(
        Interval{std::max(found.first, interval.first), std::min(found.last, interval.last)});
  }
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
  IntervalSet result;
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
  LEAT_CHECK(!intervals_.empty());
  return interval_at(intervals_.begin());
}

std::vector<Interval> IntervalSet::intervals() const {
  std::vector<Interval> result;
  result.reserve(intervals_.size());
  for_each([&result](Interval i) { result.push_back(i); });
  return result;
}

}  // namespace leat
