#include "cli/follow.h"

#include <gtest/gtest.h>

#include "tests/cli/fake_cluster.h"

namespace leat::cli {
namespace {

class FollowTest : public testing::Test {
 protected:
  FollowTest() {
    cluster.start_head();
    cluster.world.fill_job = [this](schema::JobSummary::Builder job) {
      job.setState(state);
      job.initCounts().setTotal(4);
      job.getCounts().setSucceeded(succeeded);
      job.getCounts().setFailed(failed);
      if (steps_failed > 0) {
        auto stages = job.initStages(2);
        stages[0].setTotal(4);
        stages[0].setSucceeded(4);
        stages[1].setTotal(2);
        stages[1].setFailed(steps_failed);
      }
      if (failed > 0) {
        auto failure = job.initFailures(1)[0];
        failure.setIndex(2);
        failure.setCode(3);
        failure.setNode(1);
      }
    };
  }

  void after(kj::Duration delay, std::function<void()> action) {
    cluster.in_background(
        cluster.io.provider->getTimer().afterDelay(delay).then([action] { action(); }));
  }

  // Runs `action` when the command watches for the `nth` time, counted from 1; its first watch is
  // answered at once.
  void at_watch(std::size_t nth, std::function<void()> action) {
    cluster.world.on_watch = [this, nth, action] {
      if (cluster.world.cursors_seen.size() == nth) after(0 * kj::SECONDS, action);
    };
  }

  // Something happened to the job; a waiting watcher is told.
  void change() {
    ++cluster.world.cursor;
    if (cluster.world.watcher.get() != nullptr) cluster.world.watcher->fulfill();
  }

  void end(schema::JobState with) {
    state = with;
    succeeded = 4 - failed;
    change();
  }

  FakeCluster cluster;
  schema::JobState state = schema::JobState::RUNNING;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t steps_failed = 0;
};

TEST_F(FollowTest, WaitReturnsWhenTheJobHasSucceeded) {
  at_watch(2, [this] { end(schema::JobState::SUCCEEDED); });
  EXPECT_EQ(cluster.run(kWait, {"17", "--progress"}), 0) << cluster.failure;
  EXPECT_EQ(cluster.console.said, std::vector<std::string>{"job 17 succeeded: 4 tasks"});
  EXPECT_EQ(cluster.console.written, "");
  EXPECT_TRUE(cluster.console.shown.empty()) << "not a terminal";
  EXPECT_EQ(cluster.world.cursors_seen, (std::vector<std::uint64_t>{0, 1}));
}

TEST_F(FollowTest, WaitIsSilentInAPipeUnlessAsked) {
  state = schema::JobState::SUCCEEDED;
  EXPECT_EQ(cluster.run(kWait, {"17"}), 0);
  EXPECT_TRUE(cluster.console.said.empty());
}

TEST_F(FollowTest, WaitShowsProgressOnATerminal) {
  cluster.console.terminal = true;
  // What has been shown brings the next change.
  cluster.console.on_progress = [this](std::size_t lines) {
    after(0 * kj::MILLISECONDS, [this, lines] {
      succeeded = 2;
      if (lines == 1) change();
      if (lines == 2) end(schema::JobState::SUCCEEDED);
    });
  };
  EXPECT_EQ(cluster.run(kWait, {"17"}), 0);
  ASSERT_EQ(cluster.console.shown.size(), 3u);
  EXPECT_EQ(cluster.console.shown[0], "job 17  running  0%  0/4");
  EXPECT_EQ(cluster.console.shown[1].rfind("job 17  running  50%  2/4  ", 0), 0u);
}

TEST_F(FollowTest, WaitNamesTheFirstFailuresAndWhatToDo) {
  failed = 1;
  end(schema::JobState::FAILED);
  EXPECT_EQ(cluster.run(kWait, {"last"}), 1);
  EXPECT_EQ(cluster.console.said,
            std::vector<std::string>{"task 17.2: exit code 3: leat logs 17.2 --stderr"});
  EXPECT_EQ(cluster.failure, "job 17 failed, 1 of 4 tasks failed: leat job show 17 tells more");
}

TEST_F(FollowTest, WaitTellsStepsOfTheReduceFromTasks) {
  steps_failed = 1;
  end(schema::JobState::FAILED);
  EXPECT_EQ(cluster.run(kWait, {"last"}), 1);
  EXPECT_EQ(cluster.failure,
            "job 17 failed, 1 of 2 reduce steps failed: leat job show 17 tells more");
}

TEST_F(FollowTest, WaitGivesUpInTime) {
  EXPECT_EQ(cluster.run(kWait, {"17", "--timeout", "100ms"}), 124);
  EXPECT_EQ(cluster.failure,
            "job 17 has not ended within 100ms: leat wait 17 goes on waiting, leat why 17 says "
            "what for");
}

TEST_F(FollowTest, WaitWithNoTimeStillLearnsOfAnEnd) {
  state = schema::JobState::SUCCEEDED;
  EXPECT_EQ(cluster.run(kWait, {"17", "--timeout", "0"}), 0);
}

TEST_F(FollowTest, WaitSurvivesARestartOfTheHeadAndKeepsItsCursor) {
  cluster.world.cursor = 41;
  at_watch(2, [this] {
    cluster.kill_head();
    // Away for longer than a first attempt to find it again takes.
    after(300 * kj::MILLISECONDS, [this] { cluster.start_head(); });
    at_watch(3, [this] { end(schema::JobState::SUCCEEDED); });
  });
  EXPECT_EQ(cluster.run(kWait, {"17"}), 0) << cluster.failure;
  ASSERT_GE(cluster.world.cursors_seen.size(), 3u);
  EXPECT_EQ(cluster.world.cursors_seen[0], 0u);
  EXPECT_EQ(cluster.world.cursors_seen[1], 41u);
  EXPECT_EQ(cluster.world.cursors_seen[2], 41u);
}

TEST_F(FollowTest, WaitForAJobThatIsNotThereIsAWrongQuestion) {
  cluster.world.refuse = [](schema::Refusal::Builder refusal) {
    refusal.setReason(schema::Refusal::Reason::NOT_FOUND);
    refusal.setMessage("there is no job 99");
  };
  EXPECT_EQ(cluster.run(kWait, {"99"}), 2);
}

TEST_F(FollowTest, SubmitCanWait) {
  at_watch(2, [this] { end(schema::JobState::CANCELLED); });
  EXPECT_EQ(cluster.run(kSubmit, {"--wait", "--", "true"}), 1);
  EXPECT_EQ(cluster.console.written, "18\n");
}

TEST_F(FollowTest, AHeadThatStaysAwayIsGivenUpWithTheAdviceOfTheCaller) {
  Shell shell{cluster.io, cluster.console, cluster.surroundings, cluster.home};
  Head head(shell);
  EXPECT_TRUE(head.answers());
  cluster.kill_head();
  const auto ask = [&](const Patience& patience) -> Failure {
    try {
      head.ask([](schema::Scheduler::Client& client) { return client.statusRequest().send(); },
               patience);
    } catch (const Failure& failure) {
      return failure;
    }
    return {ExitCode::kDone, ""};
  };
  const Failure failure = ask(Patience{std::chrono::milliseconds(300), "use key K"});
  EXPECT_EQ(failure.code, ExitCode::kUnreachable);
  EXPECT_EQ(failure.message, "no head answers at " + cluster.home.socket() + ": use key K");
}

}  // namespace
}  // namespace leat::cli
