#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/render.h"
#include "cli/task_view.h"
#include "spool/rank_places.h"
#include "tests/cli/fake_cluster.h"

namespace leat::cli {
namespace {

// What a launcher writes to its standard error: where its ranks are, and then `rest`.
std::string launcher_words(const std::vector<spool::RankPlace>& places,
                           const std::string& rest = "") {
  std::string lines;
  for (const spool::RankPlace& place : places) lines += spool::rank_place_line(place);
  std::string bytes;
  spool::append_about_ranks(bytes, lines);
  if (!rest.empty()) spool::append_rank_frame(bytes, spool::kNoRank, rest);
  return bytes;
}

TaskCounts counts_of(std::uint64_t total) {
  TaskCounts counts;
  counts.total = total;
  return counts;
}

class TaskShowTest : public testing::Test {
 protected:
  TaskShowTest() {
    cluster.start_head();
    cluster.start_data_servers();
    cluster.world.why = "state";
    cluster.world.fill_job = [this](schema::JobSummary::Builder job) {
      job.setState(schema::JobState::RUNNING);
      auto counts = job.initStages(1)[0];
      counts.setTotal(10);
      counts.setRunning(4);
      counts.setSucceeded(5);
      counts.setFailed(1);
      auto failure = job.initFailures(1)[0];
      failure.setIndex(4);
      failure.setCode(3);
      failure.setNode(2);
      if (!tells) return;
      auto words = job.initProgress(1)[0];
      words.initRun().setAttempt(1);
      words.setPermille(425);
      words.setMessage("step 17");
    };
  }

  std::string show(std::vector<std::string> words, int code = 0) {
    cluster.console.written.clear();
    EXPECT_EQ(cluster.run(kTaskShow, words), code) << cluster.failure;
    return cluster.console.written;
  }

  // On two nodes, and still running.
  void make_gang() {
    cluster.world.gang = {
        {"", false, launcher_words({{0, 100, {0, 1, 2, 5}, "a"}, {1, 101, {}, "a"}}, "later")},
        {"", false, launcher_words({{2, 200, {7}, "b"}})}};
  }

  std::string on_node() const { return "on node 3 (" + cluster.world.agent_address + ")"; }

