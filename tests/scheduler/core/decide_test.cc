#include "scheduler/core/decide.h"

#include <gtest/gtest.h>

#include "tests/scheduler/core/world.h"

namespace leat::core {
namespace {

TEST(Submit, IsOneFactWhateverItsSize) {
  World w;
  const std::size_t before = w.log.size();
  w.submit(sweep(4'000'000'000));
  EXPECT_EQ(w.log.size(), before + 1);
  EXPECT_EQ(w.state.jobs().begin()->second.stages[0].cells.entry_count(), 1u);
}

TEST(Submit, ReturnsTheFirstAnswerToARepeatedKey) {
  World w;
  const JobId first = w.submit(sweep(10), "again");
  const std::size_t facts = w.log.size();
  EXPECT_EQ(w.submit(sweep(99), "again"), first);
  EXPECT_EQ(w.log.size(), facts);
}

TEST(Submit, RefusesWhatNoDeclaredNodeCanHold) {
  World w;
  w.pool("p", Resources{4000, 0, 0});
  const Result<Answer> answer = w.say(Submit{"k", {}, sweep(1, 5)});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.refusal().reason, Reason::kConflict);
  EXPECT_NE(answer.refusal().message.find("4 cpus"), std::string::npos);
  EXPECT_TRUE(w.state.jobs().empty());
}

TEST(Submit, LetsAnUndeclaredShapeWaitAndSaysWhy) {
  World w;
  w.node(4);
  const JobId job = w.submit(sweep(1, 5));
  EXPECT_EQ(w.place(), 0u);
  const std::vector<Cause> causes = why(w.state, {job, 0}, std::nullopt, w.now);
  ASSERT_FALSE(causes.empty());
  EXPECT_STREQ(causes[0].reason, "resources");
}

TEST(Submit, RefusesUnknownPools) {
  World w;
  w.pool();
  JobSpec spec = sweep(1);
  spec.pools = {"nowhere"};
  const Result<Answer> answer = w.say(Submit{"k", {}, spec});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.refusal().reason, Reason::kNotFound);
}

TEST(Tasks, FoldIntoOneEntryWhenTheyAreOver) {
  World w;
  w.node(8);
  w.node(8);
  const JobId job = w.submit(sweep(10'000));
  RunRow row;
  row.duration_us = 1000;
  for (w.place();; w.place()) {
    const auto started = w.starts();
    if (started.empty()) break;
    for (const auto& start : started) w.end(start.node, start.runs, row);
    if (w.state.job(job)->active()) {
      const Stage& stage = w.state.job(job)->stages[0];
      if (stage.done.size() == stage.cells.size()) {
        EXPECT_EQ(stage.cells.entry_count(), 1u);
      }
    }
  }
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded), 10'000u);
  w.check_replay();
}

TEST(Tasks, UseAtMostOneFactPer32AtSteadyState) {
  World w;
  for (int n = 0; n < 4; ++n) w.node(2);
  w.submit(sweep(1'000'000));
  RunRow row;
  row.duration_us = 1000;
  const std::size_t before = w.log.size();
  w.drain(row);
  EXPECT_LT(w.log.size() - before, 1'000'000u / 32);
}

TEST(Tasks, AreTriedAgainAfterAFailureUntilTheRetriesAreUsed) {
  World w;
  const NodeRef node = w.node(1);
  JobSpec spec = sweep(1);
  spec.stages[0].retries = 2;
  const JobId job = w.submit(spec);
  RunRow failure;
  failure.code = 7;
  for (Attempt attempt = 1; attempt <= 3; ++attempt) {
    w.place();
    const auto started = w.starts();
    ASSERT_EQ(started.size(), 1u);
    EXPECT_EQ(started[0].runs.attempt, attempt);
    w.end(node, started[0].runs, failure);
  }
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  EXPECT_EQ(w.state.job(job)->retried, 2u);
  ASSERT_EQ(w.state.job(job)->failures.size(), 1u);
  EXPECT_EQ(w.state.job(job)->failures[0].code, 7);
}

TEST(Tasks, UseNoRetryWhenTheirNodeIsLost) {
  World w;
  const NodeRef first = w.node(1);
  const JobId job = w.submit(sweep(1));
  w.place();
  w.must(ProveGone{first, "pulled"});
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
  const NodeRef second = w.node(1);
  w.place();
  EXPECT_EQ(w.state.node(second)->allotments.size(), 1u);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Tasks, AreSetAsideAfterThreeLostNodes) {
  World w;
  const JobId job = w.submit(sweep(2));
  for (int n = 0; n < 3; ++n) {
    const NodeRef node = w.node(2);
    w.place();
    w.must(ProveGone{node, "died"});
  }
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kQuarantined), 2u);
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
}

TEST(Tasks, AreNotBlamedForANodeThatDiedWhileTheyWereQueuedThere) {
  World w;
  const JobId job = w.submit(sweep(1000));
  NodeRef node = w.node(1);
  w.place();
  RunRow row;
  row.duration_us = 1000;
  w.end(node, w.starts().at(0).runs, row);
  for (int n = 0; n < 3; ++n) {
    w.place();
    ASSERT_GT(w.count(job, TaskState::kPlaced), 50u);
    w.must(ProveGone{node, "died"});
    node = w.node(1);
  }
  EXPECT_EQ(w.count(job, TaskState::kQuarantined), 1u);
  EXPECT_EQ(w.state.job(job)->lost, 3u);
}

TEST(Reports, OfAStaleAttemptChangeNothing) {
  World w;
  const NodeRef node = w.node(1);
  JobSpec spec = sweep(1);
  spec.stages[0].retries = 1;
  const JobId job = w.submit(spec);
  w.place();
  const RunSet first = w.starts().at(0).runs;
  RunRow failure;
  failure.code = 1;
  w.end(node, first, failure);
  w.place();
  const std::uint64_t digest = w.state.digest();
  w.end(node, first);  // the late word of attempt 1: success
  EXPECT_EQ(w.state.digest(), digest);
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
}

TEST(Reports, SaidTwiceInOneBatchCountOnce) {
  World w;
  const NodeRef node = w.node(1);
  w.submit(sweep(1));
  w.place();
  EndedSet set;
  set.runs = w.starts().at(0).runs;
  w.must(ReportEnded{node, w.state.node(node)->session, {set, set}});
  w.place();
  EXPECT_EQ(w.job_state(JobId{1}), JobState::kSucceeded);
}

TEST(Reports, OfAnEarlierSessionAreRefused) {
  World w;
  const NodeRef node = w.node(1);
  w.submit(sweep(1));
  w.place();
  EndedSet set;
  set.runs = w.starts().at(0).runs;
  w.join(node, 1);
  EXPECT_FALSE(w.say(ReportEnded{node, 1, {set}}).ok());
  EXPECT_TRUE(w.say(ReportEnded{node, 2, {set}}).ok());
}

TEST(Reports, OfAnotherNodeChangeNothing) {
  World w;
  const NodeRef first = w.node(1);
  w.submit(sweep(1));
  w.place();
  const RunSet runs = w.starts().at(0).runs;
  const NodeRef second = w.node(1);
  ASSERT_NE(w.state.node(first)->allotments.size(), 0u);
  w.end(second, runs);
  EXPECT_EQ(w.count(JobId{1}, TaskState::kPlaced), 1u);
}

TEST(Reports, OfWhatDoesNotExistAreIgnored) {
  World w;
  const NodeRef node = w.node(1);
  w.submit(sweep(3));
  w.place();
  const std::uint64_t digest = w.state.digest();
  w.end(node, RunSet{{JobId{1}, 9}, 1, IndexList(Stride{0, 1, 1})});
  w.end(node, RunSet{{JobId{7}, 0}, 1, IndexList(Stride{0, 1, 1})});
  w.end(node, RunSet{{JobId{1}, 0}, 1, IndexList(Stride{2, 5, 1})});
  EXPECT_EQ(w.state.digest(), digest);
}

TEST(Nodes, GetEverythingAgainWhenTheyRejoin) {
  World w;
  const NodeRef node = w.node(2);
  w.submit(sweep(2));
  w.place();
  w.starts();
  w.must(LoseNode{node});
  EXPECT_EQ(w.state.node(node)->state, NodeState::kLost);
  w.join(node, 2);
  const auto again = w.starts();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].runs.indices.size(), 2u);
}

