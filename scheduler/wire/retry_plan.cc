#include "scheduler/wire/retry_plan.h"

#include <string>
#include <utility>

namespace leat::wire {
namespace {

using core::After;
using core::Condition;
using core::StageSpec;

// Every pass takes what it finds one stage further, whichever way.
constexpr std::size_t kPassesMax = 4 * core::kStagesPerJobMax;

IntervalSet all_of(const StageSpec& stage) {
  return {0, stage.indices.size() - 1};
}

IntervalSet without(IntervalSet from, const IntervalSet& what) {
  from.erase_all(what);
  return from;
}

// What runs again only grows, and with it shrinks what can not.
class Planner {
 public:
  Planner(const std::vector<StageSpec>& stages, const std::vector<IntervalSet>& unsuccessful)
      : stages_(stages), bad_(unsuccessful), runs_(stages.size()), looked_at_(stages.size()) {}

  Result<RetryPlan> plan() {
    bool grown = true;
    for (std::size_t pass = 0; grown && pass < kPassesMax; ++pass) {
      grown = false;
      for (std::size_t id = 0; id < stages_.size(); ++id) grown = grow(id) || grown;
      for (std::size_t id = stages_.size(); id-- > 0;) grown = grow(id) || grown;
    }
    if (grown) return refused("its stages hang together too closely");
    RetryPlan plan;
    for (std::size_t id = 0; id < stages_.size(); ++id) {
      if (!runs_[id].intersection(dead_of(id)).empty())
        return refused("stage " + std::to_string(id) +
                       " would run tasks again that were rightly skipped");
      plan.repeated.push_back(without(runs_[id], bad_[id]));
    }
    plan.runs = std::move(runs_);
    return plan;
  }

 private:
  static Refusal refused(const std::string& why) {
    return {Reason::kConflict, why + ": submit it again"};
  }

  // What did not succeed in `target` and does not run again.
  IntervalSet still_bad(StageId target) const { return without(bad_[target], runs_[target]); }

  // What succeeded there and does not.
  IntervalSet still_good(StageId target) const {
    return without(without(all_of(stages_[target]), bad_[target]), runs_[target]);
  }

  // Positions of a stage that can not run, for of what they come after, something that does not run
  // again has not ended as they need it.
  IntervalSet dead_of(std::size_t id) const {
    const StageSpec& stage = stages_[id];
    IntervalSet dead;
    if (stage.reduces && !still_bad(stage.reduces->stage).empty()) return all_of(stage);
    for (const After& after : stage.after) {
      if (after.job || after.on == Condition::kAny) continue;
      const bool on_success = after.on == Condition::kSuccess;
      if (after.element_wise)
        dead.insert_all(on_success ? still_bad(after.stage) : still_good(after.stage));
      else if (on_success ? !still_bad(after.stage).empty()
                          : runs_[after.stage].empty() && bad_[after.stage].empty())
        return all_of(stage);
    }
    return dead;
  }

  // What wants to run again, whether it can or not.
  IntervalSet wanted_in(std::size_t id) const {
    const StageSpec& stage = stages_[id];
    IntervalSet wanted = bad_[id];
    if (stage.reduces && !runs_[stage.reduces->stage].empty()) return all_of(stage);
    for (const After& after : stage.after) {
      if (after.job) continue;
      if (!after.element_wise && !runs_[after.stage].empty()) return all_of(stage);
      if (after.element_wise) wanted.insert_all(runs_[after.stage]);
    }
    return wanted;
  }

  // What must run again because of others that do.
  IntervalSet forced_in(std::size_t id) const {
    const StageSpec& stage = stages_[id];
    IntervalSet forced;
    // A reduce step is all of its tree, and reads all of what it reads.
    if (stage.reduces && !runs_[id].empty()) return all_of(stage);
    for (std::size_t other = id + 1; other < stages_.size(); ++other) {
      const StageSpec& later = stages_[other];
      if (later.reduces && later.reduces->stage == id && !runs_[other].empty())
        return all_of(stage);
      for (const After& after : later.after)
        if (!after.job && after.element_wise && after.stage == id && !runs_[id].empty())
          forced.insert_all(runs_[other]);
    }
    if (runs_[id].empty()) return forced;
    for (const After& after : stage.after)
      if (!after.job && after.element_wise) forced.insert_all(runs_[after.stage]);
    return forced;
  }

  // Not looked at twice if nothing has grown between: thousands of intervals are slow.
  bool grow(std::size_t id) {
    if (std::exchange(looked_at_[id], growths_) == growths_) return false;
    const std::uint64_t before = runs_[id].size();
    runs_[id].insert_all(without(wanted_in(id), dead_of(id)));
    runs_[id].insert_all(forced_in(id));
    if (runs_[id].size() == before) return false;
    ++growths_;
    return true;
  }

  const std::vector<StageSpec>& stages_;
  const std::vector<IntervalSet>& bad_;
  std::vector<IntervalSet> runs_;
  std::size_t growths_ = 1;
  std::vector<std::size_t> looked_at_;  // by stage, after how many
};

}  // namespace

Result<RetryPlan> plan_retry(const std::vector<StageSpec>& stages,
                             const std::vector<IntervalSet>& unsuccessful) {
  return Planner(stages, unsuccessful).plan();
}

std::optional<After> left_of(const After& after, const RetryPlan& plan,
                             const std::vector<IntervalSet>& unsuccessful) {
  if (after.job || plan.runs[after.stage].empty()) return std::nullopt;
  After left = after;
  const IntervalSet failed = without(unsuccessful[after.stage], plan.runs[after.stage]);
  // That some of it failed is so already, whatever becomes of the rest.
  if (!after.element_wise && after.on == Condition::kFailure && !failed.empty())
    left.on = Condition::kAny;
  return left;
}

}  // namespace leat::wire
