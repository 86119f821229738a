// A node is not ended before it has had its chance to bring its outputs to safety.

#include <gtest/gtest.h>
#include <kj/debug.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "scheduler/engine/agent_link.h"
#include "scheduler/engine/evacuating_provider.h"
#include "tests/engine/fakes.h"

#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace leat::engine {
namespace {

class FakeAgent final : public schema::Agent::Server {
 public:
  explicit FakeAgent(int& asked) : asked_(asked) {}

  kj::Promise<void> evacuate(EvacuateContext context) override {
    EXPECT_GT(context.getParams().getTicket().size(), 0u);
    ++asked_;
    return kj::READY_NOW;
  }
  kj::Promise<void> ping(PingContext) override { return kj::READY_NOW; }

 private:
  int& asked_;
};

class FakeProvider final : public pools::Provider {
 public:
  kj::Promise<Result<Done>> create(pools::NodeOrder) override { return Result<Done>(Done{}); }
  kj::Promise<Result<Done>> destroy(NodeRef) override {
    ++destroyed;
    return Result<Done>(Done{});
  }
  kj::Promise<Result<std::vector<pools::Instance>>> list() override {
    return Result<std::vector<pools::Instance>>(std::vector<pools::Instance>{});
  }
  kj::Promise<std::vector<pools::InstanceChange>> changes() override { return kj::NEVER_DONE; }
  void head_moved(const std::string&) override {}

  int destroyed = 0;
};

struct EvacuationTest : testing::Test {
  EvacuationTest() {
    head.sink.forward = [this](const core::Effect& effect) { links.carry_out(effect); };
    head.start();
    node = head.request_node(head.pool(1));
  }
  ~EvacuationTest() noexcept override { std::filesystem::remove_all(directory); }

  void join() {
    session = head.join(node, 2);
    open();
  }

  // Of the newest session, a connection.
  void open() {
    EXPECT_TRUE(
        links.open(node, session, schema::Agent::Client(kj::heap<FakeAgent>(asked)), {}, nullptr));
    head.settle();
  }

  void pass(kj::Duration span) {
    head.timer.advanceTo(head.timer.now() + span);
    head.settle();
  }

  // In steps in which pings are answered.
  void pass_slowly(kj::Duration span) {
    for (; span > 0 * kj::SECONDS; span -= kj::SECONDS) pass(kj::SECONDS);
  }

  // Ends the node; `destroyed` tells whether that has happened.
  kj::Promise<void> end() {
    kj::Promise<void> ended = provider.destroy(node).ignoreResult().eagerlyEvaluate(nullptr);
    head.settle();
    return ended;
  }

  static std::string made() {
    char name[] = "/var/tmp/leat-engine-test-XXXXXX";
    return ::mkdtemp(name);
  }

  std::string directory = made();
  transport::TicketSigner signer = transport::TicketSigner::open(directory).value();
  FakeHead head;
  TicketOffice tickets{signer, [] { return transport::WallSeconds{1'000'000}; }};
  std::string log;
  AgentLinks links{LinkServices{head.engine, head.timer, tickets,
                                [this](std::string_view line) { log += line; }}};
  FakeProvider inner;
  EvacuatingProvider provider{inner, [this](NodeRef ref) { return links.evacuate(ref); }};
  NodeRef node;
  std::uint64_t session = 0;
  int asked = 0;
};

TEST_F(EvacuationTest, ComesBeforeTheEnd) {
  join();
  const kj::Promise<void> first = end();
  const kj::Promise<void> again = end();
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(inner.destroyed, 0);
  links.evacuated(node, session + 1, "of another session");
  head.settle();
  EXPECT_EQ(inner.destroyed, 0);
  links.evacuated(node, session, "5 bytes are safe");
  head.settle();
  EXPECT_EQ(inner.destroyed, 2);
  EXPECT_NE(log.find("5 bytes are safe"), std::string::npos);
}

TEST_F(EvacuationTest, IsNotWaitedForWhereNobodyCanSay) {
  const kj::Promise<void> never_joined = end();
  EXPECT_EQ(inner.destroyed, 1);
  join();
  const kj::Promise<void> ended = end();
  EXPECT_EQ(inner.destroyed, 1);
  links.disconnected(node, session);
  head.settle();
  EXPECT_EQ(inner.destroyed, 1) << "it may come back";
  pass(kRejoinDeadline);
  EXPECT_EQ(inner.destroyed, 2);
  const kj::Promise<void> away = end();
  EXPECT_EQ(inner.destroyed, 3);
}

TEST_F(EvacuationTest, GoesOnWhenTheAgentComesBack) {
  join();
  const kj::Promise<void> ended = end();
  links.disconnected(node, session);
  pass(kRejoinDeadline - 1 * kj::SECONDS);
  open();
  EXPECT_EQ(asked, 2);
  pass(2 * kj::SECONDS);
  EXPECT_EQ(inner.destroyed, 0);
  links.evacuated(node, session, "5 bytes are safe");
  head.settle();
  EXPECT_EQ(inner.destroyed, 1);
}

TEST_F(EvacuationTest, GivesAgentsTimeToComeBackWhenTheHeadHasStarted) {
  session = head.join(node, 2);  // of the head before
  const kj::Promise<void> ended = end();
  EXPECT_EQ(inner.destroyed, 0);
  open();
  EXPECT_EQ(asked, 1);
  links.evacuated(node, session, "5 bytes are safe");
  head.settle();
  EXPECT_EQ(inner.destroyed, 1);
}

TEST_F(EvacuationTest, DoesNotWaitLongForAgentsThatDoNotComeBack) {
  session = head.join(node, 2);
  const kj::Promise<void> ended = end();
  pass(kRejoinDeadline - 1 * kj::SECONDS);
  EXPECT_EQ(inner.destroyed, 0);
  pass(1 * kj::SECONDS);
  EXPECT_EQ(inner.destroyed, 1);
}

TEST_F(EvacuationTest, EndsWhenNothingIsHeardOfIt) {
  join();
  const kj::Promise<void> ended = end();
  pass_slowly(kEvacuationSilence - 2 * kj::SECONDS);
  EXPECT_EQ(inner.destroyed, 0);
  pass_slowly(4 * kj::SECONDS);
  EXPECT_EQ(inner.destroyed, 1);
}

TEST_F(EvacuationTest, GoesOnWhileThereIsProgressUpToItsDeadline) {
  join();
  const kj::Promise<void> ended = end();
  kj::Duration span = 0 * kj::SECONDS;
  for (; span < kEvacuationDeadline - 2 * kj::MINUTES; span += kj::MINUTES) {
    pass_slowly(kj::MINUTES);
    links.evacuating(node, session);
  }
  EXPECT_EQ(inner.destroyed, 0);
  pass_slowly(kEvacuationDeadline - span + 2 * kj::SECONDS);
  EXPECT_EQ(inner.destroyed, 1);
}

TEST_F(EvacuationTest, MakesNoProgressInAnotherSession) {
  join();
  const kj::Promise<void> ended = end();
  pass_slowly(kEvacuationSilence - 2 * kj::SECONDS);
  links.evacuating(node, session + 1);
  pass_slowly(4 * kj::SECONDS);
  EXPECT_EQ(inner.destroyed, 1);
}

}  // namespace
}  // namespace leat::engine
