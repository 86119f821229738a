#include "node-agent/agent_core.h"

#include <gtest/gtest.h>

#include "tests/node-agent/agent_core_words.h"

namespace leat::agent {
namespace {

using Indices = std::vector<Index>;

TEST(AgentCore, LaunchesAsManyAsAreClaimedInOrder) {
  Node node;
  EXPECT_EQ(node.start("10-20", 3), Verdict::kTaken);
  EXPECT_EQ(node.launched(), (Indices{10, 11, 12}));
  EXPECT_EQ(node.core.queued(), 8u);
  node.exit(11);
  const Actions actions = node.core.take_actions();
  ASSERT_EQ(actions.launches.size(), 1u);
  EXPECT_EQ(actions.launches[0].run.index, 13u);
  EXPECT_EQ(actions.launches[0].slot, 1u);  // the one that 11 had
  EXPECT_EQ(actions.launches[0].position, 13u);
}

TEST(AgentCore, StartsARunOnceHoweverOftenItIsAskedTo) {
  Node node;
  node.start("1-3", 1);
  EXPECT_EQ(node.launched(), (Indices{1}));
  node.start("1-3", 1);  // queued and running
  EXPECT_TRUE(node.launched().empty());
  EXPECT_EQ(node.core.queued(), 2u);
  node.exit(1);
  EXPECT_EQ(node.launched(), (Indices{2}));
  node.start("1", 1);  // ended, not acknowledged
  EXPECT_TRUE(node.launched().empty());
  EXPECT_EQ(node.core.queued(), 1u);
}

TEST(AgentCore, IgnoresBatchesThatAreRepeatedOrOfAnotherSessionOrAnOlderHead) {
  Node node;
  StartBatch first = node.batch("1", 9);
  EXPECT_EQ(node.core.on_start(first, node.now), Verdict::kTaken);
  StartBatch again = node.batch("2", 9);
  again.sequence = first.sequence;
  EXPECT_EQ(node.core.on_start(again, node.now), Verdict::kRepeated);
  StartBatch foreign = node.batch("3", 9);
  foreign.session = 2;
  EXPECT_EQ(node.core.on_start(foreign, node.now), Verdict::kOtherSession);
  StartBatch old = node.batch("4", 9);
  old.head_epoch = HeadEpoch{6};
  EXPECT_EQ(node.core.on_start(old, node.now), Verdict::kOlderHead);
  EXPECT_EQ(node.launched(), (Indices{1}));
  EXPECT_EQ(node.core.on_joined(9, HeadEpoch{6}), Verdict::kOlderHead);
  EXPECT_EQ(node.core.session(), 1u);
  const EndOrder order{{kStage, 1, list("1"), 0}, Outcome::kCancelled, Duration{0}};
  EXPECT_EQ(node.core.on_end(HeadEpoch{6}, {&order, 1}, node.now), Verdict::kOlderHead);
  EXPECT_EQ(node.core.on_withdraw(HeadEpoch{6}, kStage, 1, node.now), Verdict::kOlderHead);
  const JobId job{17};
  EXPECT_EQ(node.core.on_release(HeadEpoch{6}, {&job, 1}), Verdict::kOlderHead);
  EXPECT_TRUE(node.core.take_actions().empty());
}

TEST(AgentCore, IgnoresAnOlderAttemptAndReplacesAnOlderOneThatRuns) {
  Node node;
  node.start("5", 2, 3);
  EXPECT_EQ(node.launched(), (Indices{5}));
  node.start("5", 2, 2);
  EXPECT_TRUE(node.core.take_actions().empty());
  node.start("5", 2, 4);
  Actions actions = node.core.take_actions();
  ASSERT_EQ(actions.ends.size(), 1u);
  EXPECT_EQ(actions.ends[0].run.attempt, 3u);
  EXPECT_TRUE(actions.launches.empty());  // never two of one task
  node.exit(5, 3, true);
  actions = node.core.take_actions();
  ASSERT_EQ(actions.launches.size(), 1u);
  EXPECT_EQ(actions.launches[0].run.attempt, 4u);
}

TEST(AgentCore, ReplacesAnOlderAttemptThatIsQueued) {
  Node node;
  node.start("1-4", 1);
  node.core.take_actions();
  node.start("3", 1, 2);
  const Actions actions = node.core.take_actions();
  ASSERT_EQ(actions.dropped.size(), 1u);
  EXPECT_EQ(actions.dropped[0].indices, list("3"));
  EXPECT_EQ(node.core.queued(), 3u);
  const std::vector<RunId> next = node.core.upcoming(kStage, 10);
  ASSERT_EQ(next.size(), 3u);
  EXPECT_EQ(next[2], run_id(kStage, 2, 3));
}

TEST(AgentCore, TakesTheNewestClaimsAndLowersThemWhenTheStageShrinks) {
  Node node;
  node.start("0-9", 4);
  EXPECT_EQ(node.launched().size(), 4u);
  node.start("10-19", 2);
  for (Index i = 0; i < 3; ++i) node.exit(i);
  EXPECT_EQ(node.launched(), (Indices{4}));  // 2 run, no more
  for (Index i = 3; i < 19; ++i) node.exit(i);
  EXPECT_EQ(node.core.running(), 1u);
  EXPECT_EQ(node.launched().back(), 19u);
}

TEST(AgentCore, StartsNothingWithoutAFreeSlotAndCarriesOnWhenOneIsFree) {
  Node node("0-999", 2);
  node.start("0-9", 8);
  EXPECT_EQ(node.launched(), (Indices{0, 1}));
  node.exit(0);
  const Actions actions = node.core.take_actions();
  ASSERT_EQ(actions.launches.size(), 1u);
  EXPECT_EQ(actions.launches[0].slot, 0u);
}

TEST(AgentCore, GivesBackTheLastOfTheQueue) {
  Node node;
  node.start("0-99", 2);
  node.core.take_actions();
  EXPECT_EQ(node.core.on_withdraw(kHead, kStage, 10, node.now), Verdict::kTaken);
  const Actions actions = node.core.take_actions();
  ASSERT_EQ(actions.dropped.size(), 1u);
  EXPECT_EQ(actions.dropped[0].indices, list("90-99"));
  const auto report = node.core.next_report(at_ms(2000));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->ended.size(), 1u);
  EXPECT_EQ(row_of(report->ended[0].columns, 5).outcome, Outcome::kWithdrawn);
  EXPECT_EQ(report->ended[0].columns.outcome.values().size(), 1u);  // folded
  EXPECT_EQ(node.core.queued(), 88u);
  node.core.on_withdraw(kHead, kStage, 1000, node.now);
  EXPECT_EQ(node.core.queued(), 0u);
  EXPECT_EQ(node.core.running(), 2u);
}

TEST(AgentCore, EndsQueuedRunsAtOnceAndRunningOnesThroughTheShell) {
  Node node;
  node.start("0-9", 2);
  node.core.take_actions();
  node.end("1-3", Outcome::kCancelled);
  const Actions actions = node.core.take_actions();
  ASSERT_EQ(actions.ends.size(), 1u);
  EXPECT_EQ(actions.ends[0].run.index, 1u);
  EXPECT_EQ(actions.ends[0].grace, Duration(1000));
  ASSERT_EQ(actions.dropped.size(), 1u);
  EXPECT_EQ(actions.dropped[0].indices, list("2-3"));
  RunResult killed;
  killed.outcome = Outcome::kSignal;
  killed.code = 15;
  node.core.on_exit(run_id(kStage, 1, 1), killed, true, node.now);
  const auto report = node.core.next_report(at_ms(2000));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->ended.size(), 2u);
  EXPECT_EQ(row_of(report->ended[0].columns, 0).outcome, Outcome::kCancelled);
  EXPECT_EQ(row_of(report->ended[0].columns, 0).code, 15);
  EXPECT_EQ(report->ended[1].runs.indices, list("2-3"));
  EXPECT_EQ(row_of(report->ended[1].columns, 0).code, 0);  // never ran
}

