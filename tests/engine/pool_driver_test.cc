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

#include "tests/engine/fake_provider.h"
#include "tests/engine/fakes.h"

namespace leat::engine {
namespace {

struct Pools {
  explicit Pools(store::Recovered recovered = nothing_recovered(), store::MemoryFile file = {},
                 const std::function<void(FakeProvider&)>& prepare = nullptr,
                 std::string its_provider = "local")
      : provider_name(std::move(its_provider)), head(std::move(recovered), std::move(file)) {
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
      if (!core::wants_tick(state(), head.now)) continue;
      ASSERT_TRUE(head.ask(core::Tick{}).ok());
    }
  }

  const core::State& state() const { return head.engine.state(); }
  const core::Pool& pool() const { return state().pools().begin()->second; }

  // Of a driver for nodes that people start by hand; its provider lists those that are connected.
  void make_static() {
    core::PoolSpec spec{
        .name = "static", .provider = "static", .nodes = 4, .shape = {}, .labels = {}};
    ASSERT_TRUE(head.ask(core::SetPool{"pool", {}, spec}).ok());
  }

  void make_elastic(std::uint32_t min, std::uint32_t max) {
    core::PoolSpec spec{
        .name = "local", .provider = "local", .nodes = {min, max}, .shape = {}, .labels = {}};
    spec.shape = core::Resources{2000, std::uint64_t{8} << 30, 0};
    spec.idle_timeout = std::chrono::seconds(20);
    ASSERT_TRUE(head.ask(core::SetPool{"pool", {}, spec}).ok());
    driver.adjust();
    head.settle();
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

  std::string provider_name;
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
                    PoolSite{provider_name, authority.cluster_id(), "127.0.0.1:1", "127.0.0.1:2",
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
  world.pass(119 * kj::SECONDS);
  EXPECT_NE(world.state().node(first), nullptr);
  world.pass(3 * kj::SECONDS);
  EXPECT_EQ(world.state().node(first), nullptr);
  EXPECT_EQ(world.provider.orders.size(), 2u);
  EXPECT_EQ(world.provider.destroyed, std::vector<NodeRef>{first});
  // Once is no pattern.
  EXPECT_EQ(world.pool().state, core::PoolState::kOpen);
  EXPECT_EQ(world.pool().failures, 1u);
}

TEST(PoolDriver, PausesWhenNodesCannotBeMadeAndTriesOneAtATime) {
  Pools world;
  world.provider.refuse_create = true;
  world.make_pool(1);
  world.pass(120 * kj::SECONDS);
  EXPECT_EQ(world.pool().state, core::PoolState::kPaused);
  EXPECT_NE(world.pool().trouble.find("no room"), std::string::npos) << world.pool().trouble;
  // Three in a row, then one after 5, 10, 20, 40 s.
  EXPECT_GE(world.provider.orders.size(), 6u);
  EXPECT_LE(world.provider.orders.size(), 8u);
  world.provider.refuse_create = false;
  world.pass(90 * kj::SECONDS);
  ASSERT_EQ(world.provider.instances.size(), 1u);
  world.join(world.provider.orders.back());
  EXPECT_EQ(world.pool().state, core::PoolState::kOpen);
  EXPECT_EQ(world.pool().failures, 0u);
}

TEST(PoolDriver, AsksAgainWhenItIsNotKnownWhetherANodeWasMade) {
  Pools world;
  world.provider.break_create = true;
  world.make_pool(1);
  world.pass(5 * kj::SECONDS);
  world.provider.break_create = false;
  world.pass(10 * kj::SECONDS);
  ASSERT_GE(world.provider.orders.size(), 3u);
  for (const pools::NodeOrder& order : world.provider.orders) {
    EXPECT_EQ(order.node, world.provider.orders[0].node);
    EXPECT_EQ(order.token, world.provider.orders[0].token);
  }
  EXPECT_EQ(world.provider.instances.size(), 1u);
  EXPECT_EQ(world.pool().failures, 0u);
  EXPECT_TRUE(world.provider.destroyed.empty());
}

TEST(PoolDriver, EndsANodeOnceMoreThatIsMadeAfterItWasGivenUp) {
  Pools world;
  world.provider.hold_create = true;
  world.make_pool(1);
  const NodeRef slow = world.provider.orders[0].node;
  world.provider.hold_create = false;
  world.pass(118 * kj::SECONDS);
  ASSERT_TRUE(world.head.ask(core::RemoveNode{"k", {}, slow.id}).ok());
  world.head.settle();
  EXPECT_EQ(world.state().node(slow), nullptr);
  // The answer of the first call comes at last, and with it the node.
  world.provider.instances[slow] = pools::InstanceState::kAlive;
  world.provider.held[slow]->fulfill(Result<Done>(Done{}));
  world.head.settle();
  EXPECT_FALSE(world.provider.instances.contains(slow));
}

TEST(PoolDriver, TakesTwoListingsToBelieveThatALostNodeIsGone) {
  Pools world;
  world.make_pool(1);
  const NodeRef node = world.provider.orders[0].node;
  world.join(world.provider.orders[0]);
  world.provider.instances.clear();
  world.pass(100 * kj::SECONDS);
  // Missing in three listings, but it speaks: nothing is believed.
  ASSERT_GE(world.provider.lists, 3);
  EXPECT_NE(world.state().node(node), nullptr);
  ASSERT_TRUE(world.head.ask(core::LoseNode{node}).ok());
  const int lists = world.provider.lists;
  while (world.provider.lists == lists) world.pass(500 * kj::MILLISECONDS);
  EXPECT_NE(world.state().node(node), nullptr);
  world.pass(PoolDriver::kAskAgain + 1 * kj::SECONDS);
  EXPECT_EQ(world.state().node(node), nullptr);
}

TEST(PoolDriver, TakesNoListingForProofAboutNodesThatPeopleStart) {
  Pools world(nothing_recovered(), {}, nullptr, core::kStaticProvider);
  world.make_static();
  const PoolId pool = world.state().pools().begin()->first;
  const NodeRef waits = world.head.request_node(pool);
  const NodeRef away = world.head.request_node(pool);
  world.head.join(away, 2);
  ASSERT_TRUE(world.head.ask(core::LoseNode{away}).ok());
  world.pass(120 * kj::SECONDS);
  ASSERT_GE(world.provider.lists, 3);
  EXPECT_NE(world.state().node(waits), nullptr);
  EXPECT_NE(world.state().node(away), nullptr);
  EXPECT_TRUE(world.provider.destroyed.empty());
  EXPECT_TRUE(world.provider.orders.empty());
}

TEST(PoolDriver, EndsWhatNoFactWants) {
  Pools world;
  world.make_pool(1);
  const NodeRef stranger{NodeId{9}, NodeEpoch{9}};
  world.provider.instances[stranger] = pools::InstanceState::kAlive;
  world.pass(PoolDriver::kListInterval + 1 * kj::SECONDS);
  EXPECT_FALSE(world.provider.instances.contains(stranger));
  EXPECT_EQ(world.provider.instances.size(), 1u);
}

TEST(PoolDriver, RepeatsAnEndUntilItIsDone) {
  Pools world;
  world.make_pool(1);
  const NodeRef node = world.provider.orders[0].node;
  world.provider.refuse_destroy = true;
  ASSERT_TRUE(world.head.ask(core::RemoveNode{"k", {}, node.id}).ok());
  world.pass(20 * kj::SECONDS);
  // Not gone before it is proved, so that nothing is bought beyond the maximum.
  ASSERT_NE(world.state().node(node), nullptr);
  EXPECT_EQ(world.state().node(node)->state, core::NodeState::kDeleting);
  EXPECT_EQ(world.provider.orders.size(), 1u);
  EXPECT_GE(world.provider.destroyed.size(), 3u);
  world.provider.refuse_destroy = false;
  world.pass(PoolDriver::kAskAgainLongest);
  EXPECT_EQ(world.state().node(node), nullptr);
  EXPECT_EQ(world.provider.orders.size(), 2u);
}

TEST(PoolDriver, GrowsFromNothingForWorkAndShrinksAgain) {
  Pools world;
  world.make_elastic(0, 3);
  EXPECT_TRUE(world.provider.orders.empty());
  const JobId job = world.head.submit(5);
  world.pass(1 * kj::SECONDS);
  // Five tasks, two to a node.
  ASSERT_EQ(world.provider.orders.size(), 3u);
  for (std::size_t n = 0; n < 3; ++n) world.join(world.provider.orders[n]);
  world.head.settle();
  EXPECT_EQ(world.state().job(job)->stages[0].waiting.size(), 0u);
  ASSERT_TRUE(world.head.ask(core::Cancel{"c", {}, job, 0, {}}).ok());
  for (const auto& [id, node] : world.state().nodes()) {
    core::ReportEnded report{node.ref, node.session, {}};
    for (const auto& [ref, allotment] : node.allotments)
      report.ended.push_back(
          {{ref, 1, world.state().stage(ref)->spec->indices.select(allotment.runs)}, {}, {}});
    ASSERT_TRUE(world.head.ask(report).ok());
  }
  world.pass(18 * kj::SECONDS);
  EXPECT_EQ(world.nodes(), 3u);
  world.pass(6 * kj::SECONDS);
  EXPECT_EQ(world.nodes(), 0u);
  EXPECT_TRUE(world.provider.instances.empty());
  EXPECT_EQ(world.provider.destroyed.size(), 3u);
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
