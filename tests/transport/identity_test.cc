#include "transport/identity.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/transport/support.h"

namespace leat::transport {
namespace {

TEST(Identity, SurvivesBeingWrittenAndRead) {
  const std::uint64_t epoch_max = std::numeric_limits<std::uint64_t>::max();
  const Peer store{Peer::Kind::kStore, {}, 0};
  for (const Peer& peer : {head_peer(), store, agent_peer(1, 1), agent_peer(4294967295u, epoch_max),
                           user_peer(0), user_peer(4294967294u)}) {
    const Result<Peer> read = parse_common_name(common_name(peer));
    ASSERT_TRUE(read.ok()) << common_name(peer);
    EXPECT_EQ(read.value(), peer);
  }
  EXPECT_EQ(common_name(agent_peer(7, 12)), "agent:7:12");
  EXPECT_EQ(common_name(user_peer(1000)), "user:1000");
}

TEST(Identity, RefusesEverythingThatOnlyLooksLikeAName) {
  for (const char* text : {"",
                           "Head",
                           "head ",
                           " head",
                           "head:1",
                           "agent",
                           "agent:",
                           "agent:1",
                           "agent:1:",
                           "agent:0:1",
                           "agent:1:0",
                           "agent:01:1",
                           "agent:+1:1",
                           "agent:-1:1",
                           "agent:1:1:1",
                           "agent:1:1 ",
                           "agent:4294967296:1",
                           "agent:1:18446744073709551616",
                           "user:",
                           "user:x",
                           "user:-1",
                           "user:0x1",
                           "user:1000\n",
                           "user:4294967296",
                           "root",
                           "leat-cluster:aaaaaaaaaaaaaaaa"}) {
    EXPECT_FALSE(parse_common_name(text).ok()) << text;
  }
  EXPECT_FALSE(parse_common_name(std::string_view("head\0x", 6)).ok());
}

TEST(Identity, NamesOneServerPerKindAndOnePerLifeOfANode) {
  EXPECT_EQ(server_name(Peer::Kind::kHead, "abc"), "head.abc");
  EXPECT_EQ(server_name(Peer::Kind::kStore, "abc"), "store.abc");
  EXPECT_EQ(server_name(Peer::Kind::kAgent, "abc"), "agent.abc");
  EXPECT_EQ(agent_server_name({{3}, {9}}, "abc"), "agent-3-9.abc");
}

}  // namespace
}  // namespace leat::transport
