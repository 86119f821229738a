#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/node-agent/agent_core_words.h"

namespace leat::agent {
namespace {

TEST(AgentCore, ReportsAtOnceWhenNothingElseIsComingAndElseInBatches) {
  Node node;
  node.start("0-9", 1);
  node.exit(0);
  EXPECT_FALSE(node.core.next_report(node.now));
  EXPECT_EQ(node.core.report_due(), node.now + kReportDelay);
  EXPECT_FALSE(node.core.next_report(at_ms(1024)));
  EXPECT_TRUE(node.core.next_report(at_ms(1025)));
  for (Index i = 1; i < 10; ++i) node.exit(i);
  const auto last = node.core.next_report(node.now);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->run_count(), 9u);
  EXPECT_EQ(node.core.report_due(), kNever);
}

TEST(AgentCore, FoldsAThousandEqualExitsIntoOneEntry) {
  Node node("0-999999");
  node.start("0-99999", 64);
  for (Index i = 0; i < 1000; ++i) node.exit(i);
  const auto report = node.core.next_report(at_ms(2000));
  ASSERT_TRUE(report);
  ASSERT_EQ(report->ended.size(), 1u);
  EXPECT_EQ(report->ended[0].runs.indices.strides().size(), 1u);
  EXPECT_EQ(report->ended[0].columns, RunColumns{});  // all zero: success
}

TEST(AgentCore, NeverPutsMoreThanTheBoundIntoABatchNorMoreBatchesUnderWay) {
  Node node("0-999999");
  node.start("0-99999", 64);
  for (Index i = 0; i < 30000; ++i) node.exit(i);
  std::vector<std::uint64_t> ids;
  while (const auto report = node.core.next_report(node.now)) {
    EXPECT_LE(report->run_count(), kRunsInBatch);
    ids.push_back(report->id);
  }
  EXPECT_EQ(ids.size(), kReportsInFlight);
  EXPECT_TRUE(node.core.on_reported(ids[1]));
  EXPECT_FALSE(node.core.on_reported(ids[1]));
  EXPECT_TRUE(node.core.next_report(node.now));
  EXPECT_FALSE(node.core.next_report(node.now));
}

TEST(AgentCore, ReportsAgainInTheNextSessionWhatWasNotAcknowledged) {
  Node node;
  node.start("0-3", 4);
  for (Index i = 0; i < 4; ++i) node.exit(i);
  const auto first = node.core.next_report(node.now);
  ASSERT_TRUE(first);
  node.core.on_disconnected();
  EXPECT_FALSE(node.core.next_report(node.now));
  EXPECT_FALSE(node.core.on_reported(first->id));  // too late: not of this session
  ASSERT_EQ(node.core.live().size(), 1u);
  EXPECT_EQ(node.core.live()[0].indices, list("0-3"));
  node.core.on_joined(2, kHead);
  const auto second = node.core.next_report(node.now);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->ended, first->ended);
  EXPECT_TRUE(node.core.on_reported(second->id));
  EXPECT_EQ(node.core.unreported(), 0u);
  EXPECT_TRUE(node.core.live().empty());
}

TEST(AgentCore, HoldsAMillionQueuedTasksWithAStepInAFewKilobytes) {
  Node node("0-9999999:10");
  const std::size_t before = mallinfo2().uordblks;
  node.start("0-9999999:10", 2);
  node.core.take_actions();
  const std::size_t after = mallinfo2().uordblks;
  EXPECT_EQ(node.core.queued(), 999998u);
  EXPECT_LT(after, before + 16 * 1024);
}

TEST(AgentCore, CancelsAMillionQueuedTasksInBoundedBatches) {
  Node node("0-999999");
  node.start("0-999999", 2);
  node.end("0-999999", Outcome::kCancelled);
  EXPECT_EQ(node.core.queued(), 0u);
  std::uint64_t reported = 0;
  while (const auto report = node.core.next_report(node.now + kReportDelay)) {
    EXPECT_LE(report->run_count(), kRunsInBatch);
    reported += report->run_count();
    node.core.on_reported(report->id);
  }
  EXPECT_EQ(reported, 999998u);
}

TEST(AgentCore, KeepsTheResultOfAStoredRunByItself) {
  Node node;
  node.start("0-1", 2);
  node.exit(0);
  node.core.on_exit(run_id(kStage, 1, 1), exit_code(0), false, node.now, BlobRef{{}, 42});
  const auto report = node.core.next_report(node.now);
  ASSERT_TRUE(report);
  ASSERT_EQ(report->ended.size(), 2u);
  EXPECT_EQ(report->ended[0].result->length, 42u);
  EXPECT_FALSE(report->ended[1].result);
}

}  // namespace
}  // namespace leat::agent
