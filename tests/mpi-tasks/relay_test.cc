// relay_test.cc - relays beside a star: the same contributions, the same results.

#include "mpi-tasks/relay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "base/random.h"
#include "mpi-tasks/hub.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

constexpr std::uint64_t kSeeds = 200;

Layout layout_of(NodeIndex nodes, Rank each) {
  std::vector<GangNode> list;
  for (NodeIndex node = 0; node < nodes; ++node) {
    list.push_back({"n" + std::to_string(node), {}});
    for (Rank i = 0; i < each; ++i) list.back().ranks.push_back(node * each + i);
  }
  return Layout::make(std::move(list)).value();
}

Message of(Type type) {
  Message message;
  message.type = type;
  return message;
}

Message fence(std::uint64_t sequence, std::string bytes, std::vector<Rank> ranks = {}) {
  Message message = of(Type::kCollect);
  message.id = sequence;
  message.flag = true;
  message.ranks = std::move(ranks);
  message.bytes = std::move(bytes);
  return message;
}

// A gang whose messages take as long as chance will have it, in order on each connection.
class Gang {
 public:
  Gang(NodeIndex nodes, Tree tree, std::uint64_t seed, Rank each = 1)
      : layout_(layout_of(nodes, each)), tree_(tree), hub_(layout_, tree, {}), random_(seed) {
    relays_.resize(nodes);
    for (NodeIndex node = 1; node < nodes; ++node)
      relays_[node] = std::make_unique<Relay>(layout_, tree, node);
  }

  void say(NodeIndex node, Message message) {
    if (node == 0) return route(hub_.take(0, std::move(message)));
    pass(node, relays_[node]->from_here(std::move(message)));
  }
  void lose(NodeIndex node) {
    if (tree_.parent(node) == 0) return route(hub_.lose(node));
    pass(tree_.parent(node), relays_[tree_.parent(node)]->lost(node));
  }
  // Carries messages, in any order, until there are none.
  void settle() {
    while (!wires_.empty()) {
      auto at = wires_.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random_.below(wires_.size())));
      const auto [from, to] = at->first;
      Message message = std::move(at->second.front());
      at->second.pop_front();
      if (at->second.empty()) wires_.erase(at);
      arrive(from, to, std::move(message));
    }
  }

  // What each node has heard, in this order.
  std::map<NodeIndex, std::vector<Message>> heard;
  std::size_t hub_messages = 0;
  std::size_t hub_bytes = 0;
  std::size_t messages = 0;
  std::size_t busiest_messages = 0;  // of others than the hub

 private:
  void send(NodeIndex from, NodeIndex to, Message message) {
    ++messages;
    if (from == 0 || to == 0) {
      ++hub_messages;
      hub_bytes += encode(message).size();
    }
    for (const NodeIndex node : {from, to})
      if (node != 0) busiest_messages = std::max(busiest_messages, ++at_[node]);
    wires_[{from, to}].push_back(std::move(message));
  }
  void arrive(NodeIndex from, NodeIndex to, Message message) {
    if (to == 0) return route(hub_.take(from, std::move(message)));
    if (from == tree_.parent(to)) return pass(to, relays_[to]->from_above(std::move(message)));
    pass(to, relays_[to]->from_below(from, std::move(message)));
  }
  void route(const Hub::Outs& outs) {
    for (const Hub::Out& out : outs) {
      const std::vector<NodeIndex> links = tree_.branches(0, out.to);
      for (const NodeIndex link : links) {
        Message message = out.message;
        if (out.to.size() == 1 && link != out.to.front()) message.peer = out.to.front();
        if (link == 0)
          heard[0].push_back(std::move(message));
        else
          send(0, link, std::move(message));
      }
    }
  }
  void pass(NodeIndex node, Relay::Onward onward) {
    for (const NodeIndex child : onward.down) send(node, child, onward.message);
    if (onward.up) send(node, tree_.parent(node), onward.message);
    if (onward.here) heard[node].push_back(std::move(onward.message));
  }

  const Layout layout_;
  const Tree tree_;
  Hub hub_;
  std::vector<std::unique_ptr<Relay>> relays_;
  Random random_;
  std::map<std::pair<NodeIndex, NodeIndex>, std::deque<Message>> wires_;
  std::map<NodeIndex, std::size_t> at_;
};

// One fence of a program: who takes part, and with what.
struct Fence {
  std::vector<Rank> ranks;
  std::uint64_t sequence = 0;
  std::map<NodeIndex, Message> contributions;
};

