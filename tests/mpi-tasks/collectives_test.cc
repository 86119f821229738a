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

  Collectives collectives{three_nodes(), Tree::of(3, 3, 0), 0};
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

TEST(CollectivesInATree, GathersWhatIsUnderALauncherAndOnlyThat) {
  // 0 has 1 and 2; 1 has 3 and 4; 2 has 5 and 6. Rank i stands on node i.
  const Layout layout =
      Layout::make(
          {{"a", {0}}, {"b", {1}}, {"c", {2}}, {"d", {3}}, {"e", {4}}, {"f", {5}}, {"g", {6}}})
          .value();
  const Tree tree = Tree::of(7, 0, 2);
  Collectives inner(layout, tree, 1);
  EXPECT_FALSE(inner.add(3, fence(0, "D")).value());
  EXPECT_FALSE(inner.add(1, fence(0, "B")).value());
  const auto all = inner.add(4, fence(0, "E")).value();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->bytes, "DBE");
  EXPECT_TRUE(all->collects);
  // It has no part in this one itself.
  const auto some = inner.add(4, fence(0, "E", {0, 4, 6})).value();
  ASSERT_TRUE(some);
  EXPECT_EQ(some->nodes, std::vector<NodeIndex>{4});
  EXPECT_FALSE(inner.add(5, fence(1, "F")).ok());
  Collectives hub(layout, tree, 0);
  EXPECT_FALSE(hub.add(2, fence(0, "FG", {1, 5, 6})).value());
  EXPECT_EQ(hub.add(1, fence(0, "B", {1, 5, 6})).value()->nodes, (std::vector<NodeIndex>{1, 2}));
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
