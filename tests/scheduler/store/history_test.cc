#include "scheduler/store/history.h"

#include <gtest/gtest.h>

#include "scheduler/store/message_bytes.h"
#include "scheduler/store/recovery.h"
#include "scheduler/store/store_file.h"
#include "tests/scheduler/store/driver.h"
#include "tests/scheduler/store/samples.h"
#include "tests/scheduler/store/scratch.h"
#include "tests/scheduler/store/specs.h"

namespace leat::store {
namespace {

constexpr NodeRef kNode{NodeId{5}, NodeEpoch{9}};

// Facts about runs say everything history keeps of them: no state is needed.
std::vector<RunHistory> rows_of_runs(const core::Fact& fact) {
  const core::State state;
  History history;
  history_of(fact, state, Time{Duration{77}}, history);
  return history.runs;
}

core::RunsEnded ended(const char* indices, RunColumns columns) {
  return {{{JobId{17}, 2}, 3, IndexList::parse(indices).value()},
          kNode,
          core::TaskState::kFailed,
          std::move(columns),
          {}};
}

TEST(History, SumsTheRunsOfAFact) {
  const auto rows = rows_of_runs(ended("5,8,100", sample_columns()));
  ASSERT_EQ(rows.size(), 1u);
  const RunHistory& row = rows[0];
  EXPECT_EQ(row.stage, (StageRef{JobId{17}, 2}));
  EXPECT_EQ(row.first, 5u);
  EXPECT_EQ(row.last, 100u);
  EXPECT_EQ(row.count, 3u);
  EXPECT_EQ(row.attempt, 3u);
  EXPECT_EQ(row.node, kNode);
  EXPECT_EQ(row.state, core::TaskState::kFailed);
  EXPECT_FALSE(row.outcome.has_value());
  EXPECT_FALSE(row.code.has_value());
  EXPECT_EQ(row.started_us, 1'000'001);
  EXPECT_EQ(row.ended_us, 1'000'011 + 2'000'012);
  EXPECT_EQ(row.wall_us_sum, 4'000'014);
  EXPECT_EQ(row.cpu_us_sum, 6'000'016);
  EXPECT_EQ(row.peak_kib_max, -4'010);
  EXPECT_EQ(row.output_bytes_sum, 5'000);
}

TEST(History, NamesTheOutcomeWhereAllAreAlike) {
  RunColumns columns;
  columns.outcome = Column<Outcome>(Outcome::kNodeLost);
  const auto rows = rows_of_runs(
      core::RunsRequeued{{{JobId{17}, 2}, 3, IndexList::parse("1-64").value()}, kNode, columns});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(name_of(*rows[0].outcome), "node-lost");
  EXPECT_EQ(rows[0].state, core::TaskState::kWaiting);
  // Nobody knows when they ended; the fact's own time has to do.
  EXPECT_EQ(rows[0].ended_us, 77);
  EXPECT_EQ(name_of(static_cast<Outcome>(999)), "999");
}

TEST(History, CutsFarIndicesIntoRowsOfTheirOwn) {
  std::vector<RunRow> runs(6);
  for (std::size_t n = 0; n < runs.size(); ++n) runs[n].code = static_cast<std::int32_t>(n);
  const auto rows = rows_of_runs(ended("0,1,16383,16384,40000,90000", to_columns(runs)));
  ASSERT_EQ(rows.size(), 4u);
  std::int32_t code = 0;
  for (const RunHistory& row : rows) {
    EXPECT_LT(row.last - row.first, kHistorySpan);
    for (Index index = row.first; index <= row.last; ++index) {
      const auto run = run_in(row, index);
      if (!run) continue;
      EXPECT_EQ(run->code, code++);
      EXPECT_EQ(run->run.index, index);
    }
  }
  EXPECT_EQ(code, 6);
}

TEST(History, HoldsNoRunInDamagedBytes) {
  RunHistory row = rows_of_runs(ended("5,8,100", sample_columns()))[0];
  const std::string good = row.runs;
  for (std::size_t length = 0; length < good.size(); ++length) {
    row.runs = good.substr(0, length);
    EXPECT_FALSE(run_in(row, 8) && length == 0);
  }
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    row.runs = good;
    row.runs[bit / 8] = static_cast<char>(row.runs[bit / 8] ^ (1 << (bit % 8)));
    (void)run_in(row, 8);
  }
}

// One store, written by hand.
class HistoryInStore : public ::testing::Test {
 protected:
  HistoryInStore() : file_(std::move(StoreFile::open(scratch_.path())).value()) {}

  void append(History history) {
    TurnRecord turn;
    turn.sequence = ++sequence_;
    turn.facts = "facts";
    turn.history = std::move(history);
    file_->append(turn);
  }

  std::optional<RunPlace> find(Index index, StageId stage = 2) {
    return file_->find_run({JobId{17}, stage}, index).value();
  }

  Scratch scratch_;
  std::unique_ptr<StoreFile> file_;
  std::uint64_t sequence_ = 0;
};

TEST_F(HistoryInStore, FindsTheNewestRunOfATask) {
  const core::State state;
  History history;
  for (Attempt attempt : {1u, 3u, 2u}) {
    for (Index first = 0; first < 100'000; first += 64) {
      core::RunsEnded fact = ended("0", {});
      fact.runs.attempt = attempt;
      fact.runs.indices = IndexList(Stride{first, 64, 1});
      fact.node.id.value = attempt * 10;
      fact.columns.code = Column<std::int32_t>(static_cast<std::int32_t>(attempt));
      if (attempt == 3 && first % 128 != 0) continue;
      history_of(fact, state, Time{Duration{5}}, history);
    }
  }
  append(std::move(history));
  EXPECT_EQ(find(0)->run.attempt, 3u);
  EXPECT_EQ(find(0)->node.id.value, 30u);
  EXPECT_EQ(find(64)->run.attempt, 2u);
  EXPECT_EQ(find(99'967)->run, (RunId{JobId{17}, 2, 2, 99'967}));
  EXPECT_EQ(find(99'967)->code, 2);
  EXPECT_EQ(find(99'967)->ended_us, 5);
  EXPECT_FALSE(find(200'000).has_value());
  EXPECT_FALSE(find(5, 3).has_value());
}

TEST_F(HistoryInStore, KeepsAJobAfterItsStateHasGone) {
  const core::State state;
  History history;
  for (std::uint64_t id = 1; id <= 30; ++id) {
    core::Job job = sample_job();
    job.id = JobId{id};
    history.jobs.push_back(
        {job.id, job.name, job.owner, 0, 1, 2, 3, job.state, {}, 0, 0, encode_job(job)});
  }
  append(std::move(history));
  core::Job wanted = sample_job();
  wanted.id = JobId{12};
  EXPECT_EQ(encode_job(*file_->find_job(JobId{12}).value()), encode_job(wanted));
  EXPECT_FALSE(file_->find_job(JobId{31}).value().has_value());
  const auto jobs = file_->find_jobs(JobId{20}, 5).value();
  ASSERT_EQ(jobs.size(), 5u);
  EXPECT_EQ(jobs.front().id, JobId{19});
  EXPECT_EQ(jobs.back().id, JobId{15});
}

TEST_F(HistoryInStore, KeepsWhatDidNotSucceedOfEachStage) {
  const core::Job job = sample_past_job();
  History history;
  history.jobs.push_back(
      {job.id, job.name, job.owner, 0, 1, 2, 3, job.state, {}, 0, 0, encode_job(job)});
  append(std::move(history));
  const auto found = file_->find_job(job.id).value();
  ASSERT_TRUE(found.has_value() && found->past != nullptr);
  EXPECT_EQ(found->past->indices, job.past->indices);
  EXPECT_EQ(found->past->unsuccessful, job.past->unsuccessful);
  EXPECT_EQ(found->past->later, job.past->later);
  EXPECT_EQ(*found->past->encoded, *job.past->encoded);
}

TEST_F(HistoryInStore, ListsJobsWithoutLookingAtTheirSpecifications) {
  const std::string unreadable = to_bytes<schema::JobSpec>(
      [](schema::JobSpec::Builder spec) { spec.initRequires(1).set(0, "no label"); });
  auto past = std::make_shared<core::PastTasks>();
  past->known = true;
  past->encoded = std::make_shared<const std::string>(unreadable);
  core::Job job = sample_job();
  job.past = past;
  History history;
  history.jobs.push_back(
      {job.id, job.name, job.owner, 0, 1, 2, 3, job.state, {}, 0, 0, encode_job(job)});
  append(std::move(history));
  EXPECT_FALSE(file_->find_job(job.id).ok());
  const auto jobs = file_->find_jobs(JobId{1000}, 5).value();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].name, job.name);
  EXPECT_EQ(jobs[0].past, nullptr);
}

TEST_F(HistoryInStore, SpendsFewBytesOnAFinishedTask) {
  // Four nodes that take turns, every run with figures of its own.
  Random random(1);
  const core::State state;
  constexpr Index kTasks = 200'000;
  std::vector<std::vector<Index>> at_node(4);
  History history;
  for (Index index = 0; index < kTasks; ++index) {
    std::vector<Index>& indices = at_node[random.below(4)];
    indices.push_back(index);
    if (indices.size() < 64) continue;
    std::vector<RunRow> rows(indices.size());
    for (RunRow& row : rows) {
      row.start_us = 3'000'000'000 + static_cast<std::int64_t>(index * 100 + random.below(10'000));
      row.duration_us = static_cast<std::int64_t>(900 + random.below(400));
      row.cpu_us = static_cast<std::int64_t>(500 + random.below(400));
      row.peak_kib = static_cast<std::int64_t>(1500 + random.below(100));
    }
    core::RunsEnded fact = ended("0", to_columns(rows));
    fact.runs.indices = IndexList::from_sorted(indices);
    history_of(fact, state, Time{}, history);
    indices.clear();
    if (history.runs.size() >= 100) append(std::exchange(history, {}));
  }
  file_->checkpoint();
  const double bytes = static_cast<double>(bytes_in(scratch_.path()).size());
  std::printf("%.1f bytes per finished task\n", bytes / kTasks);
  EXPECT_LT(bytes / kTasks, 50.0);
}

TEST(History, HasTheAccountsOfANodeThatIsGone) {
  core::State state;
  const auto at = [](std::int64_t seconds) { return Time{std::chrono::seconds(seconds)}; };
  const core::JobSpec spec = sweep_spec(1, 0);
  const core::RunSet runs{{JobId{1}, 0}, 1, IndexList(Stride{0, 1, 1})};
  core::NodeReport report;
  report.node = {NodeId{1}, NodeEpoch{1}};
  report.capacity = {4000, 1u << 30, 0};
  state.apply(core::HeadStarted{HeadEpoch{1}, 1'000'000'000, "test"}, at(0));
  state.apply(core::PoolSet{PoolId{1}, {"wide", "local", 1, {}, {}}, {}, "k"}, at(0));
  state.apply(core::NodeRequested{report.node, PoolId{1}, {}, kNever}, at(1));
  state.apply(core::NodeEnrolled{report.node}, at(2));
  state.apply(core::NodeJoined{report, 1}, at(3));
  state.apply(core::JobAccepted{JobId{1}, "k", {}, std::make_shared<core::JobSpec>(spec)}, at(4));
  state.apply(core::RunsPlaced{runs, report.node, 1}, at(5));
  state.apply(core::RunsEnded{runs, report.node, core::TaskState::kSucceeded, {}, {}}, at(9));
  const NodeUseHistory row = use_row({report.node, "its provider has ended it"}, state, at(20));
  EXPECT_EQ(row.pool_name, "wide");
  EXPECT_EQ(row.requested_us, 1'001'000'000);
  EXPECT_EQ(row.joined_us, 1'003'000'000);
  EXPECT_EQ(row.gone_us, 1'020'000'000);
  EXPECT_EQ(row.millicores, 4000u);
  EXPECT_EQ(row.busy_us, 4'000'000);
  EXPECT_EQ(row.used_core_us, 4'000'000);
  EXPECT_EQ(row.why, "its provider has ended it");
}

TEST(History, CountsEveryTaskOfAJobOnce) {
  Scratch scratch;
  auto file = std::move(StoreFile::open(scratch.path())).value();
  Driver driver(std::move(recover(*file)).value(), 8);
  std::size_t ended_jobs = 0;
  for (int turn = 0; turn < 600; ++turn) {
    const auto record = driver.random_turn();
    if (!record) continue;
    for (const JobHistory& job : record->history.jobs) {
      ++ended_jobs;
      std::uint64_t tasks = 0;
      for (const std::uint64_t count : job.counts) tasks += count;
      const core::Job summary = decode_job(std::as_bytes(std::span(job.summary))).value();
      std::uint64_t in_summary = 0;
      for (const core::StateCounts& counts : summary.final_counts)
        for (const std::uint64_t count : counts) in_summary += count;
      EXPECT_EQ(tasks, in_summary);
      EXPECT_GT(tasks, 0u);
    }
    file->append(*record);
  }
  EXPECT_GT(ended_jobs, 5u);
}

}  // namespace
}  // namespace leat::store
