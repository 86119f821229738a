// The engine under a store that answers when told.

#include "scheduler/engine/engine.h"

#include <gtest/gtest.h>
#include <kj/debug.h>

#include <string>
#include <vector>

#include "scheduler/engine/engine_loop.h"
#include "tests/engine/fakes.h"

namespace leat::engine {
namespace {

core::Submit a_submit(const std::string& key, std::uint64_t tasks = 4) {
  return {key, {}, store::sweep_spec(tasks)};
}

TEST(Engine, HoldsAnswersAndEffectsBackUntilTheRecordIsOnDisk) {
  FakeHead head;
  head.start();
  const NodeRef node = head.request_node(head.pool(1));
  head.join(node, 4);
  head.sink.effects.clear();
  head.store.at_once = false;

  auto accepted = head.engine.post(a_submit("one"));
  ASSERT_TRUE(head.engine.turn(head.now));
  EXPECT_FALSE(accepted.poll(head.scope));
  EXPECT_TRUE(head.sink.effects.empty());
  ASSERT_EQ(head.store.waiting(), 1u);

  head.store.answer();
  EXPECT_TRUE(accepted.poll(head.scope));
  EXPECT_TRUE(accepted.wait(head.scope).ok());
  EXPECT_EQ(head.sink.count<core::StartRuns>(), 1u);
  EXPECT_GE(head.sink.count<core::JobChanged>(), 1u);
}

TEST(Engine, LetsNothingOutWhenTheStoreFails) {
  FakeHead head;
  head.start();
  head.store.at_once = false;
  head.sink.effects.clear();
  auto accepted = head.engine.post(a_submit("one"));
  auto broken = head.engine.on_broken();
  auto seen = head.engine.query([](const core::State&) {});
  head.engine.turn(head.now);
  EXPECT_FALSE(broken.poll(head.scope));
  head.store.fail();
  EXPECT_TRUE(broken.poll(head.scope));
  EXPECT_THROW(broken.wait(head.scope), kj::Exception);
  EXPECT_FALSE(accepted.poll(head.scope));
  EXPECT_TRUE(head.sink.effects.empty());
  // And never again.
  auto later = head.engine.post(a_submit("two"));
  EXPECT_FALSE(head.engine.wants_turn());
  EXPECT_FALSE(head.engine.turn(head.now));
  EXPECT_FALSE(later.poll(head.scope));
  auto asked = head.engine.query([](const core::State&) { ADD_FAILURE() << "read"; });
  EXPECT_FALSE(asked.poll(head.scope));
}

TEST(Engine, HasOneRecordUnderWayAndSharesTheNext) {
  FakeHead head;
  head.start();
  const std::size_t before = head.store.appends;
  head.store.at_once = false;
  auto first = head.engine.post(a_submit("first"));
  EXPECT_TRUE(head.engine.turn(head.now));
  std::vector<kj::Promise<Result<core::Answer>>> gathered;
  for (int n = 0; n < 50; ++n)
    gathered.push_back(head.engine.post(a_submit("later " + std::to_string(n))));
  EXPECT_FALSE(head.engine.wants_turn());
  EXPECT_FALSE(head.engine.turn(head.now));
  EXPECT_EQ(head.store.waiting(), 1u);

  head.store.answer();
  EXPECT_TRUE(first.poll(head.scope));
  ASSERT_TRUE(head.engine.wants_turn());
  EXPECT_TRUE(head.engine.turn(head.now));
  EXPECT_EQ(head.store.appends, before + 2);
  for (auto& promise : gathered) EXPECT_FALSE(promise.poll(head.scope));
  head.store.answer();
  for (auto& promise : gathered) EXPECT_TRUE(promise.poll(head.scope));
}

TEST(Engine, RefusesWhenTheInboxIsFullButHearsItsOwnWords) {
  FakeHead head;
  head.start();
  head.store.at_once = false;
  auto first = head.engine.post(a_submit("first"));
  head.engine.turn(head.now);
  std::vector<kj::Promise<Result<core::Answer>>> kept;
  for (std::size_t n = 0; n < Engine::kInboxMax; ++n)
    kept.push_back(head.engine.post(core::EnrolNode{}));
  auto refused = head.engine.post(a_submit("one too many"));
  ASSERT_TRUE(refused.poll(head.scope));
  EXPECT_EQ(refused.wait(head.scope).refusal().reason, Reason::kOverloaded);
  auto own = head.engine.post(core::LoseNode{});
  EXPECT_FALSE(own.poll(head.scope));
  head.store.answer();
  head.store.at_once = true;
  head.settle();
  EXPECT_TRUE(own.poll(head.scope));
}

TEST(Engine, TakesABoundedNumberOfCommandsPerTurn) {
  FakeHead head;
  head.start();
  std::vector<kj::Promise<Result<core::Answer>>> kept;
  for (std::size_t n = 0; n < Engine::kCommandsPerTurn + 1; ++n)
    kept.push_back(head.engine.post(core::EnrolNode{}));
  EXPECT_TRUE(head.engine.turn(head.now));
  EXPECT_FALSE(kept.back().poll(head.scope));
  EXPECT_TRUE(head.engine.wants_turn());
  EXPECT_TRUE(head.engine.turn(head.now));
  EXPECT_TRUE(kept.back().poll(head.scope));
}

TEST(Engine, AnswersWithoutARecordWhenNothingChanged) {
  FakeHead head;
  head.start();
  head.store.at_once = false;
  const std::size_t before = head.store.appends;
  auto refused = head.engine.post(core::EnrolNode{});
  EXPECT_TRUE(head.engine.turn(head.now));
  EXPECT_TRUE(refused.poll(head.scope));
  EXPECT_FALSE(refused.wait(head.scope).ok());
  EXPECT_EQ(head.store.appends, before);
}

TEST(Engine, GivesTheFirstAnswerToARepeatedKey) {
  FakeHead head;
  head.start();
  const JobId first = head.submit(10, "same");
  EXPECT_EQ(head.submit(10, "same"), first);
  EXPECT_NE(head.submit(10, "other"), first);
}

TEST(Engine, ShowsReadersOnlyWhatIsOnDisk) {
  FakeHead head;
  head.start();
  head.store.at_once = false;
  auto accepted = head.engine.post(a_submit("one"));
  head.engine.turn(head.now);
  EXPECT_EQ(head.engine.state().jobs().size(), 1u);
  std::size_t seen = 99;
  auto read = head.engine.query([&seen](const core::State& state) { seen = state.jobs().size(); });
  EXPECT_FALSE(read.poll(head.scope));
  EXPECT_EQ(seen, 99u);
  head.store.answer();
  // In between, another turn must not slip in front of the reader.
  auto second = head.engine.post(a_submit("two"));
  EXPECT_TRUE(read.poll(head.scope));
  EXPECT_EQ(seen, 1u);
}

TEST(Engine, IsTheSameAfterRecovery) {
  FakeHead head;
  head.start();
  const NodeRef node = head.request_node(head.pool(1));
  const std::uint64_t session = head.join(node, 2);
  const JobId job = head.submit(100, "k", 10);
  core::RunSet runs{{job, 0}, 1, IndexList(Stride{0, 2, 1})};
  EXPECT_TRUE(head.ask(core::ReportEnded{node, session, {{runs, {}, std::nullopt}}}).ok());
  auto recovered = store::recover(head.store.file());
  ASSERT_TRUE(recovered.ok());
  EXPECT_EQ(recovered.value().state->digest(), head.engine.state().digest());
  EXPECT_EQ(recovered.value().recorder.next_sequence(), head.engine.sequence() + 1);
}

TEST(EngineLoop, SharesATurnAmongTheCommandsOfOneIteration) {
  FakeHead head;
  std::int64_t us = 0;
  EngineLoop loop(
      head.engine, head.timer, [&us] { return Time{Duration(++us)}; },
      [](const core::Withdrawal&) {});
  auto started = head.engine.post(core::StartHead{1, "test"});
  head.scope.poll();
  const std::size_t before = head.store.appends;
  std::vector<kj::Promise<Result<core::Answer>>> answers;
  for (int n = 0; n < 20; ++n) answers.push_back(head.engine.post(a_submit(std::to_string(n))));
  head.scope.poll();
  for (auto& answer : answers) EXPECT_TRUE(answer.poll(head.scope));
  EXPECT_EQ(head.store.appends, before + 1);
}

TEST(EngineLoop, TicksOnlyWhileTimeCanChangeSomething) {
  FakeHead head;
  Duration now{0};
  EngineLoop loop(
      head.engine, head.timer, [&now] { return Time{now}; }, [](const core::Withdrawal&) {});
  const auto pass = [&](int seconds) {
    for (int n = 0; n < seconds; ++n) {
      now += std::chrono::seconds(1);
      head.timer.advanceTo(head.timer.now() + 1 * kj::SECONDS);
      head.scope.poll();
    }
  };
  head.now = Time{Duration(1)};
  auto started = head.engine.post(core::StartHead{1, "test"});
  head.scope.poll();
  head.now = head.engine.last();
  const NodeRef node = head.request_node(head.pool(1));
  head.join(node, 2);
  now = head.engine.last().since_start;
  const JobId job = head.submit(2);
  now = head.engine.last().since_start;
  ASSERT_EQ(head.engine.state().stage({job, 0})->cells.at(0).state, core::TaskState::kPlaced);
  const std::size_t before = head.store.appends;
  pass(20);
  EXPECT_EQ(head.store.appends, before);
  auto lost = head.engine.post(core::LoseNode{node});
  head.scope.poll();
  pass(290);
  EXPECT_EQ(head.engine.state().stage({job, 0})->cells.at(0).state, core::TaskState::kPlaced);
  pass(20);  // the lease of five minutes is over
  EXPECT_EQ(head.engine.state().stage({job, 0})->cells.at(0).state, core::TaskState::kWaiting);
}

}  // namespace
}  // namespace leat::engine
