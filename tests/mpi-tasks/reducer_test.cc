#include <leat/reducer.h>

#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <atomic>
#include <bit>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/mpi-tasks/reducers.h"

namespace leat {
namespace {

std::string number(std::uint64_t index) {
  return std::to_string(index) + ",";
}

std::string numbers(std::uint64_t count) {
  std::string all;
  for (std::uint64_t i = 0; i < count; ++i) all += number(i);
  return all;
}

template <AReducer R, typename Make>
std::string stream_of(std::uint64_t count, const Make& make) {
  std::string stream;
  for (std::uint64_t i = 0; i < count; ++i)
    stream += pack(Pieces<typename R::Value>{{17, 0, count}, {{i, i}}, {make(i)}});
  return stream;
}

// However few cores the machine has.
const tbb::global_control kEightThreads(tbb::global_control::max_allowed_parallelism, 8);

TEST(Fold, OverThreadsIsInOrder) {
  for (const unsigned threads : {0u, 1u, 4u})
    for (const std::uint64_t count : {0u, 1u, 2u, 3u, 1000u}) {
      const Partial<InOrder> all = fold<InOrder>({0, count}, number, InOrder{}, {}, {threads, 1});
      ASSERT_EQ(all.elements(), count);
      EXPECT_EQ(count == 0 ? "" : all.total(), numbers(count));
    }
}

TEST(Fold, OfAnOrderedReducerHasTheSameBitsOnAnyNumberOfThreads) {
  const auto bits = [](const FoldOptions& options) {
    return std::bit_cast<std::uint64_t>(
        fold<OrderedSum>({5, 10'000}, rough, OrderedSum{}, {}, options).total());
  };
  const std::uint64_t expected = bits({1, 1});
  for (const unsigned threads : {2u, 3u, 8u})
    for (const std::uint64_t grain : {1u, 7u, 1000u}) EXPECT_EQ(bits({threads, grain}), expected);
}

TEST(Fold, ThrowsWhatAnElementThrows) {
  const auto make = [](std::uint64_t index) {
    if (index == 77) throw std::runtime_error("element 77");
    return index;
  };
  EXPECT_THROW(fold<AnyOrder>({0, 100}, make), std::runtime_error);
}

TEST(Fold, MakesEveryElementOnce) {
  std::vector<std::atomic<int>> made(5000);
  fold<AnyOrder>({0, made.size()}, [&](std::uint64_t i) {
    ++made[i];
    return i;
  });
  for (const std::atomic<int>& times : made) ASSERT_EQ(times, 1);
}

TEST(Reduce, OfValuesNeedsNoIndices) {
  std::vector<double> values;
  for (std::uint64_t i = 0; i < 5000; ++i) values.push_back(rough(i));
  EXPECT_EQ(reduce<OrderedSum>(values),
            (fold<OrderedSum>({0, values.size()}, rough, OrderedSum{}, {}, {1, 1}).total()));
  EXPECT_EQ(reduce<AnyOrder>({}), 0u);
}

TEST(ReduceStream, IsTheSameForManyEnvelopesAsForFew) {
  const std::uint64_t many = 2 * detail::kBatchEnvelopes + 100;
  for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{50}, many}) {
    std::stringstream stream(stream_of<InOrder>(count, number));
    EXPECT_EQ(read_total<InOrder>(stream), numbers(count));
  }
}

TEST(ReduceStream, TakesItsOwnOutputInSteps) {
  const std::uint64_t count = 300;
  for (const std::uint64_t width : {2u, 7u, 64u, 1000u}) {
    std::vector<std::string> level;
    for (std::uint64_t i = 0; i < count; ++i)
      level.push_back(pack(Pieces<double>{{17, 0, count}, {{i, i}}, {rough(i)}}));
    while (level.size() > 1) {
      std::vector<std::string> next;
      for (std::size_t i = 0; i < level.size(); i += width) {
        std::stringstream stream;
        for (std::size_t j = i; j < std::min<std::size_t>(i + width, level.size()); ++j)
          stream << level[j];
        next.push_back(pack(reduce_stream<OrderedSum>(stream).pieces()));
      }
      level = std::move(next);
    }
    std::stringstream last(level.front());
    EXPECT_EQ(read_total<OrderedSum>(last),
              (fold<OrderedSum>({0, count}, rough, OrderedSum{}, {}, {1, 1}).total()))
        << width;
  }
}

TEST(ReduceStream, RefusesWhatComesTwiceOrNot) {
  const auto one = [](std::uint64_t i) {
    return pack(Pieces<std::string>{{17, 0, 4}, {{i, i}}, {number(i)}});
  };
  std::stringstream twice(one(0) + one(1) + one(1) + one(2));
  EXPECT_THROW(reduce_stream<InOrder>(twice), CoverageError);
  std::stringstream gap(one(0) + one(1) + one(3));
  EXPECT_THROW(read_total<InOrder>(gap), CoverageError);
  std::stringstream shuffled(one(3) + one(1) + one(0) + one(2));
  EXPECT_EQ(read_total<InOrder>(shuffled), numbers(4));
  std::stringstream other(one(0) + pack(1.5));
  EXPECT_THROW(reduce_stream<InOrder>(other), PayloadError);
  std::stringstream nothing;
  EXPECT_TRUE(reduce_stream<InOrder>(nothing).empty());
}

}  // namespace
}  // namespace leat
