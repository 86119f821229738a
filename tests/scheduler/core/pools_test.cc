// Nodes that come, or do not; pools that end; and what people may say of both.

#include "tests/scheduler/core/pools_world.h"

namespace leat::core {
namespace {

TEST(Joining, HasADeadlineAfterWhichTheNodeIsDeletedAndRefused) {
  Pools w;
  const PoolId pool = w.elastic(1, 1);
  const NodeRef node = w.grow(pool)[0];
  w.must(EnrolNode{w.state.node(node)->token_hash});
  w.effects.clear();
  w.pass(61);
  EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
  ASSERT_EQ(w.effects.size(), 1u);
  EXPECT_EQ(std::get<DeleteNode>(w.effects[0]).node, node);
  NodeReport report;
  report.node = node;
  report.capacity = {2000, 0, 0};
  EXPECT_NE(w.refused(JoinNode{report}, Reason::kConflict).find("did not join within 60 s"),
            std::string::npos);
  // Nothing is bought in its place before it is proved gone.
  EXPECT_EQ(w.grow(pool).size(), 0u);
  w.must(ProveGone{node, "ended"});
  EXPECT_EQ(w.grow(pool).size(), 1u);
  w.refused(JoinNode{report}, Reason::kConflict);
}

TEST(Joining, ThatFailsThreeTimesInARowPausesThePoolAndWhySaysSo) {
  Pools w;
  const PoolId pool = w.elastic(0, 4);
  const JobId job = w.submit(sweep(1));
  for (int n = 0; n < 3; ++n) {
    const auto nodes = w.grow(pool);
    ASSERT_EQ(nodes.size(), 1u) << n;
    w.must(FailNode{nodes[0], "no room left"});
    w.must(ProveGone{nodes[0], "never made"});
  }
  EXPECT_EQ(w.grow(pool).size(), 0u);
  w.pass(1);
  EXPECT_EQ(w.state.pools().at(pool).state, PoolState::kPaused);
  const auto causes = why(w.state, {job, 0}, std::nullopt, w.now);
  bool said = false;
  for (const Cause& cause : causes)
    said = said || cause.message.find("no room left") != std::string::npos;
  EXPECT_TRUE(said) << causes.size();
}

TEST(Joining, OfAProbeReopensThePool) {
  Pools w;
  const PoolId pool = w.elastic(2, 4);
  for (const NodeRef node : w.grow(pool)) w.must(FailNode{node, "no"});
  w.must(ProveGone{NodeRef{NodeId{1}, NodeEpoch{1}}, "never made"});
  w.must(ProveGone{NodeRef{NodeId{2}, NodeEpoch{2}}, "never made"});
  for (const NodeRef node : w.grow(pool)) {
    w.must(FailNode{node, "no"});
    w.must(ProveGone{node, "never made"});
  }
  w.pass(1);
  ASSERT_EQ(w.state.pools().at(pool).state, PoolState::kPaused);
  EXPECT_EQ(w.grow(pool).size(), 0u);
  w.pass(5);
  // One at a time, each pause twice the one before.
  Duration pause{0};
  for (int n = 0; n < 8; ++n) {
    const auto probe = w.grow(pool);
    ASSERT_EQ(probe.size(), 1u);
    EXPECT_EQ(w.grow(pool).size(), 0u);
    w.must(FailNode{probe[0], "no"});
    w.must(ProveGone{probe[0], "never made"});
    EXPECT_GE(w.state.pools().at(pool).probe_pause, pause);
    EXPECT_LE(w.state.pools().at(pool).probe_pause, kProbeLongest);
    pause = w.state.pools().at(pool).probe_pause;
    EXPECT_EQ(w.grow(pool).size(), 0u);
    w.pass(pause.count() / 1'000'000 + 1);
  }
  EXPECT_EQ(pause, kProbeLongest);
  w.arrive(w.grow(pool)[0]);
  EXPECT_EQ(w.state.pools().at(pool).state, PoolState::kOpen);
  EXPECT_EQ(w.state.pools().at(pool).failures, 0u);
  EXPECT_EQ(w.grow(pool).size(), 1u);
  w.check_replay();
}

TEST(Joining, AndNotStayingIsAFailureTooUntilANodeHasStayed) {
  Pools w;
  const PoolId pool = w.elastic(1, 1);
  for (std::uint32_t n = 1; n <= 2; ++n) {
    const NodeRef node = w.grow_and_arrive(pool)[0];
    w.pass(3);
    w.must(ProveGone{node, "it died"});
    EXPECT_EQ(w.state.pools().at(pool).failures, n);
  }
  // One that stays ends the row.
  const NodeRef good = w.grow_and_arrive(pool)[0];
  w.pass(20);
  w.must(ChangePool{{}, {}, "p", 2u, 2u, {}, {}, {}});
  const NodeRef bad = w.grow_and_arrive(pool)[0];
  w.pass(3);
  w.must(ProveGone{bad, "it died"});
  EXPECT_EQ(w.state.pools().at(pool).failures, 1u);
  EXPECT_EQ(w.state_of(good), NodeState::kUp);
}

TEST(Joining, DoesNotReopenWhatAPersonHasPaused) {
  Pools w;
  const PoolId pool = w.elastic(2, 4);
  const auto nodes = w.grow(pool);
  w.must(PausePool{{}, {}, "p", "maintenance"});
  w.arrive(nodes[0]);
  EXPECT_EQ(w.state.pools().at(pool).state, PoolState::kPaused);
  w.must(ProveGone{nodes[1], "gone"});
  w.pass(1000);
  EXPECT_EQ(w.grow(pool).size(), 0u);
  w.must(ProbePool{{}, {}, "p"});
  const auto probe = w.grow(pool);
  ASSERT_EQ(probe.size(), 1u);
  w.arrive(probe[0]);
  EXPECT_EQ(w.state.pools().at(pool).state, PoolState::kOpen);
}

// ---- ends of pools ------------------------------------------------------------------------

TEST(Deleting, APoolWithWorkAsksWhatBecomesOfIt) {
  Pools w;
  const PoolId pool = w.elastic(0, 2);
  w.submit(sweep(2));
  const NodeRef node = w.grow_and_arrive(pool)[0];
  w.place();
  const std::string message = w.refused(DeletePool{{}, {}, "p", {}}, Reason::kConflict);
  EXPECT_NE(message.find("--requeue"), std::string::npos) << message;
  EXPECT_NE(message.find("--wait"), std::string::npos) << message;
  w.must(DeletePool{{}, {}, "p", {Running::kComplete, {}}});
  w.pass(1000);
  EXPECT_EQ(w.duty_of(node), NodeDuty::kLeaving);
  EXPECT_EQ(w.grow(pool).size(), 0u);
  w.end_all();
  w.pass(1);
  EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
  w.must(ProveGone{node, "ended"});
  w.pass(1);
  EXPECT_TRUE(w.state.pools().empty());
  // Its name is free again.
  w.elastic(0, 1);
  w.check_replay();
}

TEST(Deleting, APoolRequeuesItsTasksWhenTold) {
  Pools w;
  const PoolId pool = w.elastic(0, 2);
  const JobId job = w.submit(sweep(2));
  const NodeRef node = w.grow_and_arrive(pool)[0];
  w.place();
  const auto started = w.starts();
  w.must(DeletePool{{}, {}, "p", {Running::kRequeue, {}}});
  w.pass(2);
  RunRow row;
  row.outcome = Outcome::kWithdrawn;
  w.end(node, started[0].runs, row);
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 2u);
  w.pass(1);
  w.must(ProveGone{node, "ended"});
  w.pass(1);
  EXPECT_TRUE(w.state.pools().empty());
  EXPECT_EQ(w.job_state(job), JobState::kRunning);
}

TEST(Deleting, APoolGivesUpNodesThatAreComing) {
  Pools w;
  const PoolId pool = w.elastic(2, 2);
  const auto nodes = w.grow(pool);
  w.must(DeletePool{{}, {}, "p", {}});
  w.pass(1);
  for (const NodeRef node : nodes) {
    EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
    w.must(ProveGone{node, "ended"});
  }
  w.pass(1);
  EXPECT_TRUE(w.state.pools().empty());
}

TEST(Deleting, HappensToThePoolOfAJobWhenTheJobHasEnded) {
  Pools w;
  PoolSpec spec{"mine", "local", {0, 3}, Resources{2000, 0, 0}, {}};
  const auto job = std::get<JobId>(w.must(Submit{"k", {}, sweep(4), spec}));
  const Pool* pool = w.state.own_pool(job);
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->spec.name, "mine-" + std::to_string(job.value));
  const JobId other = w.submit(sweep(4));
  const auto nodes = w.grow_and_arrive(pool->id);
  // Nobody else's tasks count, or are placed there.
  ASSERT_EQ(nodes.size(), 2u);
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 4u);
  EXPECT_EQ(w.count(other, TaskState::kWaiting), 4u);
  JobSpec intruder = sweep(1);
  intruder.pools = {pool->spec.name};
  w.refused(Submit{"i", {}, intruder}, Reason::kConflict);
  w.end_all();
  w.place();
  ASSERT_EQ(w.job_state(job), JobState::kSucceeded);
  w.pass(3);
  for (const NodeRef node : nodes) {
    EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
    w.must(ProveGone{node, "ended"});
  }
  w.pass(1);
  EXPECT_TRUE(w.state.pools().empty());
  EXPECT_EQ(w.state.own_pool(job), nullptr);
  w.check_replay();
}