std::vector<Fence> some_fences(NodeIndex nodes, Random& random) {
  std::vector<Fence> fences;
  for (std::uint64_t i = 0; i < 6; ++i) {
    Fence one;
    one.sequence = i;
    const bool all = random.chance(40);
    for (Rank rank = 0; rank < nodes && !all; ++rank)
      if (random.chance(30)) one.ranks.push_back(rank);
    const bool bad = random.chance(25);
    for (NodeIndex node = 0; node < nodes; ++node) {
      if (!one.ranks.empty() && !std::ranges::binary_search(one.ranks, node)) continue;
      std::string bytes = "<" + std::to_string(node) + "." + std::to_string(i) + ">";
      one.contributions[node] = fence(i, std::move(bytes), one.ranks);
      if (bad && random.chance(20)) one.contributions[node].status = kPmixErrorPartialSuccess;
    }
    fences.push_back(std::move(one));
  }
  return fences;
}

// What a node has heard of each fence, with what was gathered in an order of our own.
std::map<GatheringKey, std::pair<std::int32_t, std::string>> results(
    const std::vector<Message>& heard) {
  std::map<GatheringKey, std::pair<std::int32_t, std::string>> found;
  for (const Message& message : heard) {
    EXPECT_EQ(message.type, Type::kCollected) << message.text;
    std::multiset<std::string> parts;
    for (std::size_t at = 0; at < message.bytes.size();) {
      const std::size_t end = message.bytes.find('>', at) + 1;
      parts.insert(message.bytes.substr(at, end - at));
      at = end;
    }
    std::string sorted;
    for (const std::string& part : parts) sorted += part;
    EXPECT_TRUE(found.emplace(key_of(message), std::pair(message.status, sorted)).second);
  }
  return found;
}

void contribute(Gang& gang, const std::vector<Fence>& fences, Random& random) {
  // Each node comes to its fences in their order, but when it likes.
  std::map<NodeIndex, std::deque<Message>> to_say;
  for (const Fence& one : fences)
    for (const auto& [node, message] : one.contributions) to_say[node].push_back(message);
  while (!to_say.empty()) {
    auto at = to_say.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random.below(to_say.size())));
    gang.say(at->first, std::move(at->second.front()));
    at->second.pop_front();
    if (at->second.empty()) to_say.erase(at);
    if (random.chance(20)) gang.settle();
  }
  gang.settle();
}

TEST(Relays, GatherWhatAStarGathersInAnyOrder) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto nodes = static_cast<NodeIndex>(2 + random.below(30));
    const auto width = static_cast<NodeIndex>(1 + random.below(4));
    const std::vector<Fence> fences = some_fences(nodes, random);
    Gang star(nodes, Tree::of(nodes, nodes, 0), seed);
    Gang tree(nodes, Tree::of(nodes, 0, width), seed);
    contribute(star, fences, random);
    contribute(tree, fences, random);
    for (NodeIndex node = 0; node < nodes; ++node)
      EXPECT_EQ(results(star.heard[node]), results(tree.heard[node])) << "node " << node;
    std::size_t expected = 0;
    for (const Fence& one : fences) expected += one.contributions.size();
    std::size_t heard = 0;
    for (const auto& [node, messages] : tree.heard) heard += messages.size();
    EXPECT_EQ(heard, expected);
  }
}

TEST(Relays, SendOneMessageForAFenceOverEachConnectionAndOneBack) {
  constexpr NodeIndex kNodes = 70;
  const auto run = [](Tree tree) {
    Gang gang(kNodes, tree, 1, 8);
    for (NodeIndex node = 0; node < kNodes; ++node) gang.say(node, fence(0, std::string(300, 'x')));
    gang.settle();
    for (NodeIndex node = 0; node < kNodes; ++node)
      EXPECT_EQ(gang.heard[node].at(0).bytes.size(), 300u * kNodes);
    EXPECT_EQ(gang.messages, 2 * (kNodes - 1));
    RecordProperty("hub_bytes_" + std::to_string(tree.width()), std::to_string(gang.hub_bytes));
    return std::pair(gang.hub_messages, gang.busiest_messages);
  };
  EXPECT_EQ(run(Tree::of(kNodes, kNodes, 0)), std::pair(138ul, 2ul));
  EXPECT_EQ(run(Tree::of(kNodes, 64, 0)), std::pair(16ul, 18ul));
}

