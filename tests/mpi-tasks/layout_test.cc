#include "mpi-tasks/layout.h"

#include <gtest/gtest.h>

#include <utility>

namespace leat::mpi {
namespace {

Layout layout(std::vector<GangNode> nodes) {
  return Layout::make(std::move(nodes)).value();
}

std::string refusal(std::vector<GangNode> nodes) {
  const Result<Layout> made = Layout::make(std::move(nodes));
  return made.ok() ? "" : made.refusal().message;
}

TEST(Layout, TellsPmixWhoIsWhereInTheFormsItWants) {
  const Layout two = layout({{"a", {0, 1, 2}}, {"b", {3}}});
  EXPECT_EQ(two.node_names(), "a,b");
  EXPECT_EQ(two.node_ranks(), "0,1,2;3");
  EXPECT_EQ(two.peers(0), "0,1,2");
  EXPECT_EQ(two.process_mapping(), "(vector,(0,1,3),(1,1,1))");
  EXPECT_EQ(two.size(), 4u);
  EXPECT_EQ(two.node_of(3), 1u);
  EXPECT_EQ(two.local_rank_of(2), 2u);
}

TEST(Layout, FoldsNodesWithEquallyManyRanks) {
  EXPECT_EQ(layout({{"a", {0, 1}}, {"b", {2, 3}}, {"c", {4}}}).process_mapping(),
            "(vector,(0,2,2),(2,1,1))");
}

TEST(Layout, KnowsRanksThatAreDealtOutInTurn) {
  const Layout turns = layout({{"a", {0, 2}}, {"b", {1, 3}}});
  EXPECT_EQ(turns.node_ranks(), "0,2;1,3");
  EXPECT_EQ(turns.node_of(2), 0u);
  EXPECT_EQ(turns.local_rank_of(2), 1u);
  EXPECT_EQ(turns.process_mapping(), "");
}

TEST(Layout, FindsTheNodesOfASetOfRanks) {
  const Layout three = layout({{"a", {0, 1}}, {"b", {2}}, {"c", {3}}});
  EXPECT_EQ(three.nodes_of({}), (std::vector<NodeIndex>{0, 1, 2}));
  EXPECT_EQ(three.nodes_of({1, 3}), (std::vector<NodeIndex>{0, 2}));
}

TEST(Layout, RefusesWhatIsNoGang) {
  EXPECT_EQ(refusal({}), "a gang needs a node");
  EXPECT_EQ(refusal({{"a", {0}}, {"a", {1}}}), "two nodes are called a");
  EXPECT_EQ(refusal({{"a", {0}}, {"b", {0}}}), "node b: rank 0 stands on two nodes");
  EXPECT_EQ(refusal({{"a", {0, 2}}}), "node a: rank 2 is not below their number");
  EXPECT_EQ(refusal({{"a", {1, 0}}}), "ranks of node a are not in ascending order");
  EXPECT_EQ(refusal({{"a", {}}}), "node a has no ranks");
  EXPECT_EQ(refusal({{"a,b", {0}}}), "'a,b' is no node name");
}

}  // namespace
}  // namespace leat::mpi