// ---- people -------------------------------------------------------------------------------

TEST(Resizing, BelowRunningWorkIsRefusedUnlessItIsSaidWhatBecomesOfIt) {
  Pools w;
  const PoolId pool = w.elastic(0, 3);
  w.submit(sweep(6));
  w.grow_and_arrive(pool);
  w.place();
  const std::string message =
      w.refused(ChangePool{{}, {}, "p", 1u, 1u, {}, {}, {}}, Reason::kConflict);
  EXPECT_NE(message.find("2 nodes of pool"), std::string::npos) << message;
  EXPECT_EQ(w.state.pools().at(pool).spec.nodes.max, 3u);
  w.refused(ChangePool{{}, {}, "nope", 1u, 1u, {}, {}, {}}, Reason::kNotFound);
  w.refused(ChangePool{{}, {}, "p", 4u, {}, {}, {}, {}}, Reason::kInvalid);
  w.refused(ChangePool{{}, {}, "p", {}, 200'000u, {}, {}, {}}, Reason::kInvalid);
  w.refused(ChangePool{{}, {}, "p", {}, {}, Duration(-1), {}, {}}, Reason::kInvalid);
  w.refused(ChangePool{{}, {}, "p", {}, {}, {}, Duration(5), {}}, Reason::kInvalid);
}

TEST(Resizing, ToTheSameSizeChangesNothing) {
  Pools w;
  w.elastic(0, 3);
  const std::size_t before = w.log.size();
  w.must(ChangePool{{}, {}, "p", 0u, 3u, {}, {}, {}});
  // Its key is all that is kept of it.
  ASSERT_EQ(w.log.size(), before + 1);
  EXPECT_TRUE(std::holds_alternative<WishGranted>(w.log.back().first));
}

TEST(Nodes, ThatAreNotThereCannotBeSpokenOf) {
  Pools w;
  const PoolId pool = w.elastic(1, 1);
  EXPECT_NE(w.refused(DrainNode{{}, {}, NodeId{77}}, Reason::kNotFound).find("node 77"),
            std::string::npos);
  w.refused(ResumeNode{{}, {}, NodeId{77}}, Reason::kNotFound);
  w.refused(RemoveNode{{}, {}, NodeId{77}}, Reason::kNotFound);
  const NodeRef coming = w.grow(pool)[0];
  w.refused(DrainNode{{}, {}, coming.id}, Reason::kConflict);
  w.must(RemoveNode{{}, {}, coming.id});
  EXPECT_EQ(w.state_of(coming), NodeState::kDeleting);
  w.refused(RemoveNode{{}, {}, coming.id}, Reason::kConflict);
}

TEST(Nodes, ThatAreLostAreRemovedByForceOnlyWhenTold) {
  Pools w;
  const PoolId pool = w.elastic(1, 1);
  const JobId job = w.submit(sweep(2));
  const NodeRef node = w.grow_and_arrive(pool)[0];
  w.place();
  w.must(LoseNode{node});
  w.must(RemoveNode{{}, {}, node.id});
  w.pass(30);
  EXPECT_EQ(w.state_of(node), NodeState::kLost);
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 2u);
  w.must(RemoveNode{{}, {}, node.id, {Running::kRequeue, {}}});
  EXPECT_EQ(w.state_of(node), NodeState::kDeleting);
  // Only the proof frees its work.
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 2u);
  w.must(ProveGone{node, "ended"});
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 2u);
}

