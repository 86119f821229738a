#include <leat/partial.h>

#include <gtest/gtest.h>

#include <bit>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/mpi-tasks/reducers.h"

namespace leat {
namespace {

constexpr std::uint64_t kSeeds = 200;

std::string letter(std::uint64_t index) {
  return std::string(1, static_cast<char>('a' + index % 26));
}

template <AReducer R, typename Make>
std::vector<Partial<R>> elements(std::uint64_t count, const Make& make,
                                 std::uint64_t whole_count = 0) {
  std::vector<Partial<R>> parts;
  for (std::uint64_t i = 0; i < count; ++i) {
    parts.emplace_back(R{}, Origin{17, 0, whole_count});
    parts.back().add(i, make(i));
  }
  return parts;
}

// As it goes from one program to the next.
template <AReducer R>
Partial<R> sent(const Partial<R>& partial) {
  return Partial<R>(R{}, unpack<Pieces<typename R::Value>>(pack(partial.pieces())));
}

// Merges two that chance picks until one is left: any tree, any order of arrival.
template <AReducer R>
Partial<R> merged_anyhow(std::vector<Partial<R>> parts, Random& random) {
  while (parts.size() > 1) {
    const std::size_t from = random.below(parts.size());
    std::swap(parts[from], parts.back());
    Partial<R> part = std::move(parts.back());
    parts.pop_back();
    Partial<R>& into = parts[random.below(parts.size())];
    if (random.chance(20)) part = sent(part);
    into.merge(std::move(part));
  }
  return std::move(parts.front());
}

// Merges neighbours `width` at a time, as the tree of a reduce step does.
template <AReducer R>
Partial<R> merged_in_steps(std::vector<Partial<R>> parts, std::size_t width) {
  while (parts.size() > 1) {
    std::vector<Partial<R>> level;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i % width == 0) level.emplace_back();
      level.back().merge(sent(parts[i]));
    }
    parts = std::move(level);
  }
  return std::move(parts.front());
}

TEST(Partial, CombinesInTheOrderOfIndicesHoweverTheyCome) {
  std::string expected;
  for (std::uint64_t i = 0; i < 53; ++i) expected += letter(i);
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Partial<InOrder> all = merged_anyhow(elements<InOrder>(53, letter, 53), random);
    EXPECT_EQ(all.total(), expected);
    EXPECT_EQ(all.pieces().covered, (std::vector<IndexRange>{{0, 52}}));
  }
}

TEST(Partial, CountsEveryElementOnceOfACommutativeReducer) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    const auto square = [](std::uint64_t i) { return i * i; };
    const Partial<AnyOrder> all = merged_anyhow(elements<AnyOrder>(40, square, 40), random);
    EXPECT_EQ(all.total(), 39u * 40 * 79 / 6) << "seed " << seed;
    EXPECT_EQ(all.elements(), 40u);
  }
}

TEST(Partial, OfAnOrderedReducerHasTheSameBitsForAnyArrivalAndWidth) {
  for (const std::uint64_t count : {1u, 2u, 53u, 64u, 100u}) {
    const double expected = merged_in_steps(elements<OrderedSum>(count, rough), count + 1).total();
    const auto bits = std::bit_cast<std::uint64_t>(expected);
    for (std::uint64_t seed = 0; seed < kSeeds / 4; ++seed) {
      Random random(seed);
      const double sum = merged_anyhow(elements<OrderedSum>(count, rough), random).total();
      EXPECT_EQ(std::bit_cast<std::uint64_t>(sum), bits) << count << " seed " << seed;
    }
    for (std::size_t width = 2; width < 20; ++width) {
      const double sum = merged_in_steps(elements<OrderedSum>(count, rough), width).total();
      EXPECT_EQ(std::bit_cast<std::uint64_t>(sum), bits) << count << " width " << width;
    }
  }
}

TEST(Partial, WithoutAnOrderHasNotTheSameBits) {
  std::set<double> sums;
  for (std::size_t width = 2; width < 20; ++width)
    sums.insert(merged_in_steps(elements<PlainSum>(100, rough), width).total());
  EXPECT_GT(sums.size(), 1u);  // or the test above shows nothing
}

TEST(Partial, OfAnOrderedReducerIsTheTreeOverTheIndices) {
  Random random(1);
  EXPECT_EQ(merged_anyhow(elements<AlongTree>(7, letter), random).total(), "(((ab)(cd))((ef)g))");
  Partial<AlongTree> holes(AlongTree{}, Origin{1, 0, 4});
  for (const std::uint64_t index : {9u, 1u, 8u, 3u}) holes.add(index, letter(index));
  EXPECT_EQ(holes.total(), "((bd)(ij))");
}

