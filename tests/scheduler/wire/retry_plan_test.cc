#include "scheduler/wire/retry_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

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

TEST(RetryPlan, TakesAlongWhatHangsTogetherTaskByTask) {
  // Task 0 of the last stage failed: so it is task 0 of the others, though they went as they
  // should.
  const std::vector<StageSpec> stages{stage(4), stage(4, {each(0, Condition::kFailure)}),
                                      stage(4, {each(1, Condition::kAny)})};
  EXPECT_EQ(runs(stages, {set({2}), set({0, 1, 3}), set({0})}),
            (Sets{set({0, 2}), set({0, 2}), set({0, 2})}));
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

// How the tasks of a job ended, by stage and position: `kNever` of those that are not in it.
enum class End : std::uint8_t { kNever, kWell, kBadly, kSkipped };
using Ends = std::vector<std::vector<End>>;

constexpr std::uint64_t kTasks = 3;  // of each stage

bool is_met(const After& after, const Ends& ends, std::uint64_t position) {
  if (after.on == Condition::kAny) return true;
  bool well = true;
  for (std::uint64_t n = 0; n < kTasks; ++n) {
    const End end = ends[after.stage][n];
    if (after.element_wise ? n == position : end != End::kNever) well = well && end == End::kWell;
  }
  return well == (after.on == Condition::kSuccess);
}

bool can_run(const StageSpec& spec, const Ends& ends, std::uint64_t position) {
  return std::all_of(spec.after.begin(), spec.after.end(),
                     [&](const After& after) { return is_met(after, ends, position); });
}

// Runs what `runs` has of the stages, with luck.
Ends end_of(const std::vector<StageSpec>& stages, const Sets& runs, Random& random) {
  Ends ends(stages.size(), std::vector<End>(kTasks));
  for (std::size_t id = 0; id < stages.size(); ++id)
    for (std::uint64_t n = 0; n < kTasks; ++n) {
      if (!runs[id].contains(n)) continue;
      ends[id][n] = !can_run(stages[id], ends, n) ? End::kSkipped
                    : random.chance(60)           ? End::kWell
                                                  : End::kBadly;
    }
  return ends;
}

std::vector<StageSpec> random_stages(Random& random) {
  std::vector<StageSpec> stages;
  for (std::uint64_t left = 2 + random.below(4); left > 0; --left) {
    StageSpec& made = stages.emplace_back(stage(kTasks));
    for (StageId of = 0; of + 1u < stages.size(); ++of)
      if (random.chance(50))
        made.after.push_back({{}, random.chance(50), static_cast<Condition>(random.below(3)), of});
  }
  return stages;
}

Sets with_end(const Ends& ends, const std::vector<End>& wanted) {
  Sets found(ends.size());
  for (std::size_t id = 0; id < ends.size(); ++id)
    for (std::uint64_t n = 0; n < kTasks; ++n)
      if (std::find(wanted.begin(), wanted.end(), ends[id][n]) != wanted.end())
        found[id].insert({n, n});
  return found;
}

// The stages of a retry, with the numbers that they had.
std::vector<StageSpec> stages_of(const std::vector<StageSpec>& stages, const RetryPlan& plan,
                                 const Sets& bad) {
  std::vector<StageSpec> left(stages.size());
  for (std::size_t id = 0; id < stages.size(); ++id)
    for (const After& after : stages[id].after) {
      const auto one = left_of(after, plan, bad);
      if (!one || plan.runs[id].empty()) continue;
      left[id].after.push_back(*one);
      if (one->element_wise) {
        EXPECT_EQ(plan.runs[id], plan.runs[one->stage]);
      }
    }
  return left;
}

Ends joined(const Ends& before, const Ends& again) {
  Ends both = before;
  for (std::size_t id = 0; id < both.size(); ++id)
    for (std::uint64_t n = 0; n < kTasks; ++n)
      if (again[id][n] != End::kNever) both[id][n] = again[id][n];
  return both;
}

TEST(RetryPlan, MakesAJobThatEndsAsIfAllOfItHadRunAtOnce) {
  const Sets all(5, first(kTasks));
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const std::vector<StageSpec> stages = random_stages(random);
    const Ends before = end_of(stages, all, random);
    const Sets bad = with_end(before, {End::kBadly, End::kSkipped});
    const Result<RetryPlan> plan = plan_retry(stages, bad);
    ASSERT_TRUE(plan.ok()) << plan.refusal().message;
    const Ends again = end_of(stages_of(stages, plan.value(), bad), plan.value().runs, random);
    const Ends both = joined(before, again);
    for (std::size_t id = 0; id < stages.size(); ++id) {
      for (std::uint64_t n = 0; n < kTasks; ++n)
        EXPECT_EQ(can_run(stages[id], both, n), both[id][n] != End::kSkipped) << id << '.' << n;
      IntervalSet missed = with_end(before, {End::kBadly})[id];
      missed.erase_all(plan.value().runs[id]);
      EXPECT_TRUE(missed.empty()) << id;
    }
  }
}

}  // namespace
}  // namespace leat::wire
