#include <gtest/gtest.h>

#include <algorithm>

#include "tests/scheduler/core/world.h"

// Jobs of several stages that come after each other.

namespace leat::core {
namespace {

// Another stage of the job, with as many tasks as this.
StageSpec& add_stage(JobSpec& spec, std::uint64_t tasks, const std::string& name = {}) {
  StageSpec stage = sweep(tasks).stages[0];
  stage.name = name;
  spec.stages.push_back(stage);
  return spec.stages.back();
}

After after(StageId stage, Condition on = Condition::kSuccess, bool element = false) {
  return {{}, element, on, stage};
}

// first, and second after it.
JobSpec two(std::uint64_t first, std::uint64_t second, Condition on = Condition::kSuccess,
            bool element = false) {
  JobSpec spec = sweep(first);
  spec.stages[0].name = "first";
  add_stage(spec, second, "second").after.push_back(after(0, on, element));
  return spec;
}

RunRow failure() {
  RunRow row;
  row.code = 3;
  return row;
}

// Ends what was started: of stage `in` those with an index in `failing` with exit code 3.
void end_all(World& w, const std::vector<Index>& failing = {}, StageId in = 0) {
  w.place();
  for (const StartRuns& start : w.starts())
    start.runs.indices.for_each([&](Index index) {
      if (w.state.node(start.node) == nullptr) return;
      const bool fails = start.runs.stage.stage == in &&
                         std::find(failing.begin(), failing.end(), index) != failing.end();
      w.end(start.node, {start.runs.stage, start.runs.attempt, IndexList(Stride{index, 1, 1})},
            fails ? failure() : RunRow{});
    });
  w.place();
}

struct Case {
  TaskState end;
  Condition on;
  bool runs;
  JobState becomes;
};

TEST(Stages, AStageRunsOrIsSkippedByTheEndOfTheOneBefore) {
  const Case cases[] = {
      {TaskState::kSucceeded, Condition::kSuccess, true, JobState::kSucceeded},
      {TaskState::kFailed, Condition::kSuccess, false, JobState::kFailed},
      {TaskState::kCancelled, Condition::kSuccess, false, JobState::kCancelled},
      // What is there in case of need has not been needed.
      {TaskState::kSucceeded, Condition::kFailure, false, JobState::kSucceeded},
      {TaskState::kFailed, Condition::kFailure, true, JobState::kFailed},
      {TaskState::kCancelled, Condition::kFailure, true, JobState::kCancelled},
      {TaskState::kSucceeded, Condition::kAny, true, JobState::kSucceeded},
      {TaskState::kFailed, Condition::kAny, true, JobState::kFailed},
      {TaskState::kCancelled, Condition::kAny, true, JobState::kCancelled},
  };
  for (const bool element : {false, true}) {
    for (const Case& c : cases) {
      World w;
      w.node(8);
      const JobId job = w.submit(two(3, 3, c.on, element));
      EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 3u);
      if (c.end == TaskState::kCancelled) {
        w.must(Cancel{{}, {}, job, 0, IndexList(Stride{0, 3, 1})});
      } else {
        end_all(w,
                c.end == TaskState::kFailed ? std::vector<Index>{0, 1, 2} : std::vector<Index>{});
      }
      w.drain();
      EXPECT_EQ(w.job_state(job), c.becomes) << name_of(c.end) << static_cast<int>(c.on) << element;
      EXPECT_EQ(w.count(job, c.runs ? TaskState::kSucceeded : TaskState::kSkipped, 1), 3u)
          << name_of(c.end) << static_cast<int>(c.on) << element;
      w.check_replay();
    }
  }
}

TEST(Stages, TaskByTaskStartsEachTaskWhenItsOwnIsDone) {
  World w;
  const NodeRef node = w.node(8);
  JobSpec spec = two(4, 4, Condition::kSuccess, true);
  for (StageSpec& stage : spec.stages) stage.indices = IndexList(Stride{10, 4, 5});
  const JobId job = w.submit(spec);
  w.place();
  w.starts();
  w.end(node, {{job, 0}, 1, IndexList(Stride{15, 1, 1})});
  EXPECT_EQ(w.count(job, TaskState::kWaiting, 1), 1u);
  EXPECT_EQ(w.state.stage({job, 1})->cells.at(1).state, TaskState::kWaiting);
  w.end(node, {{job, 0}, 1, IndexList(Stride{20, 1, 1})}, failure());
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 1), 1u);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 2u);
  EXPECT_EQ(w.state.job(job)->skip_reason, SkipReason::kDependency);
  EXPECT_FALSE(w.state.job(job)->skip_cause);
  w.end(node, {{job, 0}, 1, IndexList(Stride{10, 1, 1})});
  w.end(node, {{job, 0}, 1, IndexList(Stride{25, 1, 1})});
  w.drain();
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 1), 3u);
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  w.check_replay();
}

