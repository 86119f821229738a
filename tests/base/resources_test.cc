#include "base/resources.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace leat {
namespace {

TEST(Resources, HoldWhatFitsInEveryKind) {
  const Resources node{4000, 100, 2, {{"a", 3}, {"b", 1}}};
  EXPECT_EQ(node.fit_count({1000, 0, 0, {}}), 4u);
  EXPECT_EQ(node.fit_count({1000, 30, 0, {}}), 3u);
  EXPECT_EQ(node.fit_count({1000, 30, 1, {}}), 2u);
  EXPECT_EQ(node.fit_count({1000, 30, 1, {{"a", 2}}}), 1u);
  EXPECT_EQ(node.fit_count({1, 0, 0, {{"c", 1}}}), 0u);
  EXPECT_FALSE(node.holds({1, 0, 3, {}}));
  EXPECT_FALSE(node.holds({1, 101, 0, {}}));
  EXPECT_TRUE(node.holds(node));
}

TEST(Resources, ComeBackAsTheyWereTaken) {
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    const auto small = [&random](std::uint64_t bound) { return random.below(bound); };
    const Resources whole{static_cast<std::uint32_t>(small(64'000)),
                          small(1000),
                          static_cast<std::uint32_t>(small(8)),
                          {{"a", small(9)}, {"b", small(9)}}};
    Resources free = whole;
    std::vector<std::pair<Resources, std::uint64_t>> taken;
    for (int step = 0; step < 8; ++step) {
      const Resources need{static_cast<std::uint32_t>(1 + small(4000)), small(100),
                           static_cast<std::uint32_t>(small(3)),
                           small(2) == 0 ? std::vector<Counter>{} : std::vector<Counter>{{"b", 2}}};
      const std::uint64_t fit = free.fit_count(need);
      const std::uint64_t times = fit == 0 ? 0 : 1 + small(fit);
      free.take(need, times);
      taken.emplace_back(need, times);
      EXPECT_EQ(free.fit_count(need), fit - times);
    }
    for (const auto& [need, times] : taken) free.give(need, times);
    EXPECT_EQ(free, whole);
  }
}

TEST(ResourcesDeathTest, AreNotTakenTwice) {
  Resources free{1000, 0, 0, {{"a", 1}}};
  EXPECT_DEATH(free.take({1001, 0, 0, {}}), "");
  EXPECT_DEATH(free.take({1, 0, 0, {{"a", 2}}}), "");
  EXPECT_DEATH(free.give({0, 0, 0, {{"b", 1}}}), "");
}

TEST(Resources, NameTheirCountersOnceAndInOrder) {
  const auto sorted = sorted_counters({{"b", 2}, {"a", 1}});
  ASSERT_TRUE(sorted.ok());
  EXPECT_EQ(sorted.value(), (std::vector<Counter>{{"a", 1}, {"b", 2}}));
  for (const std::vector<Counter>& wrong :
       std::vector<std::vector<Counter>>{{{"a", 1}, {"a", 2}},
                                         {{"", 1}},
                                         {{"1a", 1}},
                                         {{"a b", 1}},
                                         {{"a", 0}},
                                         {{"a", kCounterAmountMax + 1}},
                                         {{"gpus", 1}},
                                         {{std::string(kCounterNameBytesMax + 1, 'x'), 1}},
                                         std::vector<Counter>(kCountersMax + 1, Counter{"x", 1})})
    EXPECT_FALSE(sorted_counters(wrong).ok());
}

TEST(Resources, AreSaidInWords) {
  EXPECT_EQ(to_text(Resources::none()), "nothing");
  EXPECT_EQ(to_text({1000, 0, 1, {}}), "1 cpu, 1 gpu");
  EXPECT_EQ(to_text({2500, 512u << 20, 2, {{"licence", 3}}}),
            "2.5 cpus, 512 MiB, 2 gpus, 3 licence");
  EXPECT_EQ(to_text({1, 1000, 0, {}}), "0.001 cpus, 1000 bytes");
}

}  // namespace
}  // namespace leat
