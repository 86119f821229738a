// What a node is told, in which order, and when it is given up.

#include "scheduler/engine/agent_link.h"

#include <gtest/gtest.h>
#include <kj/debug.h>

#include <string>
#include <vector>

#include "tests/engine/link_world.h"

namespace leat::engine {
namespace {

TEST(AgentLink, SendsWhatIsPlacedWithTheSpecOncePerSession) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, heard);
  const JobId job = world.head.submit(8, "one");
  ASSERT_EQ(heard.starts.size(), 1u);
  EXPECT_EQ(heard.starts[0].session, session);
  EXPECT_EQ(heard.starts[0].sequence, 1u);
  EXPECT_EQ(heard.starts[0].head_epoch, 1u);
  EXPECT_TRUE(heard.starts[0].has_spec[0]);
  EXPECT_EQ(heard.starts[0].sets[0].stage.job, job);
  world.report(node, session, {{job, 0}, 1, IndexList(Stride{0, 1, 1})});
  ASSERT_EQ(heard.starts.size(), 2u);
  EXPECT_FALSE(heard.starts[1].has_spec[0]);
  EXPECT_EQ(heard.starts[1].sequence, 2u);

  // The next session knows nothing.
  Heard again;
  world.join(node, again);
  ASSERT_GE(again.starts.size(), 1u);
  EXPECT_TRUE(again.starts[0].has_spec[0]);
  EXPECT_EQ(again.starts[0].sequence, 1u);
  EXPECT_EQ(world.hung_up, 1);
}

TEST(AgentLink, KeepsToTheCreditWindow) {
  Links world;
  Heard heard;
  heard.hold_starts = true;
  const NodeRef node = world.node();
  world.join(node, heard, 64);
  for (int n = 0; n < 20; ++n) world.head.submit(1, "job " + std::to_string(n));
  EXPECT_EQ(heard.starts.size(), kCallsUnanswered);
  EXPECT_EQ(world.links.find(node)->queue_length(), 20 - kCallsUnanswered);
  heard.held.front()->fulfill();
  world.head.settle();
  // What had gathered leaves in one call.
  EXPECT_EQ(heard.starts.size(), kCallsUnanswered + 1);
  EXPECT_EQ(heard.starts.back().runs, 20u - kCallsUnanswered);
  EXPECT_EQ(world.links.find(node)->queue_length(), 0u);
}

TEST(AgentLink, CutsBatchesAtTheirLimit) {
  Links world;
  Heard first;
  const NodeRef node = world.node();
  // Placed one fact after the other while nobody listens; the join then tells all at once.
  world.head.join(node, 5'000);
  world.head.submit(4'999);
  world.join(node, first, 5'000);
  ASSERT_EQ(first.starts.size(), 2u);
  EXPECT_EQ(first.starts[0].runs, kRunsPerBatch);
  EXPECT_EQ(first.starts[1].runs, 4'999 - kRunsPerBatch);
}

TEST(AgentLink, RepeatsEverythingPlacedAtARejoinAndNothingElse) {
  Links world;
  Heard first;
  first.hold_starts = true;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, first);
  const JobId job = world.head.submit(4);
  world.links.disconnected(node, session);
  Heard second;
  world.join(node, second);
  ASSERT_EQ(second.starts.size(), 1u);
  EXPECT_EQ(second.starts[0].sets[0].stage.job, job);
  EXPECT_EQ(second.starts[0].runs, 4u);
  EXPECT_EQ(second.starts[0].session, session + 1);
  EXPECT_TRUE(second.ends.empty());
}

TEST(AgentLink, EndsLiveRunsThatAreNotPlacedThere) {
  Links world;
  Heard first;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, first);
  const JobId job = world.head.submit(4);
  world.report(node, session, {{job, 0}, 1, IndexList(Stride{0, 1, 1})});
  Heard second;
  const core::RunSet known{{job, 0}, 1, IndexList(Stride{0, 3, 1})};  // 0 has ended
  const core::RunSet old{{job, 0}, 7, IndexList(Stride{2, 1, 1})};    // no such attempt
  const core::RunSet unknown{{JobId{99}, 0}, 1, IndexList(Stride{5, 2, 1})};
  world.join(node, second, 4, {known, old, unknown});
  ASSERT_EQ(second.ends.size(), 3u);
  EXPECT_EQ(second.ends[0].runs.indices.to_string(), "0");
  EXPECT_EQ(second.ends[1].runs.attempt, 7u);
  EXPECT_EQ(second.ends[2].runs.indices.to_string(), "5-6");
  EXPECT_EQ(second.ends[0].why, schema::Outcome::WITHDRAWN);
}

TEST(AgentLink, DoesNotOpenASessionThatHasBeenOvertaken) {
  Links world;
  Heard old;
  Heard fresh;
  const NodeRef node = world.node();
  const std::uint64_t first = world.head.join(node, 4);
  world.join(node, fresh);
  EXPECT_FALSE(
      world.links.open(node, first, schema::Agent::Client(kj::heap<FakeAgent>(old)), {}, [] {}));
  world.head.submit(2);
  EXPECT_EQ(old.starts.size(), 0u);
  EXPECT_EQ(fresh.starts.size(), 1u);
  // Nor does the end of an old one matter.
  world.links.disconnected(node, first);
  EXPECT_TRUE(world.links.find(node)->connected());
}

TEST(AgentLink, KeepsTheOrderOfStartAndEnd) {
  Links world;
  Heard heard;
  heard.hold_starts = true;
  const NodeRef node = world.node();
  world.join(node, heard, 64);
  for (unsigned n = 0; n < kCallsUnanswered; ++n) world.head.submit(1, "job " + std::to_string(n));
  const JobId job = world.head.submit(1, "last");
  EXPECT_TRUE(world.head.ask(core::Cancel{"c", {}, job, 0, {}}).ok());
  EXPECT_TRUE(heard.ends.empty());  // its start has not been sent either
  for (auto& held : heard.held) held->fulfill();
  world.head.settle();
  ASSERT_EQ(heard.ends.size(), 1u);
  EXPECT_EQ(heard.ends[0].runs.stage.job, job);
  EXPECT_EQ(heard.starts.back().sets.back().stage.job, job);
}

TEST(AgentLink, NamesTheInputsOfAReduceInIndexOrder) {
  Links world;
  Heard heard_one;
  Heard heard_two;
  const NodeRef one = world.node();
  const NodeRef two = world.node();
  const std::uint64_t session_one = world.join(one, heard_one, 2);
  const std::uint64_t session_two = world.join(two, heard_two, 2);
  const JobId job = world.head.submit(4, "tree", 4);  // 4 tasks, one reduce step
  // Two tasks on each node; which, the core decides.
  const auto& cells = world.head.engine.state().stage({job, 0})->cells;
  std::vector<Index> at_one;
  std::vector<Index> at_two;
  for (Index n = 0; n < 4; ++n) (cells.at(n).node == one ? at_one : at_two).push_back(n);
  ASSERT_EQ(at_one.size(), 2u);
  world.report(one, session_one, {{job, 0}, 1, IndexList::from_sorted(at_one)});
  world.report(two, session_two, {{job, 0}, 1, IndexList::from_sorted(at_two)});
  const Heard& reducer = heard_one.starts.back().sets[0].stage.stage == 1 ? heard_one : heard_two;
  const Heard::Start& step = reducer.starts.back();
  ASSERT_EQ(step.sets[0].stage.stage, 1);
  EXPECT_EQ(step.parts[0], std::vector<std::size_t>{2});
  ASSERT_EQ(step.addresses.size(), 2u);
  const std::string first =
      "127.0.0.1:" + std::to_string(4000 + (at_one[0] == 0 ? one : two).id.value);
  EXPECT_EQ(step.addresses[0], first);
  EXPECT_NE(step.addresses[1], first);
  EXPECT_TRUE(step.is_result[0]);
  EXPECT_TRUE(step.has_store_ticket[0]);
}

TEST(AgentLink, TellsOfReleasedOutputsNowAndAtTheNextJoin) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, heard);
  const JobId job = world.head.submit(1);
  world.report(node, session, {{job, 0}, 1, IndexList(Stride{0, 1, 1})});
  EXPECT_EQ(heard.released, std::vector<std::uint64_t>{job.value});
  Heard later;
  world.join(node, later);
  EXPECT_EQ(later.released, std::vector<std::uint64_t>{job.value});
}

