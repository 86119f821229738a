#include "base/interval_set.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace leat {

void IntervalSet::insert(Interval interval) {
  LEAT_CHECK(interval.first <= interval.last);
  LEAT_CHECK(interval.last < kNumberMax);
  std::uint64_t first = interval.first;
  std::uint64_t last = interval.last;
  auto at = intervals_.upper_bound(first);
  if (at != intervals_.begin()) {
    const auto before = std::prev(at);
    if (before->second + 1 >= first) at = before;
  }
  while (at != intervals_.end() && at->first <= last + 1) {
    first = std::min(first, at->first);
    last = std::max(last, at->second);
    size_ -= at->second - at->first + 1;
    at = intervals_.erase(at);
  }
  intervals_.emplace_hint(at, first, last);
  size_ += last - first + 1;
}

void IntervalSet::erase(Interval interval) {
  LEAT_CHECK(interval.first <= interval.last);
  auto at = intervals_.upper_bound(interval.first);
  if (at != intervals_.begin() && std::prev(at)->second >= interval.first) --at;
  while (at != intervals_.end() && at->first <= interval.last) {
    const auto [first, last] = *at;
    size_ -= last - first + 1;
    at = intervals_.erase(at);
    if (last > interval.last) {
      at = intervals_.emplace_hint(at, interval.last + 1, last);
      size_ += last - interval.last;
    }
    if (first < interval.first) {
      intervals_.emplace_hint(at, first, interval.first - 1);
      size_ += interval.first - first;
    }
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
  const auto after = intervals_.upper_bound(interval.first);
  return after != intervals_.begin() && std::prev(after)->second >= interval.last;
}

bool IntervalSet::intersects(Interval interval) const {
  const auto after = intervals_.upper_bound(interval.last);
  return after != intervals_.begin() && std::prev(after)->second >= interval.first;
}

IntervalSet IntervalSet::within(Interval interval) const {
  IntervalSet result;
  auto at = intervals_.upper_bound(interval.first);
  if (at != intervals_.begin()) --at;
  for (; at != intervals_.end() && at->first <= interval.last; ++at) {
    if (at->second < interval.first) continue;
    result.insert({std::max(at->first, interval.first), std::min(at->second, interval.last)});
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
  for (const auto& [first, last] : intervals_) {
    if (count == 0) break;
    const std::uint64_t taken = std::min(count, last - first + 1);
    result.insert({first, first + taken - 1});
    count -= taken;
  }
  return result;
}

Interval IntervalSet::front() const {
  LEAT_CHECK(!intervals_.empty());
  return {intervals_.begin()->first, intervals_.begin()->second};
}

std::vector<Interval> IntervalSet::intervals() const {
  std::vector<Interval> result;
  result.reserve(intervals_.size());
  for_each([&result](Interval i) { result.push_back(i); });
  return result;
}

}  // namespace leat
