#include "scheduler/store/archive.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <vector>

#include "scheduler/store/history_copy.h"
#include "scheduler/store/history_prune.h"
#include "scheduler/store/store_file.h"
#include "tests/scheduler/store/samples.h"
#include "tests/scheduler/store/scratch.h"

namespace leat::store {
namespace {

// One store, written by hand.
class ArchiveTest : public ::testing::Test {
 protected:
  ArchiveTest() : file_(std::move(StoreFile::open(scratch_.path())).value()) {}

  void append(History history = {}, std::optional<Seal> seal = {}) {
    TurnRecord turn;
    turn.sequence = ++sequence_;
    turn.facts = "facts of turn " + std::to_string(sequence_);
    turn.seal = seal;
    turn.history = std::move(history);
    file_->append(turn);
  }

  // A job that ended at `ended_us`, with so many rows of runs.
  static void add_job(History& to, std::uint64_t id, std::int64_t ended_us, std::size_t runs) {
    core::Job job = sample_job();
    job.id = JobId{id};
    to.jobs.push_back(
        {job.id, job.name, job.owner, 0, 1, 2, ended_us, job.state, {}, 0, 0, "summary"});
    for (std::size_t n = 0; n < runs; ++n) {
      RunHistory row;
      row.stage = {job.id, 0};
      row.first = row.last = n;
      row.count = 1;
      row.runs = std::string(1'000, 'r');
      to.runs.push_back(std::move(row));
    }
  }

  // Steps until it is over; how many that took, 0 if it was refused.
  template <typename Work>
  std::size_t work_through(Work& work) {
    for (std::size_t steps = 1;; ++steps) {
      const Result<bool> over = file_->step(work);
      if (!over.ok()) {
        why_ = over.refusal().message;
        return 0;
      }
      if (over.value()) return steps;
    }
  }

  // The only number that a query gives.
  static std::int64_t number(Database& database, const std::string& sql) {
    Statement statement = database.prepare(sql);
    Cursor rows = statement.start();
    EXPECT_TRUE(rows.next());
    return rows.number(0);
  }

  Scratch scratch_;
  std::unique_ptr<StoreFile> file_;
  std::uint64_t sequence_ = 0;
  std::string why_;
};

TEST_F(ArchiveTest, GivesTurnsFromAPlaceOnAndSaysWhatIsKept) {
  EXPECT_EQ(file_->find_turns(0).value().oldest, 0u);
  for (int n = 0; n < 100; ++n) append();
  const StoredTurns all = file_->find_turns(0).value();
  EXPECT_EQ(all.oldest, 1u);
  ASSERT_EQ(all.turns.size(), Archive::kTurnsMax);
  EXPECT_EQ(all.turns[0].sequence, 1u);
  const StoredTurns rest = file_->find_turns(98).value();
  ASSERT_EQ(rest.turns.size(), 3u);
  EXPECT_EQ(rest.turns[0].facts, "facts of turn 98");
  EXPECT_TRUE(file_->find_turns(101).value().turns.empty());
}

TEST_F(ArchiveTest, StopsAtABoundOfBytes) {
  for (int n = 0; n < 4; ++n) {
    TurnRecord turn;
    turn.sequence = ++sequence_;
    turn.facts = std::string(Archive::kTurnBytesMax * 2 / 3, 'f');
    file_->append(turn);
  }
  EXPECT_EQ(file_->find_turns(1).value().turns.size(), 2u);
  EXPECT_EQ(file_->find_turns(4).value().turns.size(), 1u);
}

TEST_F(ArchiveTest, KeepsABoundedNumberOfTurnsBelowTheSnapshot) {
  for (std::uint64_t n = 0; n < 2 * kTurnsKept; ++n)
    append({}, n > 0 ? std::optional(Seal{n, Time{}}) : std::nullopt);
  const std::uint64_t oldest = file_->find_turns(1).value().oldest;
  EXPECT_EQ(oldest, 2 * kTurnsKept - 1 - kTurnsKept + 1);
  // The same after a restart.
  file_ = nullptr;
  file_ = std::move(StoreFile::open(scratch_.path())).value();
  EXPECT_EQ(file_->find_turns(1).value().oldest, oldest);
  append({}, Seal{sequence_, Time{}});
  EXPECT_EQ(file_->find_turns(1).value().oldest, oldest + 1);
}

TEST_F(ArchiveTest, CopiesHistoryInSmallSteps) {
  History history;
  for (std::uint64_t id = 1; id <= 20; ++id) add_job(history, id, 100, 200);
  history.nodes.push_back({{NodeId{3}, NodeEpoch{4}}, PoolId{1}, "joined", 5, "host"});
  append(std::move(history));
  HistoryCopy copy(scratch_.path("copy"));
  const std::size_t steps = work_through(copy);
  EXPECT_GT(steps, 4'000u / HistoryCopy::kRowsPerStep) << why_;
  copy.keep();
  struct stat info {};
  ASSERT_EQ(::stat(scratch_.path("copy").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  auto opened = Database::open(scratch_.path("copy"), 0, "", {});
  ASSERT_TRUE(opened.ok()) << opened.refusal().message;
  Database database = std::move(opened).value();
  EXPECT_EQ(number(database, "SELECT count(*) FROM job_history"), 20);
  EXPECT_EQ(number(database, "SELECT count(*) FROM run_history"), 4'000);
  EXPECT_EQ(number(database, "SELECT sum(length(runs)) FROM run_history"), 4'000'000);
  EXPECT_EQ(number(database, "SELECT count(*) FROM node_history WHERE text = 'host'"), 1);
  EXPECT_EQ(number(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'fact'"), 0);
}

TEST_F(ArchiveTest, TurnsAreWrittenBetweenTheStepsOfACopy) {
  History history;
  for (std::uint64_t id = 1; id <= 5; ++id) add_job(history, id, 100, 600);
  append(std::move(history));
  HistoryCopy copy(scratch_.path("copy"));
  bool over = false;
  std::size_t steps = 0;
  for (; !over; ++steps) {
    over = file_->step(copy).value();
    History more;
    add_job(more, 100 + steps, 200, 1);
    append(std::move(more));
    file_->checkpoint();
  }
  copy.keep();
  Database database = std::move(Database::open(scratch_.path("copy"), 0, "", {})).value();
  // What is there is whole, and what came later is not in it.
  EXPECT_EQ(number(database, "SELECT count(*) FROM run_history WHERE job <= 5"), 3'000);
  EXPECT_EQ(number(database, "SELECT count(*) FROM run_history WHERE job > 5"), 0);
}

TEST_F(ArchiveTest, CopiesNothingWhenThereIsNoHistory) {
  HistoryCopy copy(scratch_.path("copy"));
  EXPECT_GT(work_through(copy), 0u);
  copy.keep();
  Database database = std::move(Database::open(scratch_.path("copy"), 0, "", {})).value();
  EXPECT_EQ(number(database, "SELECT count(*) FROM run_history"), 0);
}

TEST_F(ArchiveTest, LeavesNoCopyBehindThatIsNotWhole) {
  append();
  {
    HistoryCopy copy(scratch_.path("copy"));
    EXPECT_FALSE(file_->step(copy).value());
    EXPECT_EQ(::access(scratch_.path("copy").c_str(), F_OK), 0);
  }
  EXPECT_NE(::access(scratch_.path("copy").c_str(), F_OK), 0);
  HistoryCopy taken(scratch_.path());  // the store itself
  EXPECT_EQ(work_through(taken), 0u);
  EXPECT_NE(why_.find("File exists"), std::string::npos) << why_;
  EXPECT_EQ(::access(scratch_.path().c_str(), F_OK), 0);
}

TEST_F(ArchiveTest, PrunesWhatEndedBeforeAnInstantAndNothingElse) {
  History history;
  add_job(history, 1, 100, 1'500);  // more than one step
  add_job(history, 2, 500, 3);
  add_job(history, 3, 100, 0);
  RunHistory active;  // of a job that has not ended
  active.stage = {JobId{4}, 0};
  active.count = 1;
  history.runs.push_back(active);
  for (std::int64_t at = 0; at < 1'000; ++at) {
    history.nodes.push_back({{NodeId{3}, NodeEpoch{4}}, PoolId{1}, "joined", at, ""});
    history.actions.push_back({"submit", 1, at, {}, ""});
    NodeUseHistory use;
    use.gone_us = at;
    history.uses.push_back(use);
  }
  append(std::move(history));
  HistoryPrune prune({.before_us = 400, .now_us = 2'000, .actor = {7, "here", ""}});
  EXPECT_GT(work_through(prune), 3u) << why_;
  EXPECT_EQ(prune.pruned(), (Pruned{.jobs = 2, .runs = 1'500, .others = 1'200}));
  HistoryCopy copy(scratch_.path("copy"));
  ASSERT_GT(work_through(copy), 0u) << why_;
  copy.keep();
  Database database = std::move(Database::open(scratch_.path("copy"), 0, "", {})).value();
  EXPECT_EQ(number(database, "SELECT sum(id) FROM job_history"), 2);
  EXPECT_EQ(number(database, "SELECT count(*) FROM run_history"), 4);
  EXPECT_EQ(number(database, "SELECT min(at_us) FROM node_history"), 400);
  EXPECT_EQ(number(database, "SELECT min(gone_us) FROM node_use"), 400);
  EXPECT_EQ(number(database, "SELECT count(*) FROM action_history"), 601);
  EXPECT_EQ(number(database,
                   "SELECT count(*) FROM action_history WHERE action = 'prune'"
                   " AND actor_uid = 7 AND at_us = 2000"),
            1);
  // The store goes on.
  append();
}

}  // namespace
}  // namespace leat::store
