#include <gtest/gtest.h>

#include "tests/scheduler/core/world.h"

// Jobs that come after others, and what becomes of them.

namespace leat::core {
namespace {

JobSpec after(JobSpec spec, JobId job, Condition on = Condition::kSuccess, bool element = false) {
  spec.stages[0].after.push_back({job, element, on});
  return spec;
}

RunRow failure(int code = 3) {
  RunRow row;
  row.code = code;
  return row;
}

// Ends the tasks that were started: those with an index in `failing` with exit code 3.
void end_all(World& w, const std::vector<Index>& failing = {}) {
  w.place();
  for (const StartRuns& start : w.starts())
    start.runs.indices.for_each([&](Index index) {
      const bool fails = std::find(failing.begin(), failing.end(), index) != failing.end();
      w.end(start.node, {start.runs.stage, start.runs.attempt, IndexList(Stride{index, 1, 1})},
            fails ? failure() : RunRow{});
    });
  w.place();
}

struct Case {
  JobState end;
  Condition on;
  JobState becomes;
};

TEST(After, ADependantRunsOrIsSkippedByTheEndOfItsJob) {
  const Case cases[] = {
      {JobState::kSucceeded, Condition::kSuccess, JobState::kSucceeded},
      {JobState::kFailed, Condition::kSuccess, JobState::kSkipped},
      {JobState::kCancelled, Condition::kSuccess, JobState::kSkipped},
      {JobState::kSucceeded, Condition::kFailure, JobState::kSkipped},
      {JobState::kFailed, Condition::kFailure, JobState::kSucceeded},
      {JobState::kCancelled, Condition::kFailure, JobState::kSucceeded},
      {JobState::kSucceeded, Condition::kAny, JobState::kSucceeded},
      {JobState::kFailed, Condition::kAny, JobState::kSucceeded},
      {JobState::kCancelled, Condition::kAny, JobState::kSucceeded},
  };
  for (const Case& c : cases) {
    for (const bool early : {true, false}) {
      World w;
      w.node(4);
      const JobId first = w.submit(sweep(3));
      JobId second;
      if (early) {
        second = w.submit(after(sweep(2), first, c.on));
        EXPECT_EQ(w.count(second, TaskState::kBlocked), 2u);
      }
      if (c.end == JobState::kCancelled) {
        w.must(Cancel{{}, {}, first, 0, {}});
        w.place();
      } else {
        end_all(w, c.end == JobState::kFailed ? std::vector<Index>{1} : std::vector<Index>{});
      }
      ASSERT_EQ(w.job_state(first), c.end);
      if (!early) second = w.submit(after(sweep(2), first, c.on));
      w.place();
      w.drain();
      EXPECT_EQ(w.job_state(second), c.becomes)
          << name_of(c.end) << static_cast<int>(c.on) << early;
      if (c.becomes == JobState::kSkipped) {
        EXPECT_EQ(w.count(second, TaskState::kSkipped), 2u);
        EXPECT_EQ(w.state.job(second)->skip_reason, SkipReason::kDependency);
        EXPECT_EQ(w.state.job(second)->skip_cause, first);
      }
      w.check_replay();
    }
  }
}

TEST(After, WaitsForAllOfSeveralJobs) {
  World w;
  w.node(1);
  const JobId a = w.submit(sweep(1));
  const JobId b = w.submit(sweep(1));
  const JobId c = w.submit(after(after(sweep(1), a), b, Condition::kAny));
  end_all(w);
  ASSERT_EQ(w.job_state(a), JobState::kSucceeded);
  EXPECT_EQ(w.count(c, TaskState::kBlocked), 1u);
  end_all(w, {0});
  ASSERT_EQ(w.job_state(b), JobState::kFailed);
  EXPECT_EQ(w.count(c, TaskState::kBlocked), 0u);
  w.drain();
  EXPECT_EQ(w.job_state(c), JobState::kSucceeded);
  w.check_replay();
}

TEST(After, TaskByTaskStartsEachTaskWhenItsOwnIsDone) {
  World w;
  const NodeRef node = w.node(8);
  JobSpec spec = sweep(4);
  spec.stages[0].indices = IndexList(Stride{10, 4, 5});
  const JobId first = w.submit(spec);
  const JobId second = w.submit(after(spec, first, Condition::kSuccess, true));
  const JobId rest = w.submit(after(spec, first, Condition::kFailure, true));
  w.place();
  w.starts();
  w.end(node, {{first, 0}, 1, IndexList(Stride{15, 1, 1})});
  EXPECT_EQ(w.count(second, TaskState::kWaiting), 1u);
  EXPECT_EQ(w.count(second, TaskState::kBlocked), 3u);
  w.end(node, {{first, 0}, 1, IndexList(Stride{20, 1, 1})}, failure());
  w.place();
  EXPECT_EQ(w.count(second, TaskState::kSkipped), 1u);
  EXPECT_EQ(w.count(rest, TaskState::kSkipped), 1u);
  EXPECT_EQ(w.count(rest, TaskState::kBlocked), 2u);
  w.end(node, {{first, 0}, 1, IndexList(Stride{10, 1, 1})});
  w.end(node, {{first, 0}, 1, IndexList(Stride{25, 1, 1})});
  w.place();
  EXPECT_EQ(w.job_state(first), JobState::kFailed);
  w.drain();
  EXPECT_EQ(w.job_state(second), JobState::kSkipped);
  EXPECT_EQ(w.count(second, TaskState::kSucceeded), 3u);
  EXPECT_EQ(w.count(second, TaskState::kSkipped), 1u);
  EXPECT_EQ(w.count(rest, TaskState::kSucceeded), 1u);
  EXPECT_EQ(w.count(rest, TaskState::kSkipped), 3u);
  w.check_replay();
}

TEST(After, TaskByTaskTakesIntoAccountWhatIsDoneAlready) {
  World w;
  const NodeRef node = w.node(8);
  const JobId first = w.submit(sweep(4));
  w.place();
  w.starts();
  w.end(node, {{first, 0}, 1, IndexList(Stride{0, 2, 1})});
  w.end(node, {{first, 0}, 1, IndexList(Stride{2, 1, 1})}, failure());
  const JobId second = w.submit(after(sweep(4), first, Condition::kSuccess, true));
  EXPECT_EQ(w.count(second, TaskState::kWaiting), 2u);
  w.place();
  EXPECT_EQ(w.count(second, TaskState::kSkipped), 1u);
  EXPECT_EQ(w.count(second, TaskState::kBlocked), 1u);
  w.check_replay();
}

TEST(After, TaskByTaskOfTwoJobsWaitsForBoth) {
  World w;
  const NodeRef node = w.node(8);
  const JobId a = w.submit(sweep(3));
  const JobId b = w.submit(sweep(3));
  const JobId c =
      w.submit(after(after(sweep(3), a, Condition::kSuccess, true), b, Condition::kSuccess, true));
  w.place();
  w.starts();
  w.end(node, {{a, 0}, 1, IndexList(Stride{0, 2, 1})});
  EXPECT_EQ(w.count(c, TaskState::kWaiting), 0u);
  w.end(node, {{b, 0}, 1, IndexList(Stride{1, 2, 1})});
  EXPECT_EQ(w.count(c, TaskState::kWaiting), 1u);
  // The end of one of them is remembered.
  w.end(node, {{a, 0}, 1, IndexList(Stride{2, 1, 1})});
  w.place();
  ASSERT_EQ(w.job_state(a), JobState::kSucceeded);
  w.end(node, {{b, 0}, 1, IndexList(Stride{0, 1, 1})});
  w.drain();
  EXPECT_EQ(w.job_state(c), JobState::kSucceeded);
  w.check_replay();
}

TEST(After, AChainFallsLinkByLink) {
  World w;
  w.node(1);
  const JobId first = w.submit(sweep(1));
  std::vector<JobId> chain{first};
  for (int n = 0; n < 20; ++n) chain.push_back(w.submit(after(sweep(3), chain.back())));
  end_all(w, {0});
  for (std::size_t n = 1; n < chain.size(); ++n) {
    EXPECT_EQ(w.job_state(chain[n]), JobState::kSkipped);
    EXPECT_EQ(w.state.job(chain[n])->skip_cause, chain[n - 1]);
  }
  w.check_replay();
}

TEST(After, SkipsTheReduceOfADeadJobToo) {
  World w;
  w.node(1);
  const JobId first = w.submit(sweep(1));
  const JobId second = w.submit(after(with_reduce(sweep(4), 2), first));
  end_all(w, {0});
  EXPECT_EQ(w.job_state(second), JobState::kSkipped);
  EXPECT_EQ(w.count(second, TaskState::kSkipped, 2), 1u);
  w.check_replay();
}

TEST(After, ADependantMayBeCancelledAndItsJobEndsAlone) {
  World w;
  w.node(1);
  const JobId first = w.submit(sweep(1));
  const JobId second = w.submit(after(sweep(3), first));
  w.must(Cancel{{}, {}, second, 0, {}});
  w.place();
  EXPECT_EQ(w.job_state(second), JobState::kCancelled);
  EXPECT_EQ(w.state.dependants(first), nullptr);
  end_all(w);
  EXPECT_EQ(w.job_state(first), JobState::kSucceeded);
  w.check_replay();
}

TEST(After, HoldsAMillionTasksInOneEntry) {
  World w;
  w.node(1);
  const JobId first = w.submit(sweep(1));
  const JobId second = w.submit(after(sweep(1'000'000), first, Condition::kFailure));
  end_all(w);
  EXPECT_EQ(w.job_state(second), JobState::kSkipped);
  std::size_t facts = 0;
  for (const auto& [fact, at] : w.log) {
    const auto* aside = std::get_if<TasksSetAside>(&fact);
    facts += aside != nullptr && aside->stage.job == second ? 1 : 0;
  }
  EXPECT_EQ(facts, 1u);
}

TEST(After, RefusesJobsThatNeverWereAndUnequalIndices) {
  World w;
  const JobId first = w.submit(sweep(3));
  const auto refused = [&](JobSpec spec) {
    const Result<Answer> answer = w.say(Submit{"k", {}, std::move(spec), {}});
    EXPECT_FALSE(answer.ok());
    return answer.ok() ? Refusal{} : answer.refusal();
  };
  EXPECT_EQ(refused(after(sweep(1), JobId{9})).reason, Reason::kNotFound);
  // Its own number, which it would get next.
  const Refusal self = refused(after(sweep(1), JobId{2}));
  EXPECT_EQ(self.reason, Reason::kNotFound);
  EXPECT_NE(self.message.find("cannot wait for itself"), std::string::npos);
  const Refusal unequal = refused(after(sweep(4), first, Condition::kSuccess, true));
  EXPECT_EQ(unequal.reason, Reason::kConflict);
  EXPECT_NE(unequal.message.find("0-2"), std::string::npos) << unequal.message;
  EXPECT_NE(unequal.message.find("0-3"), std::string::npos) << unequal.message;
  JobSpec many = sweep(1);
  for (std::size_t n = 0; n <= kAfterMax; ++n) many = after(std::move(many), first);
  EXPECT_EQ(refused(many).reason, Reason::kInvalid);
  EXPECT_EQ(w.state.jobs().size(), 1u);
}

TEST(After, AsksHistoryForWhatIsForgotten) {
  World w;
  w.node(1);
  const JobId first = w.submit(sweep(3));
  end_all(w);
  end_all(w);
  end_all(w);
  ASSERT_EQ(w.job_state(first), JobState::kSucceeded);
  const JobId now_known = w.submit(after(sweep(1), first));
  EXPECT_EQ(w.count(now_known, TaskState::kWaiting), 1u);
  // Task by task memory has no answer; history has, or says that it has none.
  JobSpec spec = after(sweep(3), first, Condition::kSuccess, true);
  EXPECT_EQ(w.say(Submit{"k1", {}, spec, {}}).refusal().reason, Reason::kOverloaded);
  EXPECT_EQ(
      w.say(Submit{"k1", {}, spec, {}, {{first, JobState::kFailed, {}, {}}}}).refusal().reason,
      Reason::kConflict);
  const IndexList all(Stride{0, 3, 1});
  const PastJob past{first, JobState::kFailed, all, IndexList(Stride{1, 1, 1})};
  const auto job = std::get<JobId>(w.must(Submit{"k1", {}, spec, {}, {past}}));
  EXPECT_EQ(w.count(job, TaskState::kSkipped), 1u);
  EXPECT_EQ(w.count(job, TaskState::kWaiting), 2u);
  spec.stages[0].after[0].on = Condition::kFailure;
  const auto other = std::get<JobId>(w.must(Submit{"k2", {}, spec, {}, {past}}));
  EXPECT_EQ(w.count(other, TaskState::kSkipped), 2u);
  w.drain();
  w.check_replay();
}

TEST(After, WhyNamesTheJobAndItsState) {
  World w;
  w.node(1);
  const JobId first = w.submit(sweep(3));
  const JobId second = w.submit(after(sweep(3), first, Condition::kSuccess, true));
  const auto causes = why(w.state, {second, 0}, std::nullopt, w.now);
  ASSERT_EQ(causes.size(), 1u);
  EXPECT_STREQ(causes[0].reason, "dependency");
  EXPECT_EQ(causes[0].tasks, 3u);
  EXPECT_EQ(causes[0].message,
            "comes after the success of the task of the same index in job 1 (sweep), which is "
            "waiting");
  end_all(w);
  EXPECT_EQ(why(w.state, {second, 0}, Index{2}, w.now).size(), 1u);
  for (const Cause& cause : why(w.state, {second, 0}, Index{0}, w.now))
    EXPECT_STRNE(cause.reason, "dependency");
}

}  // namespace
}  // namespace leat::core