TEST(AgentCore, ReportsARunThatEndedByItselfAsItEnded) {
  Node node;
  node.start("1", 1);
  node.end("1", Outcome::kCancelled);
  node.exit(1, 1, false);
  const auto report = node.core.next_report(node.now);
  ASSERT_TRUE(report);
  EXPECT_EQ(row_of(report->ended[0].columns, 0).outcome, Outcome::kExit);
}

TEST(AgentCore, AnswersAnEndOfWhatItNeverHeardOf) {
  Node node;
  node.start("1", 1);
  node.end("50-60", Outcome::kWithdrawn);
  const EndOrder order{{{JobId{99}, 0}, 2, list("7"), 0}, Outcome::kCancelled, Duration{0}};
  node.core.on_end(kHead, {&order, 1}, node.now);
  const auto report = node.core.next_report(at_ms(2000));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->ended.size(), 2u);
  EXPECT_EQ(report->ended[0].runs.indices, list("50-60"));
  EXPECT_EQ(report->ended[1].runs.stage.job, JobId{99});
}

TEST(AgentCore, StartsAnAcknowledgedTaskAgainOnlyAsTheHeadWishes) {
  Node node;
  node.start("0", 1);
  node.exit(0);
  node.core.on_reported(node.core.next_report(node.now)->id);
  node.core.take_actions();
  node.start("0", 1, 2);
  EXPECT_EQ(node.launched(), (Indices{0}));
}