void expect_its_time_to_come_back(Links& world, NodeRef node) {
  world.pass(kRejoinDeadline - 1 * kj::SECONDS);
  EXPECT_EQ(state_of(world, node), core::NodeState::kUp);
  world.pass(2 * kj::SECONDS);
  EXPECT_EQ(state_of(world, node), core::NodeState::kLost);
}

TEST(AgentLink, LosesANodeThatDoesNotComeBack) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, heard);
  world.links.disconnected(node, session);
  expect_its_time_to_come_back(world, node);
}

TEST(AgentLink, LosesANodeWhoseConnectionWasOverBeforeItsJoinWasWritten) {
  Links world;
  const NodeRef node = world.node();
  const std::uint64_t session = world.head.join(node, 4);
  world.links.missed(node, session - 1);
  world.pass(kRejoinDeadline + 1 * kj::SECONDS);
  EXPECT_EQ(state_of(world, node), core::NodeState::kUp) << "an older one";
  world.links.missed(node, session);
  expect_its_time_to_come_back(world, node);
}

TEST(AgentLink, KeepsANodeThatComesBackInTime) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, heard);
  world.links.disconnected(node, session);
  world.pass(kRejoinDeadline - 1 * kj::SECONDS);
  world.join(node, heard);
  world.pass(20 * kj::SECONDS);
  EXPECT_EQ(state_of(world, node), core::NodeState::kUp);
  EXPECT_GE(heard.pings, 10);
}

TEST(AgentLink, LosesANodeThatDoesNotAnswerPings) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  world.join(node, heard);
  world.pass(5 * kj::SECONDS);
  heard.hold_pings = true;
  world.pass(kPingDeadline);  // the ping that is not answered leaves a second from now
  EXPECT_EQ(state_of(world, node), core::NodeState::kUp);
  world.pass(2 * kj::SECONDS);
  EXPECT_EQ(state_of(world, node), core::NodeState::kLost);
  EXPECT_FALSE(world.links.find(node)->connected());
  EXPECT_EQ(world.hung_up, 1);
}

TEST(AgentLink, HangsUpOnANodeThatIsGone) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  world.join(node, heard);
  EXPECT_TRUE(world.head.ask(core::ProveGone{node, "gone"}).ok());
  EXPECT_EQ(world.hung_up, 1);
  EXPECT_EQ(world.links.find(node), nullptr);
}

TEST(FindInputs, LeavesTheNodeOutWhereTheOutputIsNotHeld) {
  Links world;
  Heard heard;
  const NodeRef node = world.node();
  const std::uint64_t session = world.join(node, heard, 2);
  const JobId job = world.head.submit(4, "tree", 4);
  world.report(node, session, {{job, 0}, 1, IndexList(Stride{0, 2, 1})});
  const RunInputs inputs = find_inputs(world.head.engine.state(), {job, 1}, 0);
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].node, node);
  EXPECT_EQ(inputs[0].runs.indices.to_string(), "0-1");
  EXPECT_EQ(inputs[1].node, NodeRef{});
}

}  // namespace
}  // namespace leat::engine
