// run_columns_test.cc - columns fold, and rows come back out of them.

#include "base/run_columns.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace leat {
namespace {

std::vector<int> values_of(const std::vector<int>& values) {
  const Column<int> column(values);
  return {column.values().begin(), column.values().end()};
}

TEST(Column, FoldsEqualValues) {
  EXPECT_TRUE(Column<int>(std::vector<int>{}).values().empty());
  EXPECT_TRUE(Column<int>(std::vector<int>{0, 0, 0}).values().empty());
  EXPECT_EQ(values_of({7, 7, 7}), (std::vector<int>{7}));
  EXPECT_EQ(values_of({7, 7, 8}), (std::vector<int>{7, 7, 8}));
}

TEST(Column, IsTheSameHoweverItWasMade) {
  EXPECT_EQ(Column<int>(0), Column<int>());
  EXPECT_EQ(Column<int>(0), Column<int>(std::vector<int>{0, 0}));
  EXPECT_EQ(Column<int>(4), Column<int>(std::vector<int>{4, 4}));
}

TEST(Column, AnswersForEveryRun) {
  EXPECT_EQ(Column<int>().at(12), 0);
  EXPECT_EQ(Column<int>(5).at(12), 5);
  const Column<int> three(std::vector<int>{1, 2, 3});
  EXPECT_EQ(three.at(2), 3);
  EXPECT_DEATH((void)three.at(3), "CHECK");
}

TEST(Column, FitsOnlySetsItCanDescribe) {
  EXPECT_TRUE(Column<int>().fits(0));
  EXPECT_TRUE(Column<int>().fits(9));
  EXPECT_TRUE(Column<int>(5).fits(9));
  const Column<int> three(std::vector<int>{1, 2, 3});
  EXPECT_TRUE(three.fits(3));
  EXPECT_FALSE(three.fits(2));
  EXPECT_FALSE(three.fits(4));
}

TEST(RunColumns, FitOnlyIfEveryColumnDoes) {
  const std::vector<std::int64_t> two{1, 2};
  RunColumns columns;
  EXPECT_TRUE(columns.fit(3));
  columns.peak_kib = Column<std::int64_t>(two);
  EXPECT_FALSE(columns.fit(3));
  EXPECT_TRUE(columns.fit(2));
  columns.code = Column<std::int32_t>(std::vector<std::int32_t>{1, 2, 3});
  EXPECT_FALSE(columns.fit(2));
}

TEST(RunColumns, GiveBackTheRowsTheyWereMadeOf) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Random random(seed);
    std::vector<RunRow> rows(random.below(20));
    for (RunRow& row : rows) {
      row.outcome = static_cast<Outcome>(random.below(2));
      row.code = static_cast<std::int32_t>(random.below(3)) - 1;
      row.start_us = static_cast<std::int64_t>(random.below(5));
      row.duration_us = static_cast<std::int64_t>(random.next());
      row.cpu_us = 7;
      row.peak_kib = -static_cast<std::int64_t>(random.below(2));
      row.output_bytes = static_cast<std::int64_t>(random.below(2));
      row.flags = static_cast<std::uint32_t>(random.below(4));
    }
    const RunColumns columns = to_columns(rows);
    EXPECT_TRUE(columns.fit(rows.size()));
    for (std::size_t n = 0; n < rows.size(); ++n) EXPECT_EQ(row_of(columns, n), rows[n]);
    EXPECT_LE(columns.cpu_us.values().size(), 1u);
  }
}

}  // namespace
}  // namespace leat
