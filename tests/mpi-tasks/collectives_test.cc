#include "mpi-tasks/collectives.h"

#include <gtest/gtest.h>

#include <optional>

namespace leat::mpi {
namespace {

const Layout& three_nodes() {
  static const Layout layout = Layout::make({{"a", {0, 1}}, {"b", {2}}, {"c", {3}}}).value();
  return layout;
}

Message fence(std::uint64_t sequence, std::string bytes, std::vector<Rank> ranks = {}) {
  Message message;
  message.type = Message::Type::kCollect;
  message.ranks = std::move(ranks);
  message.id = sequence;
  message.flag = true;
  message.bytes = std::move(bytes);
  return message;
}

class CollectivesTest : public testing::Test {
 protected:
  // Precondition: not refused.
  std::optional<Collectives::Outcome> add(NodeIndex from, const Message& message) {
    return collectives.add(from, message).value();
  }
  std::string refusal(NodeIndex from, const Message& message) {
    const auto added = collectives.add(from, message);
    return added.ok() ? "" : added.refusal().message;
  }

  Collectives collectives{three_nodes()};
};

TEST_F(CollectivesTest, GivesAllBytesToAllNodesInTheOrderOfTheirComing) {
  EXPECT_FALSE(add(1, fence(0, "B")));
  EXPECT_FALSE(add(0, fence(0, "A")));
  const auto outcome = add(2, fence(0, "C"));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->nodes, (std::vector<NodeIndex>{0, 1, 2}));
  EXPECT_EQ(outcome->status, kPmixSuccess);
  EXPECT_EQ(outcome->bytes, "BAC");
  EXPECT_EQ(collectives.open(), 0u);
}

TEST_F(CollectivesTest, WaitsOnlyForNodesOfTheRanksThatTakePart) {
  EXPECT_FALSE(add(2, fence(0, "C", {1, 3})));
  const auto outcome = add(0, fence(0, "A", {1, 3}));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->nodes, (std::vector<NodeIndex>{0, 2}));
  EXPECT_EQ(outcome->bytes, "CA");
}

TEST_F(CollectivesTest, KeepsTheNextFenceOfAQuickNodeApart) {
  add(0, fence(0, "A0"));
  add(1, fence(0, "B0"));
  add(0, fence(1, "A1"));
  EXPECT_EQ(add(2, fence(0, "C0"))->bytes, "A0B0C0");
  add(2, fence(1, "C1"));
  EXPECT_EQ(add(1, fence(1, "B1"))->bytes, "A1C1B1");
}

TEST_F(CollectivesTest, KeepsSetsAndKindsApart) {
  add(0, fence(0, "all"));
  Message connect = fence(0, "");
  connect.gathering = Gathering::kConnect;
  add(0, connect);
  add(0, fence(0, "some", {0, 2}));
  EXPECT_EQ(collectives.open(), 3u);
  EXPECT_EQ(add(1, fence(0, "+", {0, 2}))->bytes, "some+");
  EXPECT_EQ(collectives.open(), 2u);
}

TEST_F(CollectivesTest, TellsAllOfADeadParticipantAndKeepsItsBytes) {
  add(0, fence(0, "A"));
  Message bad = fence(0, "");
  bad.status = kPmixErrorPartialSuccess;
  EXPECT_FALSE(add(1, bad));
  const auto outcome = add(2, fence(0, "C"));
  EXPECT_EQ(outcome->status, kPmixErrorPartialSuccess);
  EXPECT_EQ(outcome->bytes, "");
}

TEST_F(CollectivesTest, RefusesToMixCollectingAndNot) {
  add(0, fence(0, "A"));
  Message barrier = fence(0, "");
  barrier.flag = false;
  add(1, barrier);
  EXPECT_EQ(add(2, fence(0, "C"))->status, kPmixErrorBadParameter);
}

TEST_F(CollectivesTest, RefusesStrangersAndThoseWhoComeTwice) {
  EXPECT_EQ(refusal(1, fence(0, "", {0, 3})), "a fence that node 1 has no part in");
  EXPECT_EQ(refusal(0, fence(0, "", {9})), "a fence with rank 9");
  add(0, fence(5, ""));
  EXPECT_EQ(refusal(0, fence(5, "")), "node 0 came twice to one fence");
}

TEST(GatheringCounter, CountsEachSetAndKindByItself) {
  GatheringCounter counter;
  EXPECT_EQ(counter.next(Gathering::kFence, {}), 0u);
  EXPECT_EQ(counter.next(Gathering::kFence, {}), 1u);
  EXPECT_EQ(counter.next(Gathering::kFence, {1}), 0u);
  EXPECT_EQ(counter.next(Gathering::kConnect, {}), 0u);
}

}  // namespace
}  // namespace leat::mpi
