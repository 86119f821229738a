#include "pools/static_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace leat::pools {
namespace {

constexpr NodeRef kNode{NodeId{3}, NodeEpoch{9}};

struct Fixture {
  kj::EventLoop loop;
  kj::WaitScope scope{loop};
  std::vector<NodeRef> told;
  std::vector<NodeRef> connected;
  kj::Own<kj::PromiseFulfiller<void>> left;
  StaticPool pool{[this](NodeRef node) {
                    told.push_back(node);
                    auto promise = kj::newPromiseAndFulfiller<void>();
                    left = kj::mv(promise.fulfiller);
                    return kj::mv(promise.promise);
                  },
                  [this] { return connected; }};
};

TEST(StaticPool, MakesNoNode) {
  Fixture world;
  NodeOrder order;
  order.node = kNode;
  const Result<Done> made = world.pool.create(order).wait(world.scope);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.refusal().reason, Reason::kConflict);
}

TEST(StaticPool, HasEndedANodeWhenItsAgentHasLeft) {
  Fixture world;
  kj::Promise<Result<Done>> ended = world.pool.destroy(kNode);
  EXPECT_FALSE(ended.poll(world.scope));
  EXPECT_EQ(world.told, std::vector<NodeRef>{kNode});
  world.left->fulfill();
  EXPECT_TRUE(ended.wait(world.scope).ok());
}

TEST(StaticPool, ListsWhoIsConnectedAndCallsNobodyGone) {
  Fixture world;
  world.connected = {kNode};
  const auto listed = world.pool.list().wait(world.scope);
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed.value().size(), 1u);
  EXPECT_EQ(listed.value()[0].node, kNode);
  EXPECT_EQ(listed.value()[0].state, InstanceState::kAlive);
  EXPECT_FALSE(world.pool.changes().poll(world.scope));
}

}  // namespace
}  // namespace leat::pools
