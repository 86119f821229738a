#include <leat/coverage.h>

#include <gtest/gtest.h>

#include <vector>

namespace leat {
namespace {

using Ranges = std::vector<IndexRange>;

TEST(Coverage, IsWrittenAsPeopleDo) {
  EXPECT_EQ(text_of(Ranges{}), "nothing");
  EXPECT_EQ(text_of(Ranges{{0, 63}, {70, 70}}), "0-63, 70");
  EXPECT_EQ(text_of(Ranges{{0, 0}, {2, 2}, {4, 4}, {6, 6}, {8, 8}, {10, 10}, {12, 14}}),
            "0, 2, 4, 6, 8, …, 12-14");
}

TEST(Coverage, UnitesNeighbours) {
  EXPECT_EQ(detail::united(Ranges{{0, 3}, {8, 9}}, Ranges{{4, 7}, {12, 12}}),
            (Ranges{{0, 9}, {12, 12}}));
  EXPECT_EQ(detail::gaps_in(Ranges{{3, 4}, {6, 6}, {7, 9}, {20, 21}}), (Ranges{{5, 5}, {10, 19}}));
}

TEST(Coverage, RefusesWhatIsInBoth) {
  EXPECT_NO_THROW(detail::require_disjoint(Ranges{{0, 3}, {8, 9}}, Ranges{{4, 7}}));
  EXPECT_THROW(detail::require_disjoint(Ranges{{0, 3}, {8, 9}}, Ranges{{5, 8}}), CoverageError);
  EXPECT_THROW(detail::require_disjoint(Ranges{{5, 5}}, Ranges{{0, 9}}), CoverageError);
}

TEST(Coverage, RefusesRangesThatAreNone) {
  EXPECT_THROW(detail::require_ascending(Ranges{{3, 2}}), CoverageError);
  EXPECT_THROW(detail::require_ascending(Ranges{{0, kIndexMax + 1}}), CoverageError);
  EXPECT_THROW(detail::require_ascending(Ranges{{4, 5}, {5, 6}}), CoverageError);
  EXPECT_THROW(detail::require_ascending(Ranges{{4, 5}, {0, 1}}), CoverageError);
  EXPECT_NO_THROW(detail::require_ascending(Ranges{{0, 1}, {2, kIndexMax}}));
}

TEST(Coverage, KnowsTheNodesOfTheTree) {
  EXPECT_TRUE(detail::is_tree_node({12, 15}));
  EXPECT_FALSE(detail::is_tree_node({10, 13}));
  EXPECT_FALSE(detail::is_tree_node({0, 2}));
  EXPECT_TRUE(detail::are_siblings({8, 11}, {12, 15}));
  EXPECT_FALSE(detail::are_siblings({4, 7}, {8, 11}));
  EXPECT_FALSE(detail::are_siblings({8, 11}, {12, 13}));
  EXPECT_EQ(detail::left_of_fork(Ranges{{1, 1}, {2, 3}, {4, 7}, {8, 8}}), 3u);
  EXPECT_EQ(detail::left_of_fork(Ranges{{5, 5}, {6, 6}}), 1u);
}

TEST(Share, DividesEverythingOnce) {
  for (const std::uint64_t elements : {0u, 1u, 7u, 64u, 65u})
    for (const std::uint64_t parts : {1u, 2u, 7u, 100u}) {
      std::uint64_t next = 10;
      for (std::uint64_t part = 0; part < parts; ++part) {
        const Share share = share_of({10, elements}, part, parts);
        EXPECT_EQ(share.first, next);
        EXPECT_LE(share.count, elements / parts + 1);
        EXPECT_GE(share.count, elements / parts);
        next += share.count;
      }
      EXPECT_EQ(next, 10 + elements);
    }
}

}  // namespace
}  // namespace leat
