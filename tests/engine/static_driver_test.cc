// Tokens for nodes that people start, and the end of such nodes.

#include "scheduler/engine/static_driver.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "pools/static_pool.h"
#include "tests/engine/fakes.h"

namespace leat::engine {
namespace {

using Tokens = Result<std::vector<TokenGiven>>;
constexpr transport::WallSeconds kWall = 1'000'000;

struct ByHand {
  ByHand() {
    head.sink.forward = [this](const core::Effect& effect) { driver.carry_out(effect); };
    head.start();
    pool("lab", core::kStaticProvider, 3);
    pool("local", "local", 1);
  }

  void pool(const char* name, const char* of_kind, std::uint32_t nodes) {
    LEAT_CHECK(
        head
            .ask(core::SetPool{
                name,
                {},
                {.name = name, .provider = of_kind, .nodes = nodes, .shape = {}, .labels = {}}})
            .ok());
  }

  Tokens ask(TokenRequest request) {
    kj::Promise<Tokens> answer = driver.make_tokens(std::move(request));
    head.settle();
    EXPECT_TRUE(answer.poll(head.scope)) << "not answered";
    return answer.wait(head.scope);
  }

  // As the agent that has the token.
  NodeRef join(const TokenGiven& given) {
    const transport::JoinToken token = transport::decode_token(given.text).value();
    const transport::Hash hash = transport::token_hash(token.secret);
    core::Hash known{};
    std::memcpy(known.data(), hash.data(), known.size());
    LEAT_CHECK(head.ask(core::EnrolNode{known}).ok());
    head.join(token.node, 2);
    return token.node;
  }

  const core::Node* node(NodeRef ref) const { return head.engine.state().node(ref); }

  FakeHead head;
  std::vector<NodeRef> told;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> leaving;
  pools::StaticPool provider{[this](NodeRef node) {
                               told.push_back(node);
                               auto left = kj::newPromiseAndFulfiller<void>();
                               leaving.push_back(kj::mv(left.fulfiller));
                               return kj::mv(left.promise);
                             },
                             [] { return std::vector<NodeRef>{}; }};
  std::uint8_t secrets = 0;
  StaticDriver driver{PoolServices{head.engine, provider, head.timer, [this] { return head.now; },
                                   [] { return kWall; },
                                   [this] {
                                     transport::Secret secret{};
                                     secret[0] = std::byte{++secrets};
                                     return secret;
                                   },
                                   [](std::string_view) {}},
                      PoolSite{core::kStaticProvider, authority.cluster_id(), "10.0.0.7:1",
                               "10.0.0.7:2", authority.certificate_der(), false}};