TEST(Partial, OfAnOrderedReducerStaysSmall) {
  Partial<OrderedSum> partial;
  for (std::uint64_t i = 12'345; i < 112'345; ++i) partial.add(i, 1);
  EXPECT_LE(partial.pieces().values.size(), 34u);
  EXPECT_EQ(partial.total(), 100'000);
}

TEST(Partial, RefusesOverlapWholeAndStaysAsItWas) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random random(seed);
    std::vector<Partial<InOrder>> parts = elements<InOrder>(20, letter);
    const std::uint64_t twice = random.below(20);
    Partial<InOrder> again = parts[twice];
    again.merge(elements<InOrder>(31, letter).back());
    Partial<InOrder> all = merged_anyhow(std::move(parts), random);
    const std::string before = pack(all.pieces());
    EXPECT_THROW(all.merge(again), CoverageError);
    EXPECT_THROW(all.add(twice, "x"), CoverageError);
    EXPECT_EQ(pack(all.pieces()), before);
  }
  Partial<AnyOrder> sum;
  sum.add(3, 3);
  EXPECT_THROW(sum.add(3, 3), CoverageError);
  EXPECT_THROW(sum.merge(sum), CoverageError);
  EXPECT_EQ(sum.total(), 3u);
}

TEST(Partial, RefusesToBeAWholeWithAGap) {
  for (std::uint64_t missing = 0; missing < 20; ++missing) {
    std::vector<Partial<InOrder>> parts = elements<InOrder>(20, letter, 20);
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(missing));
    Random random(missing);
    EXPECT_THROW(static_cast<void>(merged_anyhow(std::move(parts), random).total()), CoverageError);
  }
  Partial<InOrder> unknown;
  unknown.add(1, "a");
  unknown.add(3, "c");
  EXPECT_THROW(static_cast<void>(unknown.total()), CoverageError);
  unknown.add(2, "b");
  EXPECT_EQ(unknown.total(), "abc");
}

TEST(Partial, TakesASparseArrayForWholeByItsCount) {
  Partial<InOrder> sparse(InOrder{}, Origin{17, 0, 3});
  for (const std::uint64_t index : {9u, 1u, 5u}) sparse.add(index, std::to_string(index));
  EXPECT_EQ(sparse.total(), "159");
}

TEST(Partial, RefusesPartsOfSomethingElse) {
  const auto part = [](Origin origin, std::uint64_t index) {
    Partial<InOrder> partial(InOrder{}, origin);
    partial.add(index, "x");
    return partial;
  };
  Partial<InOrder> partial = part({17, 0, 8}, 0);
  EXPECT_THROW(partial.merge(part({18, 0, 8}, 1)), CoverageError);
  EXPECT_THROW(partial.merge(part({17, 1, 8}, 1)), CoverageError);
  EXPECT_THROW(partial.merge(part({17, 0, 9}, 1)), CoverageError);
  EXPECT_NO_THROW(partial.merge(part({17, 0, 8}, 1)));
  partial.merge(Partial<InOrder>());  // has nothing of anything
  EXPECT_EQ(partial.pieces().origin.elements, 8u);
}

TEST(Partial, OfNothingStillKnowsHowMuchThereShouldBe) {
  Partial<AnyOrder> all;
  all.merge(Partial<AnyOrder>(AnyOrder{}, Origin{17, 0, 3}));
  EXPECT_THROW(static_cast<void>(all.total()), CoverageError);
  EXPECT_THROW(all.merge(Partial<AnyOrder>(AnyOrder{}, Origin{18, 0, 3})), CoverageError);
}

TEST(Partial, OfNothingIsTheIdentityWhereThereIsOne) {
  EXPECT_EQ(Partial<AnyOrder>().total(), 0u);
  EXPECT_THROW(static_cast<void>(Partial<InOrder>().total()), CoverageError);
  EXPECT_THROW(static_cast<void>(Partial<AnyOrder>(AnyOrder{}, Origin{17, 0, 3}).total()),
               CoverageError);
}

TEST(Partial, RefusesPiecesThatItsReducerCannotHaveMade) {
  const auto take = [](auto reducer, auto pieces) {
    return Partial<decltype(reducer)>(reducer, std::move(pieces)).elements();
  };
  using Texts = Pieces<std::string>;
  using Numbers = Pieces<std::uint64_t>;
  EXPECT_EQ(take(InOrder{}, Texts{{}, {{1, 2}, {3, 5}}, {"a", "b"}}), 5u);
  EXPECT_THROW(take(InOrder{}, Texts{{}, {{1, 2}, {4, 5}}, {"a"}}), CoverageError);
  EXPECT_THROW(take(InOrder{}, Texts{{}, {{1, 2}}, {"a", "b"}}), CoverageError);
  EXPECT_THROW(take(InOrder{}, Texts{{}, {{3, 5}, {1, 2}}, {"a", "b"}}), CoverageError);
  EXPECT_THROW(take(InOrder{}, Texts{{}, {{2, 1}}, {"a"}}), CoverageError);
  EXPECT_THROW(take(AlongTree{}, Texts{{}, {{1, 2}}, {"a"}}), CoverageError);
  EXPECT_EQ(take(AlongTree{}, Texts{{}, {{2, 3}}, {"a"}}), 2u);
  EXPECT_EQ(take(AnyOrder{}, Numbers{{}, {{1, 2}, {9, 9}}, {7}}), 3u);
  EXPECT_EQ(take(AnyOrder{}, Numbers{{}, {{1, 2}, {9, 9}}, {7, 8}}), 3u);
  EXPECT_THROW(take(AnyOrder{}, Numbers{{}, {}, {7}}), CoverageError);
}

}  // namespace
}  // namespace leat
