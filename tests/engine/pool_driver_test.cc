// A pool's size under a provider that does what it is told, or does not.

#include "scheduler/engine/pool_driver.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/engine/fakes.h"

namespace leat::engine {
namespace {

class FakeProvider final : public pools::Provider {
 public:
  kj::Promise<Result<Done>> create(pools::NodeOrder order) override {
    orders.push_back(order);
    if (refuse_create) return Result<Done>(invalid("no room"));
    instances[order.node] = pools::InstanceState::kAlive;
    return Result<Done>(Done{});
  }
  kj::Promise<Result<Done>> destroy(NodeRef node) override {
    destroyed.push_back(node);
    instances.erase(node);
    return Result<Done>(Done{});
  }
  kj::Promise<Result<std::vector<pools::Instance>>> list() override {
    ++lists;
    if (unknown) return Result<std::vector<pools::Instance>>(invalid("nobody knows"));
    std::vector<pools::Instance> all;
    for (const auto& [node, state] : instances) all.push_back({node, state, 1, 2});
    return Result<std::vector<pools::Instance>>(std::move(all));
  }
  kj::Promise<std::vector<pools::InstanceChange>> changes() override {
    auto paf = kj::newPromiseAndFulfiller<std::vector<pools::InstanceChange>>();
    wanted = kj::mv(paf.fulfiller);
    return kj::mv(paf.promise);
  }
  void head_moved(const std::string&) override {}

  void die(NodeRef node) {
    instances.erase(node);
    wanted->fulfill({{{node, pools::InstanceState::kGone, 1, 2}, "killed"}});
  }

  std::vector<pools::NodeOrder> orders;
  std::vector<NodeRef> destroyed;
  std::map<NodeRef, pools::InstanceState> instances;
  bool refuse_create = false;
  bool unknown = false;
  int lists = 0;
  kj::Own<kj::PromiseFulfiller<std::vector<pools::InstanceChange>>> wanted;
};

struct Pools {
  explicit Pools(store::Recovered recovered = nothing_recovered(), store::MemoryFile file = {},
                 const std::function<void(FakeProvider&)>& prepare = nullptr)
      : head(std::move(recovered), std::move(file)) {
    if (prepare) prepare(provider);
    head.sink.forward = [this](const core::Effect& effect) { driver.carry_out(effect); };
    head.start();
    driver.start();
    head.settle();
  }

  void make_pool(std::uint32_t nodes) {
    head.pool(nodes);
    driver.adjust();
    head.settle();
  }

  void pass(kj::Duration span) {
    for (; span > 0 * kj::SECONDS; span -= 500 * kj::MILLISECONDS) {
      head.timer.advanceTo(head.timer.now() + 500 * kj::MILLISECONDS);
      head.now = head.now + std::chrono::milliseconds(500);
      head.settle();
    }
  }

  // The agent of an order does its part.
  void join(const pools::NodeOrder& order) {
    const auto token = transport::decode_token(order.token);
    ASSERT_TRUE(token.ok());
    const transport::Hash hash = transport::token_hash(token.value().secret);
    core::Hash known{};
    std::memcpy(known.data(), hash.data(), hash.size());
    ASSERT_TRUE(head.ask(core::EnrolNode{known}).ok());
    head.join(order.node, 2);
  }

  std::size_t nodes() const { return head.engine.state().nodes().size(); }

  FakeProvider provider;
  FakeHead head;
  std::uint8_t secrets = 0;
  PoolDriver driver{PoolServices{head.engine, provider, head.timer, [this] { return head.now; },
                                 [] { return transport::WallSeconds{1'000'000}; },
                                 [this] {
                                   transport::Secret secret{};
                                   secret[0] = std::byte{++secrets};
                                   return secret;
                                 },
                                 [](std::string_view) {}},
                    PoolSite{"local", authority.cluster_id(), "127.0.0.1:1", "127.0.0.1:2",
                             authority.certificate_der(), false}};