  FakeCluster cluster;
  bool tells = false;
};

TEST_F(TaskShowTest, SaysWhereAPlainTaskIsAndHowFar) {
  cluster.world.output_finished = false;
  tells = true;
  EXPECT_EQ(show({"17.0"}),
            "Task:            17.0\n"
            "State:           running\n"
            "Attempt:         1\n"
            "Progress:        42.5% step 17\n"
            "Node:            3\n"
            "Output:          " +
                on_node() + "\n");
}

TEST_F(TaskShowTest, SaysWhatWentWrong) {
  cluster.world.attempt = 2;
  EXPECT_EQ(show({"last.4"}),
            "Task:            17.4\n"
            "State:           failed\n"
            "Attempt:         2\n"
            "What went wrong: exit code 3\n"
            "Node:            3\n"
            "Output:          " +
                on_node() + "\n");
}

TEST_F(TaskShowTest, OfATaskThatHasNotRunKnowsThatItWaits) {
  cluster.world.not_yet = true;
  EXPECT_EQ(show({"17.0"}), "Task:            17.0\nState:           waiting\n");
}

TEST_F(TaskShowTest, SaysWhereTheRanksOfAGangAreAndWhatTheyAreBoundTo) {
  make_gang();
  EXPECT_EQ(show({"17.0"}),
            "Task:            17.0\n"
            "State:           running\n"
            "Attempt:         1\n"
            "\n"
            "MEMBER  NODE  RANKS  OUTPUT\n"
            "     0     3      2  " +
                on_node() +
                "\n"
                "     1     3      1  " +
                on_node() +
                "\n"
                "\n"
                "RANK  NODE  HOST  PID  CPUS\n"
                "   0     3  a     100  0-2,5\n"
                "   1     3  a     101  -\n"
                "   2     3  b     200  7\n");
}

TEST_F(TaskShowTest, ReadsNoMoreOfALongLogThanItsBeginning) {
  make_gang();
  cluster.world.gang.resize(1);
  const std::string beginning = launcher_words({{0, 1, {2}, "a"}}, "x");
  cluster.world.gang[0].error = beginning + std::string(100'000, 'y');
  EXPECT_NE(show({"17.0"}).find("   0     3  a       1  2\n"), std::string::npos);
  EXPECT_LT(cluster.world.bytes_read, beginning.size() + 3);
}

TEST_F(TaskShowTest, ListsTheSubtasksOfAGang) {
  const auto about = [](std::uint32_t frame, const std::string& command) {
    return spool::subtask_line({frame, 100, 1'700'000'000'000'000, "a", command, {}});
  };
  std::string first;
  spool::append_about_ranks(first, about(spool::kApplication, "mpirun ./app"));
  std::string second;
  spool::append_about_ranks(second, about(spool::kCoordination, "prepare"));
  spool::append_about_ranks(
      second, spool::subtask_end_line(spool::kCoordination, {1'700'000'000'000'000, 0, false}));
  spool::append_rank_frame(second, spool::kNoRank, "something else\n");
  spool::append_about_ranks(second, about(spool::kFirstSubtask, "orted\x1b[m\xe2\x80\xae"));
  spool::append_about_ranks(
      second, spool::subtask_end_line(spool::kFirstSubtask, {1'700'000'000'000'000, 9, true}));
  spool::append_about_ranks(second, about(spool::kFirstSubtask + 1, "cut off"));
  cluster.world.gang = {{"", false, first}, {"", true, second}};
  const std::string at = render_cell(Value(std::int64_t{1'700'000'000'000'000}), Form::kTime);
  const std::string none = "-" + std::string(at.size() - 1, ' ');
  const std::string shown = show({"17.0"});
  const std::string table = shown.substr(std::min(shown.find("SUBTASK"), shown.size()));
  const auto row = [&](const char* begin, const std::string& ended, const char* rest) {
    return begin + at + "  " + ended + "  " + rest + '\n';
  };
  EXPECT_EQ(table.substr(table.find('\n') + 1),
            row("application        3  a     100  running  ", none, "-            mpirun ./app") +
                row("1:0                3  a     100  ended    ", at,
                    "signal 9     orted\\x1b[m\\xe2\\x80\\xae") +
                row("1:1                3  a     100  unknown  ", none, "-            cut off") +
                row("1:coordination     3  a     100  ended    ", at, "exit code 0  prepare"))
      << shown;
}

TEST_F(TaskShowTest, KnowsNotWhatBecameOfASubtaskBeyondWhatItReads) {
  std::string error;
  spool::append_about_ranks(error, spool::subtask_line({spool::kApplication, 1, 1, "a", "c", {}}));
  const std::string piece(spool::kRankFrameContentMax, 'x');
  while (error.size() < kSubtasksWithin) spool::append_rank_frame(error, spool::kNoRank, piece);
  spool::append_about_ranks(error, spool::subtask_end_line(spool::kApplication, {1, 0, false}));
  cluster.world.gang = {{"", false, error}};
  cluster.world.bytes_at_once = kSubtasksWithin / 16;
  EXPECT_NE(show({"17.0"}).find("  unknown  "), std::string::npos);
  EXPECT_LE(cluster.world.bytes_read, kSubtasksWithin + cluster.world.bytes_at_once);
}

TEST_F(TaskShowTest, OfAGangWithoutRanksShowsItsNodes) {
  cluster.world.gang = {{"", true, launcher_words({}, "application says")}, {"", true, ""}};
  const std::string shown = show({"17.0"});
  EXPECT_NE(shown.find("     1     3      0  on node 3"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("RANK  NODE"), std::string::npos) << shown;
}

TEST_F(TaskShowTest, SaysThatTheOutputIsLost) {
  make_gang();
  cluster.world.stored = true;
  cluster.world.store_refusal = "leat-store has no output of node 3";
  const std::string shown = show({"17.0"});
  EXPECT_NE(shown.find("     1     3      0  output lost with node 3 at noon\n"), std::string::npos)
      << shown;
}

TEST_F(TaskShowTest, SaysThatANodeDoesNotAnswer) {
  make_gang();
  cluster.world.agent_address = "127.0.0.1:1";
  const std::string shown = show({"17.0"});
  EXPECT_NE(shown.find("on node 3, but nobody answers at 127.0.0.1:1\n"), std::string::npos)
      << shown;
  EXPECT_NE(shown.find("unknown\n"), std::string::npos) << shown;
}

TEST_F(TaskShowTest, WantsOneTask) {
  EXPECT_EQ(show({"17"}, 2), "");
  EXPECT_EQ(cluster.failure, "\"17\" names nothing: write one task like 17.42, 17.1.42 or last.42");
  EXPECT_EQ(show({"17.1-3"}, 2), "");
}

TEST(TaskState, IsThatOfAllTasksOfItsStageIfTheyHaveOne) {
  TaskView task;
  task.stage = 1;
  task.job.stages = {counts_of(3), counts_of(1)};
  task.job.stages[1].held = 1;
  EXPECT_EQ(task_state(task), "succeeded");
  task.job.stages[1] = counts_of(1);
  task.job.stages[1].skipped = 1;
  EXPECT_EQ(task_state(task), "skipped");
}

TEST(TaskState, OfAnEndedRunFollowsFromWhatElseIsKnown) {
  TaskView task;
  task.job.state = static_cast<std::uint16_t>(schema::JobState::RUNNING);
  task.job.stages = {counts_of(10)};
  task.job.stages[0].succeeded = 7;
  task.job.stages[0].running = 2;
  task.job.stages[0].failed = 1;
  task.places.attempt = 1;
  task.places.members.resize(1);
  EXPECT_EQ(task_state(task), "running");
  task.places.members[0].finished = true;
  EXPECT_EQ(task_state(task), "ended");  // one has failed, and may be this
  task.job.failures = {{0, 3, 0, 1, 3}};
  EXPECT_EQ(task_state(task), "succeeded");  // it is another
  task.waits = true;
  EXPECT_EQ(task_state(task), "waiting");  // to be tried again
  task.job.failures[0].index = 0;
  EXPECT_EQ(task_state(task), "failed");
  task.job.failures[0].outcome = static_cast<std::uint16_t>(schema::Outcome::QUARANTINED);
  EXPECT_EQ(task_state(task), "quarantined");
}

TEST(TaskState, OfAnEndedJobIsNeverRunning) {
  TaskView task;
  task.job.state = static_cast<std::uint16_t>(schema::JobState::FAILED);
  task.job.stages = {counts_of(2)};
  task.job.stages[0].succeeded = task.job.stages[0].failed = 1;
  task.places.attempt = 1;
  task.places.members.resize(1);
  EXPECT_EQ(task_state(task), "ended");
}

TEST(CpusText, IsRanges) {
  EXPECT_EQ(cpus_text({}), "-");
  EXPECT_EQ(cpus_text({3}), "3");
  EXPECT_EQ(cpus_text({0, 1, 2, 4, 6, 7}), "0-2,4,6-7");
}

}  // namespace
}  // namespace leat::cli