TEST(Nodes, ThatAreDeletedWhileTheyAreLostAreNamedByWhyUntilTheyAreGone) {
  struct Row {
    bool forced;
    const char* message;
    const char* remedy;
  };
  const Row rows[] = {
      {false, "node 1 has not been heard from; runs are kept there until their lease ends",
       "wait, or prove the node gone"},
      {true,
       "node 1 has not been heard from; runs are kept there until their lease ends or the node has "
       "been deleted",
       "wait"},
  };
  for (const Row& row : rows) {
    Pools w;
    const JobId job = w.submit(sweep(2));
    const NodeRef node = w.grow_and_arrive(w.elastic(0, 1)).at(0);
    w.place();
    w.must(LoseNode{node});
    if (row.forced) w.must(RemoveNode{"k", {}, node.id, {Running::kRequeue, Duration(0)}});
    const auto causes = why(w.state, {job, 0}, std::nullopt, w.now);
    ASSERT_EQ(causes.size(), 1u) << row.forced;
    EXPECT_STREQ(causes[0].reason, "node-lost");
    EXPECT_EQ(causes[0].message, row.message);
    EXPECT_EQ(causes[0].remedy, row.remedy);
    EXPECT_EQ(causes[0].tasks, 2u);
    EXPECT_EQ(why(w.state, {job, 0}, Index{1}, w.now).size(), 1u);
    w.must(ProveGone{node, "deleted"});
    EXPECT_STREQ(why(w.state, {job, 0}, std::nullopt, w.now).at(0).reason, "nodes");
  }
}

TEST(Accounts, AddUpWhatANodeDid) {
  Pools w;
  const PoolId pool = w.elastic(1, 1);
  const NodeRef node = w.grow(pool)[0];
  w.now = w.now + seconds(5);
  w.arrive(node);
  w.now = w.now + seconds(10);
  w.submit(sweep(1));
  w.place();
  w.now = w.now + seconds(7);
  w.submit(sweep(1));
  w.place();
  w.now = w.now + seconds(3);
  w.end_all();
  w.now = w.now + seconds(11);
  const NodeUse use = use_of(*w.state.node(node), w.now);
  EXPECT_EQ(use.busy_us, 10'000'000u);
  EXPECT_EQ(use.used_millicore_us,
            std::uint64_t{1000} * 7'000'000 + std::uint64_t{2000} * 3'000'000);
}

}  // namespace
}  // namespace leat::core