// prepare -> gangs -> tree of reduce steps -> report, and a clean-up in any case.
TEST(Stages, APipelineRunsToItsResult) {
  World w;
  for (int n = 0; n < 4; ++n) w.node(2);
  JobSpec spec = sweep(1);
  StageSpec& simulate = add_stage(spec, 5, "simulate");
  simulate.after.push_back(after(0));
  simulate.gang = true;
  simulate.nodes = 2;
  StageId below = 1;
  for (const std::uint64_t tasks : {3u, 2u, 1u}) {
    add_stage(spec, tasks).reduces = ReduceInput{below, 2};
    below = static_cast<StageId>(spec.stages.size() - 1);
  }
  add_stage(spec, 1, "report").reduces = ReduceInput{below, 1};
  spec.result_stage = 4;  // which the report reads
  add_stage(spec, 1, "clean").after.push_back(after(5, Condition::kAny));
  const JobId job = w.submit(spec);
  std::vector<StageId> order;
  for (w.place();; w.place()) {
    const std::vector<StartRuns> started = w.starts();
    if (started.empty()) break;
    for (const StartRuns& start : started) {
      const StageId id = start.runs.stage.stage;
      if (order.empty() || order.back() != id) order.push_back(id);
      std::optional<Blob> result;
      if (id == 4) result = Blob{Hash{9}, 42};
      w.end(start.node, start.runs, {}, result);
    }
  }
  ASSERT_GE(order.size(), 7u);
  EXPECT_EQ(order[0], 0u);
  EXPECT_EQ(order[1], 1u);
  EXPECT_EQ(std::vector<StageId>(order.end() - 3, order.end()), (std::vector<StageId>{4, 5, 6}));
  ASSERT_EQ(w.job_state(job), JobState::kSucceeded);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 1), 5u);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 6), 1u);
  ASSERT_TRUE(w.state.job(job)->result.has_value());
  EXPECT_EQ(w.state.job(job)->result->length, 42u);
  EXPECT_EQ(w.state.job(job)->stage_names.at(5), "report");
  w.check_replay();
}

TEST(Stages, AFailureFallsThroughStagesLinkByLink) {
  World w;
  w.node(4);
  JobSpec spec = sweep(2);
  for (StageId n = 0; n < 10; ++n) add_stage(spec, 3).after.push_back(after(n));
  add_stage(spec, 1).after.push_back(after(10, Condition::kFailure));
  const JobId job = w.submit(spec);
  end_all(w, {1});
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 10), 3u);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 11), 1u);
  w.check_replay();
}

// A stage is skipped within one fact when it reduces what failed: whoever waits for it hears of it.
TEST(Stages, ComeAfterAReduceThatIsSkipped) {
  World w;
  w.node(4);
  JobSpec spec = with_reduce(sweep(4), 2);
  ASSERT_EQ(spec.stages.size(), 3u);
  add_stage(spec, 1, "mourn").after.push_back(after(2, Condition::kFailure));
  add_stage(spec, 2, "by-task").after.push_back(after(1, Condition::kAny, true));
  const JobId job = w.submit(spec);
  end_all(w, {1});
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 2), 1u);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 3), 0u);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 4), 1u);
  w.drain();
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 3), 1u);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 4), 2u);
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  w.check_replay();
}