TEST(Nodes, KeepTheirRunsUntilTheLeaseEnds) {
  World w;
  const NodeRef node = w.node(1);
  JobSpec spec = sweep(1);
  spec.stages[0].lease = Duration(1'000'000);
  const JobId job = w.submit(spec);
  w.place();
  w.must(LoseNode{node});
  w.now = w.now + Duration(999'999);
  w.must(Tick{});
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 1u);
  w.now = w.now + Duration(1);
  w.must(Tick{});
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 1u);
  w.check_replay();
}

TEST(Nodes, AreRefusedOnceTheyAreGone) {
  World w;
  const NodeRef node = w.node(1);
  w.must(ProveGone{node, "unplugged"});
  NodeReport report;
  report.node = node;
  report.capacity = {1000, 0, 0};
  EXPECT_FALSE(w.say(JoinNode{report}).ok());
}

TEST(Tokens, WorkOnceAndNotForEver) {
  World w;
  w.pool();
  const Hash token{1};
  w.must(RequestNode{PoolId{1}, token, w.now + Duration(10)});
  w.must(EnrolNode{token});
  const auto again = w.say(EnrolNode{token});
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.refusal().message.find("used already"), std::string::npos);
  const Hash late{2};
  w.must(RequestNode{PoolId{1}, late, w.now + Duration(10)});
  w.now = w.now + Duration(10);
  EXPECT_NE(w.say(EnrolNode{late}).refusal().message.find("expired"), std::string::npos);
  EXPECT_EQ(w.say(EnrolNode{Hash{3}}).refusal().reason, Reason::kNotFound);
}

