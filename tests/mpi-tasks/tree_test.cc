#include "mpi-tasks/tree.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace leat::mpi {
namespace {

constexpr NodeIndex kStar = 64;

NodeIndex depth_of(const Tree& tree, NodeIndex node) {
  NodeIndex depth = 0;
  for (; node != 0; node = tree.parent(node)) ++depth;
  return depth;
}

TEST(Tree, IsAStarUpToItsLimit) {
  for (const NodeIndex nodes : {1u, 2u, 3u, 64u}) {
    const Tree tree = Tree::of(nodes, kStar, 0);
    EXPECT_EQ(tree.children(0).size(), nodes - 1);
    for (NodeIndex node = 1; node < nodes; ++node) {
      EXPECT_EQ(tree.parent(node), 0u);
      EXPECT_FALSE(tree.is_inner(node));
    }
  }
}

TEST(Tree, IsAsNarrowAsTwoConnectionsToTheHubAllow) {
  for (const auto& [nodes, width] : {std::pair(65u, 8u), std::pair(73u, 8u), std::pair(74u, 9u),
                                     std::pair(1000u, 32u), std::pair(4096u, 64u)}) {
    const Tree tree = Tree::of(nodes, kStar, 0);
    EXPECT_EQ(tree.width(), width);
    EXPECT_EQ(depth_of(tree, nodes - 1), 2u);
  }
}

TEST(Tree, HasEverybodyOnceWhateverItsShape) {
  for (const NodeIndex nodes : {1u, 2u, 7u, 70u, 700u, 4096u})
    for (const NodeIndex width : {0u, 1u, 2u, 3u, 64u, 4096u}) {
      const Tree tree = Tree::of(nodes, 0, width);
      std::vector<NodeIndex> found{0};
      for (std::size_t i = 0; i < found.size(); ++i) {
        const std::vector<NodeIndex> children = tree.children(found[i]);
        EXPECT_EQ(tree.is_inner(found[i]), !children.empty());
        for (const NodeIndex child : children) EXPECT_EQ(tree.parent(child), found[i]);
        found.insert(found.end(), children.begin(), children.end());
      }
      EXPECT_EQ(found.size(), nodes);
      EXPECT_TRUE(std::ranges::is_sorted(found));
      EXPECT_EQ(found.back(), nodes - 1);
    }
}

TEST(Tree, KnowsWhoIsUnderWhomAndByWhichBranch) {
  const Tree tree = Tree::of(15, 0, 2);  // 1 has 3 and 4; 3 has 7 and 8; 4 has 9 and 10
  EXPECT_TRUE(tree.is_under(1, 10));
  EXPECT_TRUE(tree.is_under(1, 1));
  EXPECT_FALSE(tree.is_under(1, 5));
  EXPECT_FALSE(tree.is_under(1, 0));
  EXPECT_EQ(tree.branch(0, 10), 1u);
  EXPECT_EQ(tree.branch(1, 10), 4u);
  EXPECT_EQ(tree.branch(4, 10), 10u);
  EXPECT_EQ(tree.branch(4, 4), 4u);
  EXPECT_EQ(tree.branches(1, {0, 1, 2, 7, 8, 10, 14}), (std::vector<NodeIndex>{1, 3, 4}));
  EXPECT_EQ(tree.branches(0, {3, 14}), (std::vector<NodeIndex>{1, 2}));
  EXPECT_TRUE(tree.branches(4, {0, 3, 14}).empty());
}

}  // namespace
}  // namespace leat::mpi