TEST(Stages, AReduceMayReadAnyStageBeforeIt) {
  World w;
  const NodeRef first = w.node(8);
  JobSpec spec = two(4, 4, Condition::kSuccess, true);
  add_stage(spec, 2, "of-first").reduces = ReduceInput{0, 2};
  add_stage(spec, 1, "of-second").reduces = ReduceInput{1, 4};
  const JobId job = w.submit(spec);
  end_all(w);
  EXPECT_EQ(w.count(job, TaskState::kHeld, 0), 4u);
  // Made again, as the reduce still needs them; who has waited for them has started, or does.
  w.must(ProveGone{first, "died"});
  EXPECT_EQ(w.count(job, TaskState::kWaiting, 0), 4u);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 0u);
  w.node(8);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Stages, LostOutputsStopNothingThatHasStarted) {
  World w;
  const NodeRef first = w.node(2);
  JobSpec spec = two(2, 3);
  add_stage(spec, 1).reduces = ReduceInput{0, 2};
  const JobId job = w.submit(spec);
  end_all(w);
  w.must(LoseNode{first});
  w.must(ProveGone{first, "died"});
  EXPECT_EQ(w.state.stage({job, 1})->after[0].state, AfterState::kMet);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 0u);
  w.node(8);
  end_all(w, {0});
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kFailed);
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 1), 3u);
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 2), 1u);
  w.check_replay();
}

TEST(Stages, WaitForSeveralAndForOtherJobsToo) {
  World w;
  const NodeRef node = w.node(8);
  const JobId other = w.submit(sweep(1, 8));
  JobSpec spec = sweep(2);
  add_stage(spec, 2);
  StageSpec& last = add_stage(spec, 2);
  last.after = {after(0), after(1, Condition::kAny, true), {other, false, Condition::kSuccess, 0}};
  const JobId job = w.submit(spec);
  w.place();
  w.end(node, {{other, 0}, 1, IndexList(Stride{0, 1, 1})});
  w.place();
  w.starts();
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 2), 2u);
  w.end(node, {{job, 1}, 1, IndexList(Stride{1, 1, 1})}, failure());
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 2), 2u);
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 2, 1})});
  EXPECT_EQ(w.count(job, TaskState::kWaiting, 2), 1u);
  w.end(node, {{job, 1}, 1, IndexList(Stride{0, 1, 1})});
  w.drain();
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 2), 2u);
  w.check_replay();
}

TEST(Stages, ACancelledPartIsNoSuccess) {
  World w;
  w.node(1);
  JobSpec spec = two(4, 4, Condition::kSuccess, true);
  add_stage(spec, 1).after.push_back(after(0));
  const JobId job = w.submit(spec);
  w.place();
  w.must(Cancel{{}, {}, job, 0, IndexList(Stride{2, 1, 1})});
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 1), 1u);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 3u);
  w.must(Cancel{{}, {}, job, 1, IndexList(Stride{3, 1, 1})});
  w.drain();
  EXPECT_EQ(w.count(job, TaskState::kSucceeded, 1), 2u);
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 2), 1u);
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
  w.check_replay();
}

TEST(Stages, AreAllCancelledWithTheJob) {
  World w;
  w.node(2);
  JobSpec spec = two(4, 4, Condition::kAny, true);
  add_stage(spec, 1).after.push_back(after(1, Condition::kFailure));
  const JobId job = w.submit(spec);
  w.place();
  w.must(Cancel{{}, {}, job, 0, {}});
  EXPECT_EQ(w.count(job, TaskState::kCancelled, 1), 4u);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kCancelled);
  EXPECT_EQ(w.count(job, TaskState::kCancelled, 2), 1u);
  w.check_replay();
}

TEST(Stages, OfAHeldJobDoNotStart) {
  World w;
  w.node(4);
  const JobId job = w.submit(two(2, 2));
  w.place();
  w.must(HoldJob{"", {}, job});
  end_all(w);
  EXPECT_EQ(w.count(job, TaskState::kWaiting, 1), 2u);
  EXPECT_TRUE(w.state.ready().entries().empty());
  w.must(ReleaseJob{"", {}, job});
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  w.check_replay();
}

TEST(Stages, AreSkippedTogetherWhenTheJobDoesNotStartInTime) {
  World w;
  JobSpec spec = two(2, 2, Condition::kFailure);
  spec.stages[0].start_within = Duration(1'000'000);
  const JobId job = w.submit(spec);
  w.now = w.now + Duration(2'000'000);
  w.must(Tick{});
  w.place();
  EXPECT_EQ(w.job_state(job), JobState::kSkipped);
  EXPECT_EQ(w.state.job(job)->skip_reason, SkipReason::kStartWithin);
  w.check_replay();
}

