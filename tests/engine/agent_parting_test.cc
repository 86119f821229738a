// How the head and an agent that is told to stop come apart.

#include <gtest/gtest.h>

#include "tests/engine/link_world.h"

namespace leat::engine {
namespace {

TEST(AgentLink, WaitsForAnAgentThatIsToldToStopToHangUp) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, heard);
  kj::Promise<void> parted = world.links.part(node);
  world.head.settle();
  EXPECT_EQ(heard.stops, 1);
  EXPECT_FALSE(parted.poll(world.head.scope));
  EXPECT_EQ(world.links.find(node), nullptr);
  // The effect of the same fact, which comes after it, does not cut the line.
  EXPECT_TRUE(world.head.ask(core::ProveGone{node, "gone"}).ok());
  EXPECT_EQ(world.hung_up, 0);
  world.links.disconnected(node, session);
  EXPECT_TRUE(parted.poll(world.head.scope));
  world.head.settle();
  EXPECT_EQ(world.hung_up, 1);
}

TEST(AgentLink, HangsUpOnAnAgentThatDoesNotStop) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  world.join(node, heard);
  kj::Promise<void> parted = world.links.part(node);
  world.pass(kPartingDeadline);
  world.pass(1 * kj::SECONDS);
  EXPECT_TRUE(parted.poll(world.head.scope));
  EXPECT_EQ(world.hung_up, 1);
  EXPECT_TRUE(world.links.part(node).poll(world.head.scope));  // nobody is there any more
}

}  // namespace
}  // namespace leat::engine
