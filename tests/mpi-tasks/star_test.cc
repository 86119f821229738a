// star_test.cc - the connections of many launchers, all in one process and without ranks.

#include "mpi-tasks/star.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <kj/compat/tls.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <numeric>
#include <utility>

#include "transport/tls.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

constexpr kj::Duration kDeadline = 50 * kj::SECONDS;

Message of(Type type, Rank rank = 0) {
  Message message;
  message.type = type;
  message.rank = rank;
  return message;
}

// One that serves this gang alone is as good as one for each.
transport::Credentials new_credentials() {
  const auto now = (kj::systemPreciseCalendarClock().now() - kj::UNIX_EPOCH) / kj::SECONDS;
  char directory[] = "/tmp/leat-star-XXXXXX";
  EXPECT_NE(::mkdtemp(directory), nullptr);
  auto authority =
      transport::ClusterAuthority::create(directory, transport::new_cluster_id(), now).value();
  std::filesystem::remove_all(directory);
  return authority.issue({transport::Peer::Kind::kAgent, {NodeId{1}, 1}, 0}, now);
}

Layout layout_of(NodeIndex nodes) {
  std::vector<GangNode> list;
  for (NodeIndex node = 0; node < nodes; ++node)
    list.push_back({"n" + std::to_string(node), {node}});
  return Layout::make(std::move(list)).value();
}

// Launchers without ranks. `star_nodes` and `width` are as in the gang file.
class Stars final : private kj::TaskSet::ErrorHandler {
 public:
  Stars(NodeIndex nodes, NodeIndex star_nodes, NodeIndex width) {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener, SOMAXCONN), 0);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    const Layout layout = layout_of(nodes);
    for (NodeIndex node = 0; node < nodes; ++node) {
      GangSpec spec{.nspace = "leat-test", .node = node, .layout = layout};
      spec.hub_address = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
      spec.listen_fd = listener;
      spec.star_nodes = star_nodes;
      spec.tree_width = width;
      spec.credentials = credentials_;
      spec.registered_limit = std::chrono::seconds(60);
      specs.push_back(std::move(spec));
    }
  }

  void open(NodeIndex node) {
    stars_[node] = std::make_unique<Star>(io, specs[node], node, [this, node](Message message) {
      heard[node].push_back(message);
      if (react != nullptr) react(node, message);
      if (message.type == Type::kEnd) leave(node);
    });
    ASSERT_TRUE(stars_[node]->open().ok());
    say(node, of(Type::kRegistered));
  }
  void open(const std::vector<NodeIndex>& nodes) {
    for (const NodeIndex node : nodes) open(node);
  }
  void say(NodeIndex node, Message message) { stars_.at(node)->send(std::move(message)); }
  // As if that launcher were killed.
  void crash(NodeIndex node) {
    tasks_.add(kj::evalLater([this, node] { gone(node); }));
  }
  // Everybody who was opened has crashed, or has heard the end and left.
  void until_all_are_gone() {
    auto all_gone = kj::newPromiseAndFulfiller<void>();
    all_gone_ = kj::mv(all_gone.fulfiller);
    wait_for(kj::mv(all_gone.promise));
  }
  void wait_for(kj::Promise<void> promise) {
    io.provider->getTimer().timeoutAfter(kDeadline, kj::mv(promise)).wait(io.waitScope);
  }
  const Message& end_of(NodeIndex node) {
    static const Message nothing;
    const std::vector<Message>& all = heard[node];
    if (!all.empty() && all.back().type == Type::kEnd) return all.back();
    ADD_FAILURE() << "node " << node << " has not heard the end";
    return nothing;
  }

  // For a launcher that is played by the test: those who connect to it, and its way to the hub.
  std::unique_ptr<Branches> branches_of(NodeIndex node, Branches::Events events) {
    events.expected = [](NodeIndex) { return true; };
    events.on_failure = [](const std::string& why) { ADD_FAILURE() << why; };
    if (events.on_message == nullptr) events.on_message = [](NodeIndex, const Message&) {};
    if (events.on_lost == nullptr) events.on_lost = [](NodeIndex) {};
    return std::make_unique<Branches>(io, *context_, specs[node], std::move(events));
  }
  kj::Own<kj::AsyncIoStream> connected_to_hub() {
    return transport::connect_tls(
               io.provider->getNetwork(), io.provider->getTimer(), specs[0].hub_address, *context_,
               transport::server_name(transport::Peer::Kind::kAgent,
                                      transport::cluster_id_of(credentials_).value()))
        .wait(io.waitScope);
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();
  int listener = -1;
  std::vector<GangSpec> specs;
  std::map<NodeIndex, std::vector<Message>> heard;
  // What a launcher does when it hears something.
  std::function<void(NodeIndex, const Message&)> react;

 private:
  void taskFailed(kj::Exception&& exception) override {
    ADD_FAILURE() << exception.getDescription().cStr();
  }
  void leave(NodeIndex node) {
    tasks_.add(stars_.at(node)->close(false).then([this, node] { crash(node); }));
  }
  void gone(NodeIndex node) {
    stars_.erase(node);
    if (stars_.empty() && all_gone_.get() != nullptr) all_gone_->fulfill();
  }

  const transport::Credentials credentials_ = new_credentials();
  kj::Own<kj::TlsContext> context_ = transport::make_context(credentials_, io.provider->getTimer());
  kj::Own<kj::PromiseFulfiller<void>> all_gone_;
  std::map<NodeIndex, std::unique_ptr<Star>> stars_;
  kj::TaskSet tasks_{*this};
};