  struct Authority {
    Authority() {
      char name[] = "/var/tmp/leat-pool-test-XXXXXX";
      path = ::mkdtemp(name);
    }
    ~Authority() { std::filesystem::remove_all(path); }
    std::string path;
  };
  static inline const Authority directory{};
  static inline const transport::ClusterAuthority authority =
      transport::ClusterAuthority::create(directory.path, transport::new_cluster_id(), 1'000'000)
          .value();
};

TEST(PoolDriver, FillsAPoolWithNodesThatHaveTokensOfTheirOwn) {
  Pools world;
  world.make_pool(3);
  ASSERT_EQ(world.provider.orders.size(), 3u);
  EXPECT_NE(world.provider.orders[0].token, world.provider.orders[1].token);
  for (const pools::NodeOrder& order : world.provider.orders) {
    const auto token = transport::decode_token(order.token);
    ASSERT_TRUE(token.ok());
    EXPECT_EQ(token.value().node, order.node);
  }
  world.driver.adjust();
  world.head.settle();
  EXPECT_EQ(world.provider.orders.size(), 3u);
}

TEST(PoolDriver, ReplacesANodeThatIsProvedGone) {
  Pools world;
  world.make_pool(2);
  world.join(world.provider.orders[0]);
  world.join(world.provider.orders[1]);
  world.pass(11 * kj::SECONDS);
  const NodeRef dead = world.provider.orders[0].node;
  world.provider.die(dead);
  world.head.settle();
  EXPECT_EQ(world.head.engine.state().node(dead), nullptr);
  EXPECT_EQ(world.provider.orders.size(), 3u);
  EXPECT_EQ(world.provider.destroyed, std::vector<NodeRef>{dead});
  EXPECT_EQ(world.nodes(), 2u);
}

TEST(PoolDriver, GivesUpANodeThatDoesNotJoin) {
  Pools world;
  world.make_pool(1);
  const NodeRef first = world.provider.orders[0].node;
  world.pass(PoolDriver::kJoinDeadline - 1 * kj::SECONDS);
  EXPECT_NE(world.head.engine.state().node(first), nullptr);
  world.pass(2 * kj::SECONDS);
  EXPECT_EQ(world.head.engine.state().node(first), nullptr);
  EXPECT_EQ(world.provider.orders.size(), 2u);
}

TEST(PoolDriver, SlowsDownWhenNodesCannotBeMade) {
  Pools world;
  world.provider.refuse_create = true;
  world.make_pool(1);
  world.pass(120 * kj::SECONDS);
  // 1, 2, 4, 8, 16, 32, 60 s apart.
  EXPECT_LE(world.provider.orders.size(), 10u);
  EXPECT_GE(world.provider.orders.size(), 5u);
  world.provider.refuse_create = false;
  world.pass(PoolDriver::kPauseLongest + 1 * kj::SECONDS);
  EXPECT_EQ(world.provider.instances.size(), 1u);
}

TEST(PoolDriver, ComparesWithTheProviderWhenTheHeadStartsAgain) {
  auto before = std::make_unique<Pools>();
  before->make_pool(2);
  const NodeRef joined = before->provider.orders[0].node;
  const NodeRef unmade = before->provider.orders[1].node;
  const NodeRef stranger{NodeId{77}, NodeEpoch{77}};
  before->join(before->provider.orders[0]);
  auto recovered = store::recover(before->head.store.file());
  ASSERT_TRUE(recovered.ok());
  store::MemoryFile file = std::move(before->head.store.file());
  before = nullptr;  // one loop at a time

  Pools after(std::move(recovered).value(), std::move(file), [&](FakeProvider& provider) {
    provider.instances[joined] = pools::InstanceState::kAlive;
    provider.instances[stranger] = pools::InstanceState::kAlive;
    provider.unknown = true;
  });
  after.driver.adjust();
  after.pass(10 * kj::SECONDS);
  // Nobody knows what there is: nothing changes.
  EXPECT_GE(after.provider.lists, 4);
  EXPECT_NE(after.head.engine.state().node(unmade), nullptr);
  EXPECT_TRUE(after.provider.destroyed.empty());
  EXPECT_TRUE(after.provider.orders.empty());

  after.provider.unknown = false;
  after.pass(PoolDriver::kAskAgain);
  EXPECT_EQ(after.head.engine.state().node(unmade), nullptr);
  EXPECT_NE(after.head.engine.state().node(joined), nullptr);
  EXPECT_EQ(after.provider.orders.size(), 1u);
  EXPECT_EQ(after.nodes(), 2u);
  EXPECT_EQ(after.provider.destroyed, (std::vector<NodeRef>{stranger, unmade}));
}

TEST(PoolDriver, EndsEveryNodeWhenTheHeadStops) {
  Pools world;
  world.make_pool(2);
  world.join(world.provider.orders[0]);
  auto stopped = world.driver.stop();
  world.head.settle();
  EXPECT_TRUE(stopped.poll(world.head.scope));
  EXPECT_TRUE(world.provider.instances.empty());
  EXPECT_EQ(world.nodes(), 0u);
  EXPECT_EQ(world.provider.orders.size(), 2u);  // none is replaced
}

}  // namespace
}  // namespace leat::engine