TEST(AgentCore, AdoptsWhatRunsAndReportsWhatEndedMeanwhile) {
  AgentCore core;
  core.on_recovered_stage(kStage, spec_over("0-99"));
  core.on_recovered_end(run_id(kStage, 1, 3), exit_code(0), std::nullopt, at_ms(1));
  const std::vector<AdoptedRun> dump{{run_id(kStage, 1, 1), 0}, {run_id(kStage, 1, 2), 5}};
  core.on_adopted(dump);
  EXPECT_FALSE(core.on_exit(run_id(kStage, 1, 3), exit_code(0), false, at_ms(2)));  // in the log
  EXPECT_TRUE(core.on_exit(run_id(kStage, 1, 4), exit_code(9), false, at_ms(2)));
  EXPECT_EQ(core.running(), 2u);
  core.on_joined(8, kHead);
  ASSERT_EQ(core.live().size(), 1u);
  EXPECT_EQ(core.live()[0].indices, list("1-4"));
  StartSet set;
  set.runs = {kStage, 1, list("0-4"), 0};
  set.claims = 3;
  core.on_start({kHead, 8, 1, {set}}, at_ms(3));  // everything placed here, sent again
  const Actions actions = core.take_actions();
  ASSERT_EQ(actions.launches.size(), 1u);
  EXPECT_EQ(actions.launches[0].run.index, 0u);
  EXPECT_EQ(actions.launches[0].slot, 1u);  // 0 and 5 are taken
}

TEST(AgentCore, KnowsAdoptedRunsWhoseStageItLearnsLater) {
  AgentCore core;
  const std::vector<AdoptedRun> dump{{run_id(kStage, 1, 1), 0}};
  core.on_adopted(dump);
  core.on_exit(run_id(kStage, 1, 2), exit_code(0), false, at_ms(1));
  core.on_joined(1, kHead);
  EXPECT_EQ(core.live().size(), 2u);
  StartSet set;
  set.runs = {kStage, 1, list("1-3"), 0};
  set.claims = 3;
  set.spec = spec_over("0-9");
  core.on_start({kHead, 1, 1, {set}}, at_ms(3));
  const Actions actions = core.take_actions();
  ASSERT_EQ(actions.launches.size(), 1u);
  EXPECT_EQ(actions.launches[0].run.index, 3u);
}

TEST(AgentCore, TreatsAnEndWithoutAKnownOrderAsWithdrawn) {
  AgentCore core;
  const std::vector<AdoptedRun> dump{{run_id(kStage, 1, 1), 0}};
  core.on_adopted(dump);
  core.on_joined(1, kHead);
  core.on_exit(run_id(kStage, 1, 1), exit_code(15), true, at_ms(1));
  EXPECT_EQ(row_of(core.next_report(at_ms(1))->ended[0].columns, 0).outcome, Outcome::kWithdrawn);
}

TEST(AgentCore, ForgetsAReleasedJobWhenNothingOfItIsLeft) {
  Node node;
  node.start("1", 1);
  node.core.take_actions();
  const JobId job{17};
  node.core.on_release(kHead, {&job, 1});
  EXPECT_TRUE(node.core.take_actions().forgotten.empty());
  node.exit(1);
  EXPECT_TRUE(node.core.take_actions().forgotten.empty());
  node.core.on_reported(node.core.next_report(node.now)->id);
  EXPECT_EQ(node.core.take_actions().forgotten, std::vector<JobId>{job});
  EXPECT_EQ(node.core.spec_of(kStage), nullptr);
}

TEST(AgentCore, GivesEverythingBackWhenItStops) {
  Node node;
  node.start("0-9", 2);
  node.core.take_actions();
  node.core.on_stop(Duration(5), node.now);
  EXPECT_EQ(node.core.take_actions().ends.size(), 2u);
  node.start("20-29", 2);
  EXPECT_TRUE(node.core.take_actions().launches.empty());
  node.exit(0, 1, true);
  node.exit(1, 1, true);
  EXPECT_TRUE(node.core.idle());
  EXPECT_EQ(node.core.next_report(node.now)->run_count(), 20u);
}

TEST(AgentCore, AnswersSetsThatMakeNoSense) {
  Node node("0-9");
  node.start("5-15", 2);  // 10-15 are not in the stage
  StartBatch unknown = node.batch("1", 1);
  unknown.sets[0].runs.stage = {JobId{4}, 0};
  unknown.sets[0].spec = nullptr;
  node.core.on_start(unknown, node.now);
  EXPECT_TRUE(node.launched().empty());
  const auto report = node.core.next_report(node.now);
  ASSERT_TRUE(report);
  ASSERT_EQ(report->ended.size(), 2u);
  EXPECT_EQ(row_of(report->ended[0].columns, 0).outcome, Outcome::kCouldNotStart);
  EXPECT_EQ(row_of(report->ended[1].columns, 0).outcome, Outcome::kWithdrawn);
}

}  // namespace
}  // namespace leat::agent