std::vector<NodeIndex> up_to(NodeIndex nodes) {
  std::vector<NodeIndex> all(nodes);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(TreeOfStars, RunsAGangOfMoreNodesThanAStarHas) {
  constexpr NodeIndex kNodes = 70;
  Stars stars(kNodes, 64, 0);
  stars.react = [&](NodeIndex node, const Message& message) {
    if (message.type == Type::kStart) {
      stars.say(node, of(Type::kConnected, node));
      Message fence = of(Type::kCollect);
      fence.flag = true;
      fence.bytes = std::string(100, 'x');
      stars.say(node, std::move(fence));
    } else if (message.type == Type::kCollected) {
      EXPECT_EQ(message.bytes.size(), 100u * kNodes);
      Message ended = of(Type::kRankEnded, node);
      ended.stage = Stage::kFinalized;
      stars.say(node, std::move(ended));
    }
  };
  stars.open(up_to(kNodes));
  stars.until_all_are_gone();
  for (NodeIndex node = 0; node < kNodes; ++node) {
    EXPECT_EQ(stars.heard[node].size(), 3u) << node;
    EXPECT_EQ(stars.end_of(node).status, 0);
    EXPECT_EQ(stars.end_of(node).text, "");
  }
}

TEST(TreeOfStars, EndsAGangOfThatSizeWithTheNodeThatIsLost) {
  Stars stars(70, 64, 0);
  NodeIndex started = 0;
  stars.react = [&](NodeIndex, const Message& message) {
    if (message.type == Type::kStart && ++started == 70) stars.crash(1);
  };
  stars.open(up_to(70));
  stars.until_all_are_gone();
  for (NodeIndex node = 0; node < 70; ++node) {
    if (node == 1) continue;
    const bool orphan = node >= 9 && node <= 16;
    EXPECT_EQ(stars.end_of(node).status, kExitLost);
    EXPECT_EQ(stars.end_of(node).text, orphan ? "the connection to the launcher of node n1 is lost"
                                              : "the launcher of node n1 is lost")
        << node;
  }
}

// Node 1, to which 3 and 4 connect, is played by the test and lost when it has come so far.
enum class Last { kSaidWhereItListens, kIsConnectedTo, kHeardTheFirstWord };

void lose_node_1(Last last) {
  SCOPED_TRACE(static_cast<int>(last));
  Stars stars(7, 2, 2);
  const std::vector<NodeIndex> others{0, 2, 3, 4, 5, 6};
  stars.open(others);
  auto lost = kj::newPromiseAndFulfiller<void>();
  std::unique_ptr<GangLink> to_hub;
  std::unique_ptr<Branches> branches;
  Branches::Events events;
  events.on_hello = [&](NodeIndex node, const Message&) {
    if (last == Last::kIsConnectedTo) return lost.fulfiller->fulfill();
    Message attached = of(Type::kAttached);
    attached.node = node;
    to_hub->send(attached);
  };
  events.on_message = [&](NodeIndex, const Message&) { lost.fulfiller->fulfill(); };
  branches = stars.branches_of(1, std::move(events));
  kj::Own<kj::AsyncIoStream> stream = stars.connected_to_hub();
  Message hello = hello_of(stars.specs[1]);
  hello.keys = {branches->listen_beside(*stream).value()};
  to_hub = std::make_unique<GangLink>(kj::mv(stream));
  kj::Promise<void> running =
      to_hub->run([&](const Message& message) { EXPECT_EQ(message.type, Type::kEnd); });
  to_hub->send(hello);
  if (last == Last::kSaidWhereItListens)
    kj::evalLast([&] { lost.fulfiller->fulfill(); }).wait(stars.io.waitScope);
  stars.wait_for(kj::mv(lost.promise));
  branches = nullptr;
  running = nullptr;
  to_hub = nullptr;
  stars.until_all_are_gone();
  for (const NodeIndex node : others) {
    EXPECT_EQ(stars.heard[node].size(), 1u);
    EXPECT_EQ(stars.end_of(node).status, kExitLost);
    EXPECT_NE(stars.end_of(node).text.find(" node n1"), std::string::npos)
        << stars.end_of(node).text;
  }
}

TEST(TreeOfStars, EndsIfOneInBetweenIsLostBeforeOthersConnectToIt) {
  lose_node_1(Last::kSaidWhereItListens);
}

TEST(TreeOfStars, EndsIfOneInBetweenIsLostBeforeTheHubHearsWhoIsConnectedToIt) {
  lose_node_1(Last::kIsConnectedTo);
}

TEST(TreeOfStars, EndsIfOneInBetweenIsLostWithWhatItShouldHavePassedOn) {
  lose_node_1(Last::kHeardTheFirstWord);
}

TEST(TreeOfStars, GivesTheLastWordToThoseWhoComeAfterTheEnd) {
  Stars stars(15, 2, 2);
  NodeIndex ended = 0;
  stars.react = [&](NodeIndex, const Message& message) {
    if (message.type == Type::kEnd && ++ended == 13) stars.open({13, 14});
  };
  stars.open(up_to(13));
  Message failed = of(Type::kFailed);
  failed.status = 3;
  failed.text = "it fails";
  stars.say(6, failed);  // to which they would have connected
  stars.until_all_are_gone();
  for (NodeIndex node = 0; node < 15; ++node) {
    EXPECT_EQ(stars.heard[node].size(), 1u) << node;
    EXPECT_EQ(stars.end_of(node).status, 3);
    EXPECT_EQ(stars.end_of(node).text, "it fails");
  }
}

TEST(TreeOfStars, LeaveTheHubWhateverTheirOwnersStillHaveToDo) {
  // Node 1 is a leaf; or has one below, who does not come.
  for (const NodeIndex star_nodes : {3u, 2u}) {
    Stars stars(3, star_nodes, 1);
    auto left = kj::newPromiseAndFulfiller<void>();
    std::unique_ptr<Branches> hub;
    Branches::Events events;
    events.on_hello = [&](NodeIndex node, const Message&) { hub->send({node}, of(Type::kEnd)); };
    events.on_lost = [&](NodeIndex) { left.fulfiller->fulfill(); };
    hub = stars.branches_of(0, std::move(events));
    hub->listen(stars.listener);
    std::unique_ptr<Star> star;
    kj::Promise<void> nobody_waits_for_it = kj::NEVER_DONE;
    star = std::make_unique<Star>(stars.io, stars.specs[1], 1, [&](const Message& message) {
      EXPECT_EQ(message.type, Type::kEnd);
      nobody_waits_for_it = star->close(false);
    });
    ASSERT_TRUE(star->open().ok());
    stars.wait_for(kj::mv(left.promise));
  }
}

}  // namespace
}  // namespace leat::mpi
