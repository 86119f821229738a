// interval_set_test.cc - IntervalSet by hand, and against std::set.

#include "base/interval_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/random.h"

namespace leat {
namespace {

using Intervals = std::vector<Interval>;

TEST(IntervalSet, JoinsWhatTouches) {
  IntervalSet set(5, 7);
  set.insert({8, 9});
  set.insert({3, 4});
  EXPECT_EQ(set.intervals(), (Intervals{{3, 9}}));
  set.insert({11, 11});
  EXPECT_EQ(set.intervals(), (Intervals{{3, 9}, {11, 11}}));
  set.insert({0, 100});
  EXPECT_EQ(set.intervals(), (Intervals{{0, 100}}));
  EXPECT_EQ(set.size(), 101u);
}

TEST(IntervalSet, CutsAtBothEnds) {
  IntervalSet set(0, 10);
  set.erase({4, 6});
  EXPECT_EQ(set.intervals(), (Intervals{{0, 3}, {7, 10}}));
  set.erase({0, 0});
  set.erase({10, 10});
  EXPECT_EQ(set.intervals(), (Intervals{{1, 3}, {7, 9}}));
  set.erase({2, 8});
  EXPECT_EQ(set.intervals(), (Intervals{{1, 1}, {9, 9}}));
  set.erase({0, 100});
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.size(), 0u);
}

TEST(IntervalSet, ErasesNothingFromNothing) {
  IntervalSet set;
  set.erase({0, IntervalSet::kNumberMax});
  EXPECT_TRUE(set.empty());
}

TEST(IntervalSet, TakesTheLowestNumbers) {
  IntervalSet set(0, 3);
  set.insert({10, 20});
  EXPECT_EQ(set.lowest(0), IntervalSet());
  EXPECT_EQ(set.lowest(2), IntervalSet(0, 1));
  EXPECT_EQ(set.lowest(6).intervals(), (Intervals{{0, 3}, {10, 11}}));
  EXPECT_EQ(set.lowest(1000), set);
  EXPECT_EQ(set.front(), (Interval{0, 3}));
}

TEST(IntervalSet, HoldsTheLargestNumbers) {
  const std::uint64_t top = IntervalSet::kNumberMax - 1;
  IntervalSet set(top, top);
  set.insert({top - 1, top - 1});
  EXPECT_EQ(set.intervals(), (Intervals{{top - 1, top}}));
  EXPECT_TRUE(set.contains(top));
}

TEST(IntervalSet, DiesOnAnIntervalThatIsNone) {
  IntervalSet set;
  EXPECT_DEATH(set.insert({2, 1}), "CHECK");
  EXPECT_DEATH(set.erase({2, 1}), "CHECK");
  EXPECT_DEATH(set.insert({0, IntervalSet::kNumberMax}), "CHECK");
  EXPECT_DEATH((void)set.front(), "CHECK");
}

// --- against std::set -------------------------------------------------------------------------

constexpr std::uint64_t kLine = 80;
using Naive = std::set<std::uint64_t>;

Interval random_interval(Random& random) {
  const std::uint64_t first = random.below(kLine);
  return {first, std::min(kLine - 1, first + random.below(20))};
}

Naive naive_of(const IntervalSet& set) {
  Naive naive;
  set.for_each([&](Interval i) {
    for (std::uint64_t n = i.first; n <= i.last; ++n) naive.insert(n);
  });
  return naive;
}

void expect_same(const IntervalSet& set, const Naive& naive, std::uint64_t seed) {
  ASSERT_EQ(naive_of(set), naive) << "seed " << seed;
  ASSERT_EQ(set.size(), naive.size()) << "seed " << seed;
  ASSERT_EQ(set.interval_count(), set.intervals().size()) << "seed " << seed;
  const Intervals intervals = set.intervals();
  for (std::size_t i = 1; i < intervals.size(); ++i)  // a gap of at least one between two
    ASSERT_GT(intervals[i].first, intervals[i - 1].last + 1) << "seed " << seed;
}

// Every question about `set`, answered by counting.
void expect_same_answers(const IntervalSet& set, const Naive& naive, Random& random,
                         std::uint64_t seed) {
  const Interval where = random_interval(random);
  Naive inside;
  for (std::uint64_t n = where.first; n <= where.last; ++n)
    if (naive.contains(n)) inside.insert(n);
  ASSERT_EQ(set.contains(where), inside.size() == where.size()) << "seed " << seed;
  ASSERT_EQ(set.intersects(where), !inside.empty()) << "seed " << seed;
  ASSERT_EQ(set.contains(where.first), naive.contains(where.first)) << "seed " << seed;
  expect_same(set.within(where), inside, seed);

  const std::uint64_t count = random.below(kLine);
  Naive lowest;
  for (const std::uint64_t n : naive)
    if (lowest.size() < count) lowest.insert(n);
  expect_same(set.lowest(count), lowest, seed);
}

TEST(IntervalSetProperty, BehavesLikeASetOfNumbers) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    IntervalSet set;
    Naive naive;
    for (int step = 0; step < 60; ++step) {
      const Interval interval = random_interval(random);
      if (random.chance(55)) {
        set.insert(interval);
        for (std::uint64_t n = interval.first; n <= interval.last; ++n) naive.insert(n);
      } else {
        set.erase(interval);
        for (std::uint64_t n = interval.first; n <= interval.last; ++n) naive.erase(n);
      }
      ASSERT_NO_FATAL_FAILURE(expect_same(set, naive, seed));
      ASSERT_NO_FATAL_FAILURE(expect_same_answers(set, naive, random, seed));
    }
  }
}

IntervalSet random_set(Random& random) {
  IntervalSet set;
  for (std::uint64_t n = random.below(8); n > 0; --n) set.insert(random_interval(random));
  for (std::uint64_t n = random.below(8); n > 0; --n) set.erase(random_interval(random));
  return set;
}

TEST(IntervalSetProperty, CombinesTwoSetsLikeSets) {
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    Random random(seed);
    const IntervalSet a = random_set(random);
    const IntervalSet b = random_set(random);
    const Naive na = naive_of(a);
    const Naive nb = naive_of(b);
    Naive joined = na;
    joined.insert(nb.begin(), nb.end());
    Naive common;
    Naive only_a;
    for (const std::uint64_t n : na) (nb.contains(n) ? common : only_a).insert(n);

    IntervalSet sum = a;
    sum.insert_all(b);
    IntervalSet difference = a;
    difference.erase_all(b);
    ASSERT_NO_FATAL_FAILURE(expect_same(sum, joined, seed));
    ASSERT_NO_FATAL_FAILURE(expect_same(difference, only_a, seed));
    ASSERT_NO_FATAL_FAILURE(expect_same(a.intersection(b), common, seed));
    ASSERT_EQ(a.intersection(b), b.intersection(a)) << "seed " << seed;
    ASSERT_EQ(a == b, na == nb) << "seed " << seed;
  }
}

}  // namespace
}  // namespace leat
