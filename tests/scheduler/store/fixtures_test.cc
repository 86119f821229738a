#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "scheduler/store/fact_codec.h"
#include "scheduler/store/history.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/message_bytes.h"
#include "scheduler/store/row_codec.h"
#include "scheduler/store/spec_codec.h"
#include "scheduler/store/value_codec.h"
#include "schema/types.capnp.h"
#include "tests/scheduler/store/samples.h"
#include "tests/scheduler/store/samples_gangs.h"

// Records as the first version wrote them. A fixture is never written again: when one of these
// tests fails, the change is wrong.

namespace leat::store {
namespace {

std::string fixture(const std::string& name) {
  std::ifstream in(LEAT_SOURCE_DIR "/tests/fixtures/" + name + ".bin", std::ios::binary);
  EXPECT_TRUE(in.good()) << "no fixture " << name << ": run fixture_writer";
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Visits the root of a fixture.
template <typename Root, typename Visit>
void with_root(const std::string& name, Visit visit) {
  const Result<Done> done = from_bytes<Done, Root>(bytes_of(fixture(name)), name.c_str(),
                                                   [&](typename Root::Reader root) -> Result<Done> {
                                                     visit(root);
                                                     return Done{};
                                                   });
  EXPECT_TRUE(done.ok()) << done.refusal().message;
}

TEST(Fixtures, HoldEveryFact) {
  const auto samples = sample_facts();
  std::set<std::size_t> kinds;
  for (const auto& [name, fact] : samples) kinds.insert(fact.index());
  EXPECT_EQ(kinds.size(), std::variant_size_v<core::Fact>);
  for (const auto& [name, fact] : samples) {
    const Result<DecodedTurn> turn = decode_turn(bytes_of(fixture("fact-" + name)));
    ASSERT_TRUE(turn.ok()) << name << ": " << turn.refusal().message;
    EXPECT_EQ(turn.value().at.us(), 42) << name;
    EXPECT_EQ(turn.value().epoch.value, 7u) << name;
    ASSERT_EQ(turn.value().facts.size(), 1u) << name;
    EXPECT_TRUE(same(turn.value().facts[0], fact)) << name;
  }
}

TEST(Fixtures, HoldAProgramWithItsInputs) {
  with_root<schema::JobSpec>("job-spec", [](schema::JobSpec::Reader job) {
    const auto stage = job.getStages()[0];
    const auto program = stage.getProgram();
    EXPECT_EQ(program.getArgv()[0], "/bin/true");
    EXPECT_EQ(program.getEnvironment()[0].getName(), "HOME");
    EXPECT_EQ(program.getEnvironment()[0].getValue(), "/root");
    EXPECT_EQ(program.getDirectory(), "/srv");
    EXPECT_TRUE(program.getBindCores());
    EXPECT_EQ(program.getOutputLimitBytes(), 77u);
    EXPECT_TRUE(program.getTaskDirectory());
    ASSERT_TRUE(stage.getInputs().isLines());
    const auto lines = stage.getInputs().getLines();
    EXPECT_EQ(lines.getData().getHash()[0], 1);
    EXPECT_EQ(lines.getData().getLength(), 1000u);
    EXPECT_EQ(lines.getOffsets().getHash()[31], 33);
    EXPECT_EQ(lines.getOffsets().getLength(), 40u);
    EXPECT_EQ(lines.getChunk(), 25u);
    EXPECT_EQ(lines.getLines(), 100u);
    ASSERT_TRUE(job.getStages()[1].getInputs().isOutputs());
    EXPECT_EQ(job.getStages()[1].getInputs().getOutputs().getStage(), 0);
    EXPECT_EQ(job.getStages()[1].getInputs().getOutputs().getWidth(), 32u);
  });
}

TEST(Fixtures, HoldWhatAJobAsksFor) {
  with_root<schema::JobSpec>("job-spec", [](schema::JobSpec::Reader job) {
    EXPECT_EQ(job.getName(), "everything");
    EXPECT_EQ(job.getPriority(), -3);
    EXPECT_EQ(job.getPools()[0], "wide");
    EXPECT_EQ(job.getRequires()[0], "west");
    EXPECT_TRUE(job.getExclusive());
    EXPECT_EQ(job.getResultStage(), 1);
    const auto stage = job.getStages()[0];
    EXPECT_EQ(stage.getIndices()[0].getFirst(), 3u);
    EXPECT_EQ(stage.getIndices()[0].getCount(), 4u);
    EXPECT_EQ(stage.getIndices()[0].getStep(), 5u);
    const auto member = stage.getMembers()[0];
    EXPECT_EQ(member.getCount(), 2u);
    EXPECT_EQ(member.getSpread(), schema::Member::Spread::DISTINCT_NODES);
    EXPECT_EQ(member.getResources().getMillicores(), 1500u);
    EXPECT_EQ(member.getResources().getMemoryBytes(), 1ull << 31);
    EXPECT_EQ(member.getResources().getGpus(), 3u);
    EXPECT_EQ(member.getResources().getCounters()[0].getName(), "licence");
    EXPECT_EQ(member.getResources().getCounters()[0].getAmount(), 6u);
  });
}

TEST(Fixtures, HoldThePoliciesOfAStage) {
  with_root<schema::JobSpec>("job-spec", [](schema::JobSpec::Reader job) {
    const auto stage = job.getStages()[0];
    EXPECT_EQ(stage.getRetries(), 4u);
    EXPECT_EQ(stage.getTimeLimitUs(), 60'000'000);
    EXPECT_EQ(stage.getGraceUs(), 7'000'000);
    EXPECT_EQ(stage.getAfter()[0].getJob(), 16u);
    EXPECT_EQ(stage.getAfter()[0].getStage(), 1);
    EXPECT_TRUE(stage.getAfter()[0].getElementWise());
    EXPECT_EQ(stage.getAfter()[0].getOn(), schema::After::Condition::ANY);
    EXPECT_EQ(stage.getLeaseUs(), 8'000'000);
    EXPECT_EQ(stage.getOnNodeLoss(), schema::StageSpec::OnNodeLoss::WAIT);
    EXPECT_TRUE(stage.getExclusiveRun());
    EXPECT_EQ(stage.getStartWithinUs(), 9'000'000);
    // Defaults are part of the record too.
    const auto second = job.getStages()[1];
    EXPECT_EQ(second.getGraceUs(), 5'000'000);
    EXPECT_EQ(second.getLeaseUs(), 300'000'000);
    EXPECT_EQ(second.getProgram().getOutputLimitBytes(), 1'073'741'824u);
  });
}

TEST(Fixtures, HoldColumnsOfRuns) {
  with_root<schema::RunColumns>("run-columns", [](schema::RunColumns::Reader columns) {
    const auto read = read_columns(columns, 3);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read.value(), sample_columns());
    EXPECT_EQ(columns.getPeakKib()[1], -4'010);
    EXPECT_EQ(columns.getFlags()[2], 3u);
  });
}

TEST(Fixtures, HoldNamesAndRefusals) {
  with_root<schema::RunId>("run-id", [](schema::RunId::Reader run) {
    EXPECT_EQ(run.getJob(), 17u);
    EXPECT_EQ(run.getStage(), 2);
    EXPECT_EQ(run.getAttempt(), 3u);
    EXPECT_EQ(run.getIndex(), (1ull << 48) - 1);
  });
  with_root<schema::Refusal>("refusal", [](schema::Refusal::Reader refusal) {
    EXPECT_EQ(refusal.getReason(), schema::Refusal::Reason::NOT_IN_THIS_VERSION);
    EXPECT_EQ(refusal.getMessage(), "gpus: not in this version");
  });
}

TEST(Fixtures, HoldMetaAndPoolRows) {
  EXPECT_EQ(decode_meta(bytes_of(fixture("row-meta"))).value(), sample_meta());
  const core::Pool pool = decode_pool(bytes_of(fixture("row-pool"))).value();
  EXPECT_EQ(pool.id, sample_pool().id);
  EXPECT_EQ(pool.state, sample_pool().state);
  EXPECT_EQ(pool.spec, sample_pool().spec);
  EXPECT_EQ(pool.key, sample_pool().key);
}

TEST(Fixtures, HoldANodeRow) {
  const core::Node node = decode_node(bytes_of(fixture("row-node"))).value();
  const core::Node sample = sample_node();
  EXPECT_EQ(node.ref, sample.ref);
  EXPECT_EQ(node.pool, sample.pool);
  EXPECT_EQ(node.state, sample.state);
  EXPECT_EQ(node.since, sample.since);
  EXPECT_EQ(node.token_hash, sample.token_hash);
  EXPECT_EQ(node.token_expires, sample.token_expires);
  EXPECT_EQ(node.session, sample.session);
  EXPECT_EQ(node.report, sample.report);
  EXPECT_EQ(node.free, sample.free);
  EXPECT_EQ(node.allotments, sample.allotments);
}

TEST(Fixtures, HoldAnElasticPoolRow) {
  const core::Pool pool = decode_pool(bytes_of(fixture("row-pool-elastic"))).value();
  const core::Pool sample = sample_elastic_pool();
  EXPECT_EQ(pool.state, sample.state);
  EXPECT_EQ(pool.spec, sample.spec);
  EXPECT_EQ(pool.failures, sample.failures);
  EXPECT_EQ(pool.failed_at, sample.failed_at);
  EXPECT_EQ(pool.trouble, sample.trouble);
  EXPECT_EQ(pool.probe_at, sample.probe_at);
  EXPECT_EQ(pool.probe_pause, sample.probe_pause);
  EXPECT_EQ(pool.recall_at, sample.recall_at);
  EXPECT_EQ(pool.seen, sample.seen);
}

TEST(Fixtures, HoldANodesDutyAndItsAccounts) {
  const core::Node node = decode_node(bytes_of(fixture("row-node-duty"))).value();
  const core::Node sample = sample_node();
  EXPECT_EQ(node.duty, sample.duty);
  EXPECT_EQ(node.reason, sample.reason);
  EXPECT_EQ(node.recall_at, sample.recall_at);
  EXPECT_EQ(node.requested, sample.requested);
  EXPECT_EQ(node.joined, sample.joined);
  EXPECT_EQ(node.idle_since, sample.idle_since);
  EXPECT_EQ(node.counted, sample.counted);
  EXPECT_EQ(node.used_millicore_us, sample.used_millicore_us);
  EXPECT_EQ(node.busy_us, sample.busy_us);
}

TEST(Fixtures, OfTheFirstVersionServeAndBeginTheirAccountsWithTheirState) {
  const core::Node node = decode_node(bytes_of(fixture("row-node"))).value();
  EXPECT_EQ(node.duty, core::NodeDuty::kServing);
  EXPECT_EQ(node.recall_at, kNever);
  EXPECT_EQ(node.requested, node.since);
  EXPECT_EQ(node.joined, node.since);
  EXPECT_EQ(node.counted, node.since);
  EXPECT_EQ(node.idle_since, kNever);  // something is placed there
  const core::Pool pool = decode_pool(bytes_of(fixture("row-pool"))).value();
  EXPECT_EQ(pool.spec.nodes, core::PoolSize(40));
  EXPECT_EQ(pool.probe_at, kNever);
  EXPECT_FALSE(pool.seen);
}

TEST(Fixtures, HoldAJobRow) {
  const core::Job job = decode_job(bytes_of(fixture("row-job"))).value();
  const core::Job sample = sample_job();
  EXPECT_EQ(job.id, sample.id);
  EXPECT_EQ(job.key, sample.key);
  EXPECT_EQ(job.name, sample.name);
  EXPECT_EQ(job.owner, sample.owner);
  EXPECT_EQ(job.priority, sample.priority);
  EXPECT_EQ(job.state, sample.state);
  EXPECT_EQ(job.cancel_requested, sample.cancel_requested);
  EXPECT_EQ(job.submitted, sample.submitted);
  EXPECT_EQ(job.started, sample.started);
  EXPECT_EQ(job.ended, sample.ended);
  EXPECT_EQ(job.retried, sample.retried);
  EXPECT_EQ(job.lost, sample.lost);
  EXPECT_EQ(job.failures, sample.failures);
  EXPECT_EQ(job.result, sample.result);
  EXPECT_EQ(job.final_counts, sample.final_counts);
}

TEST(Fixtures, HoldAJobThatWaits) {
  const core::Job job = decode_job(bytes_of(fixture("row-job-waiting"))).value();
  const core::Job sample = sample_waiting_job();
  EXPECT_EQ(job.state, sample.state);
  EXPECT_EQ(job.retry_of, sample.retry_of);
  EXPECT_EQ(job.skip_reason, sample.skip_reason);
  EXPECT_EQ(job.skip_cause, sample.skip_cause);
  EXPECT_EQ(job.held_by, sample.held_by);
  EXPECT_EQ(job.held_since, sample.held_since);
  ASSERT_EQ(job.stages.size(), 1u);
  ASSERT_EQ(job.stages[0].after.size(), 2u);
  EXPECT_EQ(job.stages[0].after[0].state, core::AfterState::kDead);
  EXPECT_EQ(job.stages[0].after[1].state, core::AfterState::kMet);
}

TEST(Fixtures, HoldWhatDidNotSucceedOfAJob) {
  const core::Job job = decode_job(bytes_of(fixture("row-job-past"))).value();
  const core::Job sample = sample_past_job();
  ASSERT_NE(job.past, nullptr);
  EXPECT_EQ(job.past->known, sample.past->known);
  EXPECT_EQ(job.past->indices, sample.past->indices);
  EXPECT_EQ(job.past->unsuccessful, sample.past->unsuccessful);
  EXPECT_EQ(job.past->later, sample.past->later);
  EXPECT_EQ(restore_job_spec(*job.past->encoded).value().stages,
            restore_job_spec(*sample.past->encoded).value().stages);
  // An older version kept no later stages.
  EXPECT_EQ(decode_job(bytes_of(fixture("row-job"))).value().past, nullptr);
}

TEST(Fixtures, HoldAPageOfKeys) {
  core::GrantedWishes sample;
  fill(sample);
  const KeysPage page = decode_keys(bytes_of(fixture("row-keys"))).value();
  EXPECT_EQ(page.first, 70u);
  ASSERT_EQ(page.wishes.size(), 5u);
  for (std::uint64_t n = 0; n < 5; ++n) EXPECT_EQ(page.wishes[n], sample.at(70 + n)) << n;
}

TEST(Fixtures, HoldWhatAStageWaitsFor) {
  with_root<schema::JobSpec>("job-spec-waits", [](schema::JobSpec::Reader job) {
    EXPECT_EQ(job.getRetryOf(), 16u);
    const auto stage = job.getStages()[0];
    EXPECT_EQ(stage.getRetryDelay().getUs(), 1'000'000);
    EXPECT_EQ(stage.getRetryDelay().getFactorMilli(), 2500u);
    EXPECT_EQ(stage.getRetryDelay().getMaxUs(), 60'000'000);
    EXPECT_TRUE(stage.getRetryOn().getOnly());
    EXPECT_EQ(stage.getRetryOn().getCodes()[0], 255);
    EXPECT_EQ(stage.getRetryOn().getSignals()[0], 9);
    EXPECT_EQ(stage.getRetryOn().getOutcomes()[0], schema::Outcome::TIME_LIMIT);
    EXPECT_EQ(stage.getWarning().getSignal(), 10);
    EXPECT_EQ(stage.getWarning().getBeforeUs(), 30'000'000);
    EXPECT_EQ(stage.getOrigin()[0].getCount(), 40u);
    EXPECT_EQ(job.getStages()[1].getRetryDelay().getFactorMilli(), 1000u);
  });
}

TEST(Fixtures, HoldThePoolOfAJob) {
  with_root<schema::JobSpec>("job-spec-own-pool", [](schema::JobSpec::Reader job) {
    EXPECT_EQ(job.getName(), "once");
    EXPECT_EQ(job.getOwnPool().getName(), "burst");
    EXPECT_EQ(job.getOwnPool().getProvider(), "local");
    EXPECT_EQ(job.getOwnPool().getMax(), 4u);
    EXPECT_EQ(job.getOwnPool().getLabels()[0], "fast");
  });
  with_root<schema::JobSpec>("job-spec",
                             [](schema::JobSpec::Reader job) { EXPECT_FALSE(job.hasOwnPool()); });
}

TEST(Fixtures, HoldDelayedCells) {
  const core::StageSpec spec;
  const core::Stage sample = sample_delayed_stage(spec);
  core::Stage stage;
  stage.cells = IntervalMap<core::TaskCell>(10, core::TaskCell::bare(core::TaskState::kFailed));
  ASSERT_TRUE(decode_cells(bytes_of(fixture("row-cells-delayed")), stage).ok());
  for (std::uint64_t p = 0; p < 10; ++p) EXPECT_EQ(stage.cells.at(p), sample.cells.at(p)) << p;
}

TEST(Fixtures, HoldCells) {
  const core::StageSpec spec;
  const core::Stage sample = sample_stage(spec);
  core::Stage stage;
  stage.cells = IntervalMap<core::TaskCell>(10, core::TaskCell::bare(core::TaskState::kFailed));
  ASSERT_TRUE(decode_cells(bytes_of(fixture("row-cells")), stage).ok());
  for (std::uint64_t p = 0; p < 10; ++p) EXPECT_EQ(stage.cells.at(p), sample.cells.at(p)) << p;
}

TEST(Fixtures, HoldAGang) {
  const core::Gang gang = decode_gang(bytes_of(fixture("row-gang"))).value();
  EXPECT_EQ(gang, sample_gang());
}

TEST(Fixtures, HoldWhenTheRunsOfANodeAreOver) {
  const core::Node node = decode_node(bytes_of(fixture("row-node-until"))).value();
  EXPECT_EQ(node.allotments, sample_node_with_time().allotments);
  EXPECT_EQ(node.placed, sample_node_with_time().placed);
  // Nobody knew it before.
  const core::Node older = decode_node(bytes_of(fixture("row-node"))).value();
  EXPECT_EQ(older.allotments.begin()->second.until, kNever);
}

TEST(Fixtures, HoldRunsOfHistory) {
  RunHistory row;
  row.stage = {JobId{17}, 2};
  row.attempt = 3;
  row.runs = fixture("history-runs");
  const auto run = run_in(row, 8);
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(run->run, (RunId{JobId{17}, 2, 3, 8}));
  EXPECT_EQ(run->outcome, Outcome::kSignal);
  EXPECT_EQ(run->code, 9);
  EXPECT_EQ(run->ended_us, 1'000'011 + 2'000'012);
  EXPECT_FALSE(run_in(row, 9).has_value());
}

}  // namespace
}  // namespace leat::store
