// hub_tree_test.cc - the hub of a tree: how launchers find their place in it, and who is lost.

#include <gtest/gtest.h>

#include <utility>

#include "mpi-tasks/hub.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

Message of(Type type, NodeIndex node = 0) {
  Message message;
  message.type = type;
  message.node = node;
  return message;
}

// 0 has 1 and 2; 1 has 3 and 4; 2 has 5 and 6.
class HubOfATree : public testing::Test {
 protected:
  static Layout seven_nodes() {
    std::vector<GangNode> nodes;
    for (Rank rank = 0; rank < 7; ++rank) nodes.push_back({"n" + std::to_string(rank), {rank}});
    return Layout::make(std::move(nodes)).value();
  }

  // "3>1@a:1" for each who is told where to go; others as their number and type.
  static std::string told(const Hub::Outs& outs) {
    std::string text;
    for (const Hub::Out& out : outs) {
      if (!text.empty()) text += ' ';
      text += std::to_string(out.to.front()) + ">";
      if (out.message.type == Type::kAttach)
        text += std::to_string(out.message.node) + "@" + out.message.text;
      else
        text += "message " + std::to_string(static_cast<int>(out.message.type));
    }
    return text;
  }
  static std::string cause(const Hub::Outs& outs) {
    if (outs.size() != 1 || outs[0].to.size() != 7 || outs[0].message.type != Type::kEnd)
      return "not ended";
    return outs[0].message.text;
  }
  // The child comes to the hub, and from there to its parent.
  void settle(NodeIndex child) {
    hub.welcome(child, child < 3 ? "at:" + std::to_string(child) : "");
    if (child < 3) return;
    const NodeIndex parent = (child - 1) / 2;
    EXPECT_EQ(
        told(hub.take(parent, of(Type::kAttached, child))),
        std::to_string(child) + ">message " + std::to_string(static_cast<int>(Type::kAttached)));
  }

  const Layout layout = seven_nodes();
  Hub hub{layout, Tree::of(7, 0, 2), Hub::Rules{}};
};

TEST_F(HubOfATree, TellsEachWhereItsParentListensOnceBothHaveCome) {
  EXPECT_EQ(told(hub.welcome(4, "")), "");
  EXPECT_EQ(told(hub.welcome(5, "")), "");
  EXPECT_EQ(told(hub.welcome(1, "a:1")), "4>1@a:1");
  EXPECT_EQ(told(hub.welcome(3, "")), "3>1@a:1");
  EXPECT_EQ(told(hub.welcome(2, "[::1]:2")), "5>2@[::1]:2");
}

TEST_F(HubOfATree, HearsTheRestThroughTheParents) {
  for (NodeIndex node = 1; node < 7; ++node) settle(node);
  hub.take(0, of(Type::kRegistered));
  for (NodeIndex node = 1; node < 6; ++node) {
    Message registered = of(Type::kRegistered);
    registered.peer = node < 3 ? 0 : node;
    EXPECT_TRUE(hub.take(node < 3 ? node : (node - 1) / 2, registered).empty());
  }
  Message last = of(Type::kRegistered);
  last.peer = 6;
  const Hub::Outs outs = hub.take(2, last);
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].message.type, Type::kStart);
  EXPECT_EQ(outs[0].to.size(), 7u);
}

TEST_F(HubOfATree, NamesTheNodeThatOneInBetweenHasLost) {
  for (NodeIndex node = 1; node < 7; ++node) settle(node);
  EXPECT_EQ(cause(hub.take(2, of(Type::kLost, 5))), "the launcher of node n5 is lost");
  EXPECT_TRUE(hub.lose(2).empty());
}

TEST_F(HubOfATree, NamesTheOneInBetweenIfThatIsLost) {
  for (NodeIndex node = 1; node < 7; ++node) settle(node);
  EXPECT_EQ(cause(hub.lose(1)), "the launcher of node n1 is lost");
}

TEST_F(HubOfATree, GivesItsLastWordToThoseWhoComeLate) {
  settle(1);
  hub.lose(1);
  const Hub::Outs outs = hub.welcome(3, "");
  ASSERT_EQ(outs.size(), 1u);
  EXPECT_EQ(outs[0].to, std::vector<NodeIndex>{3});
  EXPECT_EQ(outs[0].message.type, Type::kEnd);
}

TEST_F(HubOfATree, HearsAfterTheEndOfThoseWhoAreOnTheirWay) {
  settle(1);
  hub.welcome(3, "");
  hub.lose(2);
  EXPECT_EQ(hub.take(1, of(Type::kAttached, 3)).size(), 1u);
}

TEST_F(HubOfATree, NamesThoseWhoHaveNotComeAndNotThoseWhoWaitForThem) {
  settle(2);
  for (const NodeIndex node : {3u, 4u}) hub.welcome(node, "");
  hub.take(0, of(Type::kRegistered));
  hub.take(2, of(Type::kRegistered));
  EXPECT_EQ(cause(hub.registered_too_late()), "no launcher was ready in time on node n1, n5, n6");
}

TEST_F(HubOfATree, BelievesNobodyAboutOthers) {
  const auto nonsense = [](const std::string& who, const std::string& what) {
    return "the launcher of node " + who + " does not make sense: " + what;
  };
  const auto fresh = [this] { return Hub(layout, Tree::of(7, 0, 2), Hub::Rules{}); };
  Message stranger = of(Type::kRegistered);
  stranger.peer = 5;
  EXPECT_EQ(cause(fresh().take(1, stranger)), nonsense("n1", "words of node 5"));
  stranger.peer = 7;
  EXPECT_EQ(cause(fresh().take(1, stranger)), nonsense("n1", "words of node 7"));
  EXPECT_EQ(cause(fresh().take(1, of(Type::kLost, 5))), nonsense("n1", "node 5 lost"));
  EXPECT_EQ(cause(fresh().take(1, of(Type::kLost, 0))), nonsense("n1", "node 0 lost"));
  EXPECT_EQ(cause(fresh().take(1, of(Type::kLost, 9))), nonsense("n1", "node 9 lost"));
  EXPECT_EQ(cause(fresh().take(1, of(Type::kAttached, 3))), nonsense("n1", "node 3 attached"));
  EXPECT_EQ(cause(fresh().take(1, of(Type::kAttach))), nonsense("n1", "message 26"));
}

}  // namespace
}  // namespace leat::mpi
