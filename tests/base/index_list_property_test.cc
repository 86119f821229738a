// index_list_property_test.cc - IndexList against std::set, over random lists.

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/index_list.h"
#include "base/random.h"

namespace leat {
namespace {

constexpr std::uint64_t kRounds = 3000;

// A random text of the grammar and the indices it means.
struct Sample {
  std::string text;
  std::set<Index> indices;
};

Sample random_sample(Random& random) {
  Sample sample;
  const std::uint64_t parts = 1 + random.below(6);
  for (std::uint64_t part = 0; part < parts; ++part) {
    const Index first = random.below(60);
    const Index last = first + random.below(40);
    const std::uint64_t step = 1 + random.below(5);
    if (part > 0) sample.text += ',';
    sample.text += std::to_string(first);
    if (random.chance(25)) {
      sample.indices.insert(first);
      continue;
    }
    sample.text += '-' + std::to_string(last) + ':' + std::to_string(step);
    for (Index i = first; i <= last; i += step) sample.indices.insert(i);
  }
  return sample;
}

void expect_invariants(const IndexList& list) {
  std::uint64_t size = 0;
  const Stride* before = nullptr;
  for (const Stride& stride : list.strides()) {
    EXPECT_GE(stride.count, 1u);
    EXPECT_GE(stride.step, 1u);
    EXPECT_LT(stride.last(), kIndexLimit);
    EXPECT_TRUE(before == nullptr || before->last() < stride.first);
    before = &stride;
    size += stride.count;
  }
  EXPECT_EQ(size, list.size());
  EXPECT_EQ(list.empty(), size == 0);
}

TEST(IndexListProperty, ParsesToTheSetOfItsParts) {
  for (std::uint64_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    const Sample sample = random_sample(random);
    const Result<IndexList> list = IndexList::parse(sample.text);
    ASSERT_TRUE(list.ok()) << "seed " << seed << ": " << sample.text;
    expect_invariants(list.value());
    const std::vector<Index> expected(sample.indices.begin(), sample.indices.end());
    ASSERT_EQ(list.value().expand(), expected) << "seed " << seed << ": " << sample.text;
  }
}

TEST(IndexListProperty, SurvivesEveryWayThereAndBack) {
  for (std::uint64_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    const IndexList list = IndexList::parse(random_sample(random).text).value();
    const std::vector<Index> indices = list.expand();

    const Result<IndexList> by_text = IndexList::parse(list.to_string());
    ASSERT_TRUE(by_text.ok()) << "seed " << seed;
    ASSERT_EQ(by_text.value().expand(), indices) << "seed " << seed;

    const Result<IndexList> by_strides =
        IndexList::from_strides({list.strides().begin(), list.strides().end()});
    ASSERT_TRUE(by_strides.ok()) << "seed " << seed;
    ASSERT_EQ(by_strides.value(), list) << "seed " << seed;

    const IndexList folded = IndexList::from_sorted(indices);
    expect_invariants(folded);
    ASSERT_EQ(folded.expand(), indices) << "seed " << seed;
  }
}

TEST(IndexListProperty, AgreesOnPositionsAndAbsence) {
  for (std::uint64_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    const Sample sample = random_sample(random);
    const IndexList list = IndexList::parse(sample.text).value();
    std::uint64_t position = 0;
    for (Index index = 0; index < 110; ++index) {
      if (!sample.indices.contains(index)) {
        ASSERT_EQ(list.position_of(index), std::nullopt) << "seed " << seed;
        continue;
      }
      ASSERT_EQ(list.position_of(index), position) << "seed " << seed;
      ASSERT_EQ(list.at(position), index) << "seed " << seed;
      ++position;
    }
  }
}

TEST(IndexListProperty, SelectUndoesPositionsOf) {
  for (std::uint64_t seed = 0; seed < kRounds; ++seed) {
    Random random(seed);
    const IndexList list = IndexList::parse(random_sample(random).text).value();
    std::vector<Index> chosen;
    IntervalSet positions;
    for (std::uint64_t position = 0; position < list.size(); ++position) {
      if (!random.chance(40)) continue;
      chosen.push_back(list.at(position));
      positions.insert({position, position});
    }
    const IndexList part = list.select(positions);
    expect_invariants(part);
    ASSERT_EQ(part.expand(), chosen) << "seed " << seed;
    ASSERT_EQ(list.positions_of(part), positions) << "seed " << seed;
    ASSERT_EQ(list.positions_of(IndexList::from_sorted(chosen)), positions) << "seed " << seed;
  }
}

TEST(IndexListProperty, NeverCrashesOnGarbage) {
  static constexpr std::string_view kAlphabet = "0123456789-:,x +";
  for (std::uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed);
    std::string text;
    for (std::uint64_t n = random.below(24); n > 0; --n)
      text += kAlphabet[random.below(kAlphabet.size())];
    const Result<IndexList> list = IndexList::parse(text);
    if (!list.ok()) continue;
    expect_invariants(list.value());
    EXPECT_FALSE(list.value().empty()) << text;
  }
}

TEST(IndexListProperty, NeverCrashesOnUntrustedStrides) {
  const std::vector<std::uint64_t> corners{
      0, 1, 2, 5, kTasksPerJobMax - 1, kTasksPerJobMax, kIndexLimit - 1, kIndexLimit, ~0ull};
  for (std::uint64_t seed = 0; seed < 50000; ++seed) {
    Random random(seed);
    const auto corner = [&] { return corners[random.below(corners.size())]; };
    std::vector<Stride> strides;
    for (std::uint64_t n = random.below(4); n > 0; --n)
      strides.push_back(Stride{corner(), corner(), corner()});
    const Result<IndexList> list = IndexList::from_strides(strides);
    if (list.ok()) expect_invariants(list.value());
  }
}

}  // namespace
}  // namespace leat
