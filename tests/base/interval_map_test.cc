// interval_map_test.cc - IntervalMap by hand, and against one value per number.

#include "base/interval_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"

namespace leat {
namespace {

struct Entry {
  Interval where;
  int value;
  friend bool operator==(const Entry&, const Entry&) = default;
};

std::vector<Entry> entries_of(const IntervalMap<int>& map) {
  std::vector<Entry> entries;
  map.for_each([&](Interval where, int value) { entries.push_back({where, value}); });
  return entries;
}

TEST(IntervalMap, BeginsAsOneEntry) {
  const IntervalMap<int> map(1'000'000, 7);
  EXPECT_EQ(map.entry_count(), 1u);
  EXPECT_EQ(map.at(999'999), 7);
}

TEST(IntervalMap, IsNothingWhenItsSizeIsZero) {
  const IntervalMap<int> map(0, 7);
  EXPECT_EQ(map.entry_count(), 0u);
  EXPECT_TRUE(entries_of(map).empty());
  EXPECT_DEATH((void)map.at(0), "CHECK");
}

TEST(IntervalMap, SplitsWhereValuesDifferAndFoldsWhereTheyAgreeAgain) {
  IntervalMap<int> map(10, 0);
  map.assign({3, 5}, 1);
  EXPECT_EQ(entries_of(map), (std::vector<Entry>{{{0, 2}, 0}, {{3, 5}, 1}, {{6, 9}, 0}}));
  map.assign({6, 9}, 1);
  EXPECT_EQ(entries_of(map), (std::vector<Entry>{{{0, 2}, 0}, {{3, 9}, 1}}));
  map.assign({0, 0}, 1);
  map.assign({1, 2}, 1);
  EXPECT_EQ(entries_of(map), (std::vector<Entry>{{{0, 9}, 1}}));
}

TEST(IntervalMap, ChangesEveryEntryOfARangeInPlace) {
  IntervalMap<int> map(10, 0);
  map.assign({2, 4}, 5);
  map.change({1, 3}, [](Interval, int& value) { ++value; });
  EXPECT_EQ(entries_of(map),
            (std::vector<Entry>{{{0, 0}, 0}, {{1, 1}, 1}, {{2, 3}, 6}, {{4, 4}, 5}, {{5, 9}, 0}}));
}

TEST(IntervalMap, CutsWhatItShowsToTheRangeAskedFor) {
  IntervalMap<std::string> map(10, "a");
  map.assign({4, 6}, "b");
  std::string seen;
  map.for_each({5, 8}, [&](Interval where, const std::string& value) {
    seen += std::to_string(where.first) + "-" + std::to_string(where.last) + value + " ";
  });
  EXPECT_EQ(seen, "5-6b 7-8a ");
}

TEST(IntervalMap, DiesBeyondItsEnd) {
  IntervalMap<int> map(10, 0);
  EXPECT_DEATH(map.assign({9, 10}, 1), "CHECK");
  EXPECT_DEATH(map.assign({5, 4}, 1), "CHECK");
  EXPECT_DEATH((void)map.at(10), "CHECK");
}

TEST(IntervalMapProperty, BehavesLikeOneValuePerNumber) {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    Random random(seed);
    const std::uint64_t size = 1 + random.below(60);
    IntervalMap<int> map(size, 0);
    std::vector<int> naive(size, 0);
    for (int step = 0; step < 60; ++step) {
      const std::uint64_t first = random.below(size);
      const Interval where{first, std::min(size - 1, first + random.below(20))};
      if (random.chance(70)) {
        const int value = static_cast<int>(random.below(3));
        map.assign(where, value);
        for (std::uint64_t n = where.first; n <= where.last; ++n) naive[n] = value;
      } else {
        const auto turn = [](int value) { return (value + 1) % 3; };
        // The parts told of are `where`, in order, each of one value.
        std::uint64_t told = where.first;
        map.change(where, [&](Interval part, int& value) {
          EXPECT_EQ(part.first, told) << "seed " << seed;
          for (told = part.first; told <= part.last; ++told) EXPECT_EQ(naive[told], value);
          value = turn(value);
        });
        EXPECT_EQ(told, where.last + 1) << "seed " << seed;
        for (std::uint64_t n = where.first; n <= where.last; ++n) naive[n] = turn(naive[n]);
      }

      std::uint64_t next = 0;
      int before = -1;
      map.for_each([&](Interval i, int value) {
        ASSERT_EQ(i.first, next) << "seed " << seed;
        ASSERT_NE(value, before) << "seed " << seed << ": equal neighbours are not folded";
        for (std::uint64_t n = i.first; n <= i.last; ++n) {
          ASSERT_EQ(naive[n], value) << "seed " << seed;
          ASSERT_EQ(map.at(n), value) << "seed " << seed;
        }
        before = value;
        next = i.last + 1;
      });
      ASSERT_EQ(next, size) << "seed " << seed;
      ASSERT_EQ(entries_of(map).size(), map.entry_count()) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace leat
