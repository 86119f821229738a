#include "scheduler/wire/retry_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace leat::wire {
namespace {

using core::After;
using core::Condition;
using core::ReduceInput;
using core::StageSpec;
using Sets = std::vector<IntervalSet>;

StageSpec stage(std::uint64_t tasks, std::vector<After> after = {}) {
  StageSpec spec;
  spec.indices = IndexList(Stride{1, tasks, 1});
  spec.after = std::move(after);
  return spec;
}

StageSpec reduce(StageId of, std::uint64_t inputs, std::uint64_t width) {
  StageSpec spec = stage((inputs - 1) / width + 1);
  spec.reduces = ReduceInput{of, width};
  return spec;
}

After each(StageId of, Condition on = Condition::kSuccess) {
  return {{}, true, on, of};
}

After whole(StageId of, Condition on = Condition::kSuccess) {
  return {{}, false, on, of};
}

IntervalSet set(std::vector<std::uint64_t> numbers) {
  IntervalSet made;
  for (const std::uint64_t number : numbers) made.insert({number, number});
  return made;
}

IntervalSet first(std::uint64_t count) {
  return {0, count - 1};
}

Sets runs(const std::vector<StageSpec>& stages, const Sets& unsuccessful) {
  const Result<RetryPlan> plan = plan_retry(stages, unsuccessful);
  EXPECT_TRUE(plan.ok()) << plan.refusal().message;
  return plan.ok() ? plan.value().runs : Sets();
}

TEST(RetryPlan, OfOneStageIsWhatDidNotSucceed) {
  EXPECT_EQ(runs({stage(10)}, {set({2, 5})}), (Sets{set({2, 5})}));
  EXPECT_EQ(runs({stage(10)}, {{}}), (Sets{{}}));
}

TEST(RetryPlan, LeavesOutWhatSucceededAndRunsWhatWasSkipped) {
  // prepare, simulate, report: two simulations failed, and the report was skipped.
  EXPECT_EQ(
      runs({stage(1), stage(10, {whole(0)}), stage(1, {whole(1)})}, {{}, set({3, 4}), first(1)}),
      (Sets{{}, set({3, 4}), first(1)}));
}

TEST(RetryPlan, RunsAgainWhatComesAfterATaskThatDoes) {
  // What came after it whatever it did has run, and does so again.
  EXPECT_EQ(runs({stage(10), stage(1, {whole(0, Condition::kAny)}), stage(3)}, {set({3}), {}, {}}),
            (Sets{set({3}), first(1), {}}));
  EXPECT_EQ(runs({stage(10), stage(10, {each(0, Condition::kAny)})}, {set({3}), {}}),
            (Sets{set({3}), set({3})}));
}

TEST(RetryPlan, GoesTaskByTaskWhereStagesDo) {
  EXPECT_EQ(runs({stage(10), stage(10, {each(0)})}, {{}, set({7})}), (Sets{{}, set({7})}));
  // Of both stages the same tasks.
  EXPECT_EQ(runs({stage(10), stage(10, {each(0)}), stage(10, {each(1)})},
                 {set({3}), set({3, 7}), set({3, 7})}),
            (Sets{set({3, 7}), set({3, 7}), set({3, 7})}));
}

TEST(RetryPlan, RunsAllOfWhatAReduceReadsAgain) {
  const std::vector<StageSpec> tree{stage(1), stage(10, {whole(0)}), reduce(1, 10, 4),
                                    reduce(2, 3, 4), stage(1, {whole(3)})};
  EXPECT_EQ(runs(tree, {{}, set({9}), set({2}), first(1), first(1)}),
            (Sets{{}, first(10), first(3), first(1), first(1)}));
  // The last step alone needs the outputs of all below.
  EXPECT_EQ(runs(tree, {{}, {}, {}, first(1), first(1)}),
            (Sets{{}, first(10), first(3), first(1), first(1)}));
  // What comes after the result does not read it.
  EXPECT_EQ(runs(tree, {{}, {}, {}, {}, first(1)}), (Sets{{}, {}, {}, {}, first(1)}));
}

TEST(RetryPlan, LeavesSkippedWhatWasToMournASuccess) {
  const std::vector<StageSpec> stages{stage(4), stage(4, {each(0, Condition::kFailure)}),
                                      stage(4, {each(1)}), stage(1, {whole(0)}),
                                      stage(1, {whole(0, Condition::kFailure)})};
  // All went well but for the last but one.
  EXPECT_EQ(runs(stages, {{}, first(4), first(4), first(1), first(1)}),
            (Sets{{}, {}, {}, first(1), {}}));
  // Task 2 failed and was mourned, as was the stage.
  EXPECT_EQ(runs(stages, {set({2}), set({0, 1, 3}), set({0, 1, 3}), first(1), {}}),
            (Sets{set({2}), set({2}), set({2}), first(1), first(1)}));
}

TEST(RetryPlan, RunsNothingThatWasRightlySkipped) {
  // Stage 1 takes part of stage 0's tasks back, and those were skipped as they should be.
  const std::vector<StageSpec> stages{stage(4), stage(4, {each(0, Condition::kFailure)}),
                                      stage(4, {each(1, Condition::kAny)})};
  const Result<RetryPlan> plan = plan_retry(stages, {set({2}), set({0, 1, 3}), set({0})});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.refusal().reason, Reason::kConflict);
  EXPECT_EQ(plan.refusal().message,
            "stage 1 would run tasks again that were rightly skipped: submit it again");
}

TEST(RetryPlan, KnowsWhatHadSucceeded) {
  const std::vector<StageSpec> stages{stage(10), reduce(0, 10, 10)};
  const Result<RetryPlan> plan = plan_retry(stages, {set({9}), first(1)});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan.value().repeated, (Sets{first(9), {}}));
}

TEST(RetryPlan, LeavesOfDependenciesWhatIsNotMet) {
  const RetryPlan plan{{{}, set({1})}, {{}, {}}};
  EXPECT_FALSE(left_of(whole(0), plan, {{}, set({1})}));
  EXPECT_FALSE(left_of(After{JobId{3}, false, Condition::kAny, 0}, plan, {{}, set({1})}));
  EXPECT_EQ(left_of(each(1), plan, {{}, set({1})}), each(1));
  EXPECT_EQ(left_of(whole(1, Condition::kFailure), plan, {{}, set({1})}),
            whole(1, Condition::kFailure));
  // Part of it has failed already, and stays so.
  EXPECT_EQ(left_of(whole(1, Condition::kFailure), plan, {{}, set({1, 2})}),
            whole(1, Condition::kAny));
}

}  // namespace
}  // namespace leat::wire