  struct Authority {
    Authority() {
      char name[] = "/var/tmp/leat-static-test-XXXXXX";
      path = ::mkdtemp(name);
    }
    ~Authority() { std::filesystem::remove_all(path); }
    std::string path;
  };
  static inline const Authority directory{};
  static inline const transport::ClusterAuthority authority =
      transport::ClusterAuthority::create(directory.path, transport::new_cluster_id(), kWall)
          .value();
};

constexpr Duration kHour = std::chrono::hours(1);

TEST(StaticDriver, GivesATokenForEachNodeAndExpectsIt) {
  ByHand world;
  const Tokens tokens = world.ask({"key", "lab", 2, kHour});
  ASSERT_TRUE(tokens.ok()) << tokens.refusal().message;
  ASSERT_EQ(tokens.value().size(), 2u);
  std::set<std::string> secrets;
  for (const TokenGiven& given : tokens.value()) {
    const transport::JoinToken token = transport::decode_token(given.text).value();
    EXPECT_EQ(token.node, given.node);
    EXPECT_EQ(token.pool, "lab");
    EXPECT_EQ(token.agent_address, "10.0.0.7:1");
    EXPECT_EQ(token.enrol_address, "10.0.0.7:2");
    EXPECT_EQ(token.expires_wall_s, kWall + 3600);
    EXPECT_EQ(world.node(given.node)->state, core::NodeState::kRequested);
    secrets.insert(given.text);
  }
  EXPECT_EQ(secrets.size(), 2u);
  const NodeRef joined = world.join(tokens.value()[1]);
  EXPECT_EQ(world.node(joined)->state, core::NodeState::kUp);
}

TEST(StaticDriver, AnswersTheSameKeyWithTheSameTokens) {
  ByHand world;
  const Tokens first = world.ask({"key", "lab", 1, kHour});
  const Tokens again = world.ask({"key", "lab", 1, kHour});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value()[0].text, first.value()[0].text);
  EXPECT_EQ(world.head.engine.state().nodes().size(), 1u);
  const Tokens other = world.ask({"other", "lab", 1, kHour});
  EXPECT_NE(other.value()[0].text, first.value()[0].text);
}

TEST(StaticDriver, RefusesWhatItCannotGive) {
  ByHand world;
  const auto reason = [&world](TokenRequest request) {
    const Tokens tokens = world.ask(std::move(request));
    EXPECT_FALSE(tokens.ok());
    return tokens.ok() ? Reason::kOverloaded : tokens.refusal().reason;
  };
  EXPECT_EQ(reason({"k", "none", 1, kHour}), Reason::kNotFound);
  EXPECT_EQ(reason({"k", "local", 1, kHour}), Reason::kConflict);
  EXPECT_EQ(reason({"k", "lab", 0, kHour}), Reason::kInvalid);
  EXPECT_EQ(reason({"k", "lab", StaticDriver::kTokensAtOnce + 1, kHour}), Reason::kInvalid);
  EXPECT_EQ(reason({"k", "lab", 1, Duration(0)}), Reason::kInvalid);
  EXPECT_EQ(reason({"", "lab", 1, kHour}), Reason::kInvalid);
  EXPECT_EQ(reason({"k", "lab", 4, kHour}), Reason::kConflict);
  EXPECT_TRUE(world.head.engine.state().nodes().empty());
  EXPECT_TRUE(world.ask({"k", "lab", 3, kHour}).ok());
  EXPECT_EQ(reason({"more", "lab", 1, kHour}), Reason::kConflict);
}

TEST(StaticDriver, ProvesANodeGoneOnlyWhenItsAgentHasLeft) {
  ByHand world;
  const NodeRef node = world.join(world.ask({"key", "lab", 1, kHour}).value()[0]);
  ASSERT_TRUE(world.head.ask(core::RemoveNode{"r", {}, node.id}).ok());
  ASSERT_TRUE(world.head.ask(core::Tick{}).ok());
  ASSERT_EQ(world.told, std::vector<NodeRef>{node});
  ASSERT_NE(world.node(node), nullptr);
  EXPECT_EQ(world.node(node)->state, core::NodeState::kDeleting);
  world.leaving[0]->fulfill();
  world.head.settle();
  EXPECT_EQ(world.node(node), nullptr);
}

// That a provider does not know a node proves nothing if the node was never its own.
TEST(StaticDriver, IsNotOvertakenByTheDriverOfAnotherProvider) {
  ByHand world;
  std::vector<NodeRef> asked;
  pools::StaticPool local{[&asked](NodeRef node) {
                            asked.push_back(node);
                            return kj::Promise<void>(kj::READY_NOW);
                          },
                          [] { return std::vector<NodeRef>{}; }};
  PoolDriver other{PoolServices{world.head.engine, local, world.head.timer,
                                [&world] { return world.head.now; }, [] { return kWall; },
                                [] { return transport::Secret{}; }, [](std::string_view) {}},
                   PoolSite{"local", ByHand::authority.cluster_id(), "10.0.0.7:1", "10.0.0.7:2",
                            ByHand::authority.certificate_der(), false}};
  world.head.sink.forward = [&world, &other](const core::Effect& effect) {
    other.carry_out(effect);
    world.driver.carry_out(effect);
  };
  const NodeRef node = world.join(world.ask({"key", "lab", 1, kHour}).value()[0]);
  ASSERT_TRUE(world.head.ask(core::RemoveNode{"r", {}, node.id}).ok());
  ASSERT_TRUE(world.head.ask(core::Tick{}).ok());
  EXPECT_TRUE(asked.empty());
  ASSERT_NE(world.node(node), nullptr);
  EXPECT_EQ(world.node(node)->state, core::NodeState::kDeleting);
  world.leaving.at(0)->fulfill();
  world.head.settle();
  EXPECT_EQ(world.node(node), nullptr);
}

TEST(StaticDriver, LeavesNodesOfOtherProvidersAlone) {
  ByHand world;
  const core::Pool* local = world.head.engine.state().pool_named("local");
  const NodeRef node = world.head.request_node(local->id);
  ASSERT_TRUE(world.head.ask(core::RemoveNode{"r", {}, node.id}).ok());
  world.head.settle();
  EXPECT_TRUE(world.told.empty());
}

}  // namespace
}  // namespace leat::engine