TEST(Relays, CarryQuestionsAndAnswersBetweenAnyTwoNodes) {
  constexpr NodeIndex kNodes = 15;
  Gang gang(kNodes, Tree::of(kNodes, 0, 2), 3);
  for (NodeIndex asker = 0; asker < kNodes; ++asker)
    for (NodeIndex holder = 0; holder < kNodes; ++holder) {
      if (asker == holder) continue;
      gang.heard.clear();
      Message ask = of(Type::kModexAsk);
      ask.rank = holder;
      ask.id = 100 * asker + holder;
      gang.say(asker, ask);
      gang.settle();
      ASSERT_EQ(gang.heard[holder].size(), 1u) << asker << " asks " << holder;
      Message tell = gang.heard[holder].front();
      EXPECT_EQ(tell.node, asker);
      EXPECT_EQ(tell.peer, 0u);
      tell.type = Type::kModexTell;
      tell.bytes = "data";
      gang.say(holder, tell);
      gang.settle();
      ASSERT_EQ(gang.heard[asker].size(), 1u);
      EXPECT_EQ(gang.heard[asker].front().id, ask.id);
      EXPECT_EQ(gang.heard[asker].front().bytes, "data");
      EXPECT_EQ(gang.heard.size(), 2u);
    }
}

TEST(Relays, StartAllOnceAllHaveRegistered) {
  constexpr NodeIndex kNodes = 40;
  Gang gang(kNodes, Tree::of(kNodes, 0, 3), 5);
  for (NodeIndex node = kNodes; node-- > 1;) gang.say(node, of(Type::kRegistered));
  gang.settle();
  EXPECT_TRUE(gang.heard.empty());
  gang.say(0, of(Type::kRegistered));
  gang.settle();
  for (NodeIndex node = 0; node < kNodes; ++node) {
    ASSERT_EQ(gang.heard[node].size(), 1u);
    EXPECT_EQ(gang.heard[node].front().type, Type::kStart);
  }
}

TEST(Relays, EndAllWithTheNodeNamedThatIsLost) {
  constexpr NodeIndex kNodes = 15;
  for (NodeIndex lost = 1; lost < kNodes; ++lost) {
    Gang gang(kNodes, Tree::of(kNodes, 0, 2), lost);
    gang.say(4, fence(0, "x"));
    gang.lose(lost);
    gang.settle();
    for (NodeIndex node = 0; node < kNodes; ++node) {
      ASSERT_EQ(gang.heard[node].size(), 1u);
      EXPECT_EQ(gang.heard[node].front().text,
                "the launcher of node n" + std::to_string(lost) + " is lost");
    }
  }
}

TEST(Relays, HaveTheGangEndedBySomebodyWhoDoesNotMakeSense) {
  Gang gang(7, Tree::of(7, 0, 2), 1);
  gang.say(3, fence(0, "x"));
  gang.say(3, fence(0, "x"));
  gang.settle();
  EXPECT_EQ(gang.heard[6].at(0).text,
            "the launcher of node n3 does not make sense: node 3 came twice to one fence");
  const Layout layout = layout_of(7, 1);
  Relay relay(layout, Tree::of(7, 0, 2), 1);
  Message stranger = of(Type::kRegistered);
  for (const NodeIndex peer : {1u, 4u, 5u, 9u}) {
    stranger.peer = peer;
    const Relay::Onward onward = relay.from_below(3, stranger);
    EXPECT_TRUE(onward.up);
    EXPECT_EQ(onward.message.text,
              "the launcher of node n3 does not make sense: words of node " + std::to_string(peer));
  }
}

TEST(Relays, PassOnNothingForNodesThatAreNotUnderThem) {
  const Layout layout = layout_of(7, 1);
  const Relay relay(layout, Tree::of(7, 0, 2), 1);
  Message answer = of(Type::kAnswer);
  for (const NodeIndex peer : {2u, 5u, 7u, 4'000'000'000u}) {
    answer.peer = peer;
    const Relay::Onward onward = relay.from_above(answer);
    EXPECT_FALSE(onward.up || onward.here);
    EXPECT_TRUE(onward.down.empty());
  }
  Message result = of(Type::kCollected);
  result.ranks = {3, 9};
  const Relay::Onward onward = relay.from_above(result);
  EXPECT_FALSE(onward.up || onward.here);
  EXPECT_TRUE(onward.down.empty());
}

}  // namespace
}  // namespace leat::mpi