TEST(Head, GrantsAFreshLeaseWhenItRestarts) {
  World w;
  const NodeRef node = w.node(1);
  w.submit(sweep(1));
  w.place();
  w.now = w.now + Duration(50);
  w.must(StartHead{2'000'000, "test"});
  EXPECT_EQ(w.state.node(node)->state, NodeState::kLost);
  EXPECT_EQ(w.state.node(node)->since, w.now);
  EXPECT_EQ(w.state.meta().epoch, HeadEpoch{2});
}

TEST(Cancel, EndsAJobThatWaits) {
  World w;
  const JobId job = w.submit(with_reduce(sweep(10), 2));
  w.must(Cancel{{}, {}, job, 0, {}});
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
  EXPECT_EQ(w.count(job, TaskState::kCancelled), 10u);
  EXPECT_FALSE(w.say(Cancel{{}, {}, job, 0, {}}).ok());
  w.check_replay();
}

TEST(Cancel, EndsRunningTasksAndKeepsWhatSucceeded) {
  World w;
  const NodeRef node = w.node(2);
  const JobId job = w.submit(sweep(4));
  w.place();
  const RunSet runs = w.starts().at(0).runs;
  ASSERT_EQ(runs.indices.size(), 2u);
  w.must(Cancel{{}, {}, job, 0, {}});
  EXPECT_EQ(w.count(job, TaskState::kEnding), 2u);
  bool told = false;
  for (const Effect& effect : w.effects)
    if (const auto* end = std::get_if<EndRuns>(&effect)) told = end->runs.indices.size() == 2;
  EXPECT_TRUE(told);
  RunRow killed;
  killed.outcome = Outcome::kCancelled;
  killed.code = 15;
  w.end(node, {runs.stage, 1, IndexList(Stride{0, 1, 1})}, killed);
  w.end(node, {runs.stage, 1, IndexList(Stride{1, 1, 1})});
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
  EXPECT_EQ(w.count(job, TaskState::kCancelled), 3u);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded), 1u);
}

TEST(Cancel, OfOneTaskLeavesTheOthers) {
  World w;
  w.node(1);
  const JobId job = w.submit(sweep(3));
  w.must(Cancel{{}, {}, job, 0, IndexList(Stride{1, 1, 1})});
  w.drain();
  EXPECT_EQ(w.count(job, TaskState::kSucceeded), 2u);
  EXPECT_EQ(w.count(job, TaskState::kCancelled), 1u);
}

TEST(Cancel, IsDoneWhenTheNodeOfAnEndingTaskIsGone) {
  World w;
  const NodeRef node = w.node(1);
  const JobId job = w.submit(sweep(1));
  w.place();
  w.must(Cancel{{}, {}, job, 0, {}});
  w.must(ProveGone{node, "died"});
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
}

}  // namespace
}  // namespace leat::core
