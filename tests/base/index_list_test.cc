// index_list_test.cc - what parse() reads and refuses, and the operations on small lists.

#include "base/index_list.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace leat {
namespace {

IndexList parsed(std::string_view text) {
  Result<IndexList> list = IndexList::parse(text);
  EXPECT_TRUE(list.ok()) << text << ": " << (list.ok() ? "" : list.refusal().message);
  return list.ok() ? std::move(list).value() : IndexList();
}

struct Reading {
  std::string text;
  std::vector<Index> indices;
  std::size_t strides;
};

TEST(IndexListParse, ReadsEveryFormOfTheGrammar) {
  const std::vector<Reading> readings{
      {"0", {0}, 1},
      {"7", {7}, 1},
      {"007", {7}, 1},
      {"3-3", {3}, 1},
      {"1-4", {1, 2, 3, 4}, 1},
      {"1-10:3", {1, 4, 7, 10}, 1},
      {"1-9:3", {1, 4, 7}, 1},
      {"1-3:100", {1}, 1},
      {"5-6:281474976710656", {5}, 1},
      {"5-6:18446744073709551615", {5}, 1},
      {"1-3,7", {1, 2, 3, 7}, 2},
      {"7,1-3", {1, 2, 3, 7}, 2},
      {"1,2,3", {1, 2, 3}, 1},
      {"2,2,2", {2}, 1},
      {"281474976710655", {kIndexLimit - 1}, 1},
  };
  for (const Reading& reading : readings) {
    const IndexList list = parsed(reading.text);
    EXPECT_EQ(list.expand(), reading.indices) << reading.text;
    EXPECT_EQ(list.strides().size(), reading.strides) << reading.text;
    EXPECT_EQ(list.size(), reading.indices.size()) << reading.text;
  }
}

TEST(IndexListParse, MergesPartsThatOverlap) {
  EXPECT_EQ(parsed("1-10,5-20").to_string(), "1-20");
  EXPECT_EQ(parsed("1-10,11-20").to_string(), "1-20");
  EXPECT_EQ(parsed("1-9:2,5-13:2").to_string(), "1-13:2");
  EXPECT_EQ(parsed("1-9:2,3").to_string(), "1-9:2");
  EXPECT_EQ(parsed("1-20,4-10:3").to_string(), "1-20");
  EXPECT_EQ(parsed("0-12:2,4-12:4").to_string(), "0-12:2");
  // Different steps that fit nowhere are written out.
  EXPECT_EQ(parsed("1-9:2,2-8:2").expand(), (std::vector<Index>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(parsed("0-6:2,0-6:3").expand(), (std::vector<Index>{0, 2, 3, 4, 6}));
  EXPECT_EQ(parsed("1-100:3,2-5,50").size(), 34u + 3u + 1u);
}

TEST(IndexListParse, MergesAnOverlapThatIsTooLargeToWriteOut) {
  EXPECT_EQ(parsed("0-99999999,50-90:2,77").to_string(), "0-99999999");
}

struct Mistake {
  std::string text;
  std::string named;  // what the message must quote
  std::string why;
};

TEST(IndexListParse, RefusesWithTheOffendingPartNamed) {
  const std::string grammar = "write N, A-B or A-B:STEP";
  const std::vector<Mistake> mistakes{
      {"5-1", "\"5-1\"", "the end is below the start"},
      {"1-5:0", "\"1-5:0\"", "the step must be at least 1"},
      {"1-3,5-1,9", "\"5-1\"", "the end is below the start"},
      {"x", "\"x\"", grammar},
      {"1-", "\"1-\"", grammar},
      {"-5", "\"-5\"", grammar},
      {"-", "\"-\"", grammar},
      {"1-2-3", "\"1-2-3\"", grammar},
      {"1-5:", "\"1-5:\"", grammar},
      {"1-5:x", "\"1-5:x\"", grammar},
      {"1-5:2:3", "\"1-5:2:3\"", grammar},
      {"5:2", "\"5:2\"", grammar},
      {":2", "\":2\"", grammar},
      {"1,", "\"\"", grammar},
      {",1", "\"\"", grammar},
      {"1,,2", "\"\"", grammar},
      {" 1", "\" 1\"", grammar},
      {"1 -2", "\"1 -2\"", grammar},
      {"+1", "\"+1\"", grammar},
      {"0x10", "\"0x10\"", grammar},
      {"1.5", "\"1.5\"", grammar},
      {"1-2;3", "\"1-2;3\"", grammar},
      {std::string("1\0002", 3), "", grammar},
      {"281474976710656", "\"281474976710656\"", "below 2^48"},
      {"1-281474976710656", "281474976710656", "below 2^48"},
      {"18446744073709551616", "18446744073709551616", grammar},
      {"1-4294967297", "1-4294967297", "more than 4294967296 tasks"},
      {"0-281474976710655", "0-281474976710655", "more than 4294967296 tasks"},
      {"1-3000000000,4000000000-7000000000", "", "more than 4294967296 tasks"},
      {"0-9999999:2,1-9999999:3", "", "list them apart"},
  };
  for (const Mistake& mistake : mistakes) {
    const Result<IndexList> list = IndexList::parse(mistake.text);
    ASSERT_FALSE(list.ok()) << mistake.text;
    const Refusal& refusal = list.refusal();
    EXPECT_EQ(refusal.reason, Reason::kInvalid) << mistake.text;
    EXPECT_NE(refusal.message.find(mistake.named), std::string::npos) << refusal.message;
    EXPECT_NE(refusal.message.find(mistake.why), std::string::npos) << refusal.message;
    EXPECT_EQ(refusal.message.find('\n'), std::string::npos) << refusal.message;
  }
}

TEST(IndexListParse, RefusesNothing) {
  const Result<IndexList> list = IndexList::parse("");
  ASSERT_FALSE(list.ok());
  EXPECT_NE(list.refusal().message.find("empty"), std::string::npos);
}

TEST(IndexListParse, TakesAsManyTasksAsAJobMayHave) {
  const IndexList list = parsed("0-4294967295");
  EXPECT_EQ(list.size(), kTasksPerJobMax);
  EXPECT_EQ(list.strides().size(), 1u);
  EXPECT_EQ(list.at(kTasksPerJobMax - 1), kTasksPerJobMax - 1);
}

TEST(IndexListParse, QuotesOnlyTheBeginningOfAVeryLongText) {
  std::string text = "1";
  for (int i = 0; i < 2000; ++i) text += ",0-4294967295";
  const Result<IndexList> list = IndexList::parse(text);
  ASSERT_FALSE(list.ok());
  EXPECT_LT(list.refusal().message.size(), 200u);
}

TEST(IndexListFromStrides, RefusesWhatBreaksAnInvariant) {
  const Index top = kIndexLimit - 1;
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  const std::vector<std::vector<Stride>> bad{
      {{1, 0, 1}},
      {{1, 1, 0}},
      {{kIndexLimit, 1, 1}},
      {{top, 2, 1}},
      {{1, 2, top}},
      {{1, 2, huge}},
      {{1, huge, huge}},
      {{huge, 1, 1}},
      {{0, kTasksPerJobMax + 1, 1}},
      {{0, kTasksPerJobMax, 1}, {kTasksPerJobMax, 1, 1}},
      {{5, 1, 1}, {5, 1, 1}},
      {{5, 1, 1}, {4, 1, 1}},
      {{1, 5, 2}, {4, 1, 1}},
      {{1, 5, 2}, {9, 1, 1}},
  };
  for (const auto& strides : bad) EXPECT_FALSE(IndexList::from_strides(strides).ok());

  std::vector<Stride> many;
  for (std::size_t i = 0; i <= IndexList::kStridesMax; ++i) many.push_back({3 * i, 1, 1});
  EXPECT_FALSE(IndexList::from_strides(many).ok());
  many.pop_back();
  EXPECT_TRUE(IndexList::from_strides(many).ok());
}

TEST(IndexListFromStrides, TakesTheLargestLists) {
  EXPECT_TRUE(IndexList::from_strides({}).ok());
  EXPECT_TRUE(IndexList::from_strides({{kIndexLimit - 1, 1, 1}}).ok());
  EXPECT_TRUE(IndexList::from_strides({{0, 2, kIndexLimit - 1}}).ok());
  EXPECT_TRUE(IndexList::from_strides({{0, kTasksPerJobMax, 65536}}).ok());
  EXPECT_TRUE(IndexList::from_strides({{1, 5, 2}, {10, 3, 7}}).ok());
}

TEST(IndexListFromSorted, FoldsRegularDistances) {
  const auto folded = [](std::vector<Index> indices) {
    return IndexList::from_sorted(indices).to_string();
  };
  EXPECT_EQ(folded({}), "");
  EXPECT_EQ(folded({4}), "4");
  EXPECT_EQ(folded({4, 5}), "4-5");
  EXPECT_EQ(folded({4, 6}), "4,6");
  EXPECT_EQ(folded({4, 6, 8}), "4-8:2");
  EXPECT_EQ(folded({1, 2, 3, 10, 20, 30}), "1-3,10-30:10");
  EXPECT_EQ(folded({1, 5, 6, 7}), "1,5-7");
}

TEST(IndexListFromSorted, DiesOnIndicesThatAreNotSorted) {
  EXPECT_DEATH(IndexList::from_sorted(std::vector<Index>{2, 1}), "CHECK");
  EXPECT_DEATH(IndexList::from_sorted(std::vector<Index>{1, 1}), "CHECK");
  EXPECT_DEATH(IndexList::from_sorted(std::vector<Index>{1, 2, 3, 2}), "CHECK");
  EXPECT_DEATH(IndexList::from_sorted(std::vector<Index>{kIndexLimit}), "CHECK");
}

TEST(IndexList, DiesOnAStrideThatBreaksAnInvariant) {
  EXPECT_DEATH(IndexList(Stride{1, 0, 1}), "CHECK");
  EXPECT_DEATH(IndexList(Stride{1, 1, 0}), "CHECK");
  EXPECT_DEATH(IndexList(Stride{kIndexLimit, 1, 1}), "CHECK");
  EXPECT_DEATH((void)IndexList(Stride{1, 3, 1}).at(3), "CHECK");
  EXPECT_DEATH((void)IndexList(Stride{1, 3, 1}).select(IntervalSet(0, 3)), "CHECK");
}

TEST(IndexList, KnowsPositionsBothWays) {
  const IndexList list = parsed("2-10:4,20,30-40:5");  // 2 6 10 20 30 35 40
  const std::vector<Index> indices = list.expand();
  ASSERT_EQ(indices, (std::vector<Index>{2, 6, 10, 20, 30, 35, 40}));
  for (std::size_t position = 0; position < indices.size(); ++position) {
    EXPECT_EQ(list.at(position), indices[position]);
    EXPECT_EQ(list.position_of(indices[position]), position);
  }
  for (const Index absent : {0, 1, 3, 11, 19, 21, 29, 31, 41, 1000})
    EXPECT_EQ(list.position_of(absent), std::nullopt) << absent;
}

TEST(IndexList, SelectsAcrossStrides) {
  const IndexList list = parsed("2-10:4,20,30-40:5");
  IntervalSet positions(1, 4);
  positions.insert({6, 6});
  EXPECT_EQ(list.select(positions).expand(), (std::vector<Index>{6, 10, 20, 30, 40}));
  EXPECT_EQ(list.select(IntervalSet()).size(), 0u);
  EXPECT_EQ(list.select(IntervalSet(0, 6)), list);
}

TEST(IndexList, FindsThePositionsOfAPart) {
  const IndexList list = parsed("1-100");
  EXPECT_EQ(list.positions_of(parsed("11-20")), IntervalSet(10, 19));
  EXPECT_EQ(list.positions_of(IndexList()), IntervalSet());
  EXPECT_EQ(list.positions_of(parsed("100-101")), std::nullopt);
  EXPECT_EQ(list.positions_of(parsed("1-9:4"))->intervals(),
            (std::vector<Interval>{{0, 0}, {4, 4}, {8, 8}}));
}

TEST(IndexList, RefusesToFindMoreScatteredPositionsThanItsBound) {
  const IndexList everything(Stride{0, kTasksPerJobMax, 1});
  const IndexList scattered(Stride{0, IndexList::kStridesMax + 1, 2});
  EXPECT_EQ(everything.positions_of(scattered), std::nullopt);
  EXPECT_EQ(everything.positions_of(everything), IntervalSet(0, kTasksPerJobMax - 1));
}

TEST(IndexList, WritesWhatItReads) {
  for (const char* text : {"0", "1-100", "1-99:2", "1-3,7,10-40:10", "281474976710655"})
    EXPECT_EQ(parsed(text).to_string(), text);
  EXPECT_EQ(IndexList().to_string(), "");
}

}  // namespace
}  // namespace leat