TEST(Stages, WaitForTheLastTaskOfTheStageBeforeAndSaySo) {
  World w;
  const NodeRef node = w.node(8);
  JobSpec spec = two(10, 10);
  add_stage(spec, 10).after.push_back(after(0, Condition::kAny, true));
  const JobId job = w.submit(spec);
  w.place();
  w.starts();
  w.end(node, {{job, 0}, 1, IndexList(Stride{0, 7, 1})});
  const auto causes = why(w.state, {job, 1}, std::nullopt, w.now);
  ASSERT_EQ(causes.size(), 1u);
  EXPECT_STREQ(causes[0].reason, "dependency");
  EXPECT_EQ(causes[0].tasks, 10u);
  EXPECT_EQ(causes[0].message, "waits for stage first: 3 of 10 tasks left");
  const auto by_task = why(w.state, {job, 2}, Index{8}, w.now);
  ASSERT_EQ(by_task.size(), 1u);
  EXPECT_EQ(by_task[0].message,
            "waits for the end of the task of the same index in stage first: 3 of 10 tasks left");
  EXPECT_EQ(by_task[0].tasks, 1u);
  w.end(node, {{job, 0}, 1, IndexList(Stride{7, 1, 1})});
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 10u);
}

TEST(Stages, AChainOfManyTasksIsAFewFactsAndEntries) {
  World w;
  w.node(8);
  constexpr std::uint64_t kTasks = 1'000'000;
  JobSpec spec = two(kTasks, kTasks, Condition::kSuccess, true);
  add_stage(spec, kTasks).after.push_back(after(1, Condition::kFailure, true));
  const JobId job = w.submit(spec);
  EXPECT_EQ(w.state.stage({job, 2})->cells.entry_count(), 1u);
  w.must(Cancel{{}, {}, job, 0, IndexList(Stride{1000, kTasks - 1000, 1})});
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 1), 1000u);
  EXPECT_EQ(w.count(job, TaskState::kSkipped, 1), kTasks - 1000);
  EXPECT_EQ(w.count(job, TaskState::kBlocked, 2), 1000u);
  EXPECT_LT(w.log.size(), 400u);
  EXPECT_LT(w.state.stage({job, 1})->cells.entry_count(), 4u);
}

TEST(Stages, RefusesWhatCanNeverBeRight) {
  World w;
  const auto refused = [&w](const JobSpec& spec) {
    const Result<Answer> answer = w.say(Submit{"k", {}, spec, {}});
    EXPECT_FALSE(answer.ok());
    return answer.ok() ? std::string() : answer.refusal().message;
  };
  JobSpec itself = sweep(2);
  itself.stages[0].after.push_back(after(0));
  EXPECT_NE(refused(itself).find("only after stages before it"), std::string::npos);
  JobSpec later = sweep(2);
  later.stages[0].after.push_back(after(1));
  add_stage(later, 2);
  EXPECT_NE(refused(later).find("only after stages before it"), std::string::npos);
  const std::string unequal = refused(two(3, 4, Condition::kSuccess, true));
  EXPECT_NE(unequal.find("0-2"), std::string::npos) << unequal;
  EXPECT_NE(unequal.find("0-3"), std::string::npos) << unequal;
  JobSpec twice = two(1, 1);
  twice.stages[1].name = "first";
  EXPECT_NE(refused(twice).find("\"first\""), std::string::npos);
  JobSpec both = two(1, 1);
  both.stages[1].reduces = ReduceInput{0, 1};
  EXPECT_NE(refused(both).find("reduce step"), std::string::npos);
  JobSpec reads = two(4, 4);
  add_stage(reads, 1).reduces = ReduceInput{2, 4};
  EXPECT_NE(refused(reads).find("must follow"), std::string::npos);
  JobSpec many = two(1, 1);
  many.stages[1].after.assign(kAfterMax + 1, after(0));
  EXPECT_NE(refused(many).find("more than 64"), std::string::npos);
  EXPECT_TRUE(w.state.jobs().empty());
}

}  // namespace
}  // namespace leat::core
