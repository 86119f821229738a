// decide_waits.cc - what jobs wait for on purpose: each other, a delay, a person.

#include <algorithm>
#include <map>
#include <vector>

#include "scheduler/core/decide_parts.h"

namespace leat::core {
namespace {

std::string text_of(JobId job) {
  return "job " + std::to_string(job.value);
}

// The lowest of `from`, so few that one fact can name them.
IntervalSet some_of(const IntervalSet& from) {
  IntervalSet some;
  std::uint64_t left = kTasksPerWait;
  for (const Interval& part : from.intervals()) {
    if (left == 0 || some.interval_count() >= kIntervalsPerWait) break;
    const std::uint64_t size = std::min(left, part.size());
    some.insert({part.first, part.first + size - 1});
    left -= size;
  }
  return some;
}

// ---- what a new job comes after -----------------------------------------------------------

std::optional<Refusal> check_indices(const After& after, const IndexList& theirs,
                                     const IndexList& ours) {
  if (theirs == ours) return std::nullopt;
  return Refusal{Reason::kConflict, "task by task after " + text_of(after.job) +
                                        ": it has the tasks " + theirs.to_string().substr(0, 80) +
                                        ", the new job " + ours.to_string().substr(0, 80) +
                                        ": they must be the same"};
}

// One that is over: met or dead as a whole, or with its dead tasks named in `dead`.
Result<AfterState> judge_past(const After& after, const PastJob& past, const StageSpec& stage,
                              IntervalSet& dead) {
  if (!after.element_wise) return fate_of(past.state, after.on);
  if (!past.indices)
    return Refusal{Reason::kConflict, "task by task after " + text_of(after.job) +
                                          ": it has ended, and what became of each of its tasks "
                                          "is not known any more: come after all of it"};
  if (auto refusal = check_indices(after, *past.indices, stage.indices)) return *refusal;
  if (after.on == Condition::kAny) return AfterState::kMet;
  const auto unsuccessful = stage.indices.positions_of(past.unsuccessful);
  if (!unsuccessful)
    return Refusal{Reason::kConflict, text_of(after.job) + ": its tasks do not add up"};
  IntervalSet gone = *unsuccessful;
  if (after.on == Condition::kFailure) {
    gone = IntervalSet(0, stage.indices.size() - 1);
    gone.erase_all(*unsuccessful);
  }
  dead.insert_all(gone);
  return AfterState::kMet;
}

Result<AfterState> judge_one(const State& state, const Submit& c, const After& after,
                             const StageSpec& stage, IntervalSet& dead) {
  if (!after.job) return AfterState::kOpen;  // a stage of its own
  if (after.job.value >= state.meta().next_job)
    return Refusal{Reason::kNotFound, "no " + text_of(after.job) +
                                          " to come after (a job cannot wait for itself or a "
                                          "later one); see: leat job list"};
  const Job* target = state.job(after.job);
  if (target != nullptr && target->active()) {
    if (const auto* known = state.dependants(after.job);
        known != nullptr && known->size() >= kDependantsMax)
      return Refusal{Reason::kOverloaded, std::to_string(kDependantsMax) + " jobs wait for " +
                                              text_of(after.job) + " already"};
    if (after.element_wise)
      if (auto refusal = check_indices(after, target->stages[0].spec->indices, stage.indices))
        return *refusal;
    return AfterState::kOpen;
  }
  const auto past = std::find_if(c.past.begin(), c.past.end(),
                                 [&after](const PastJob& p) { return p.job == after.job; });
  if (past != c.past.end()) return judge_past(after, *past, stage, dead);
  if (target != nullptr && !after.element_wise) return fate_of(target->state, after.on);
  if (target != nullptr)
    return Refusal{Reason::kOverloaded, text_of(after.job) + " has just ended: try again"};
  return Refusal{Reason::kNotFound, "no " + text_of(after.job) +
                                        " to come after is known any more; see: leat job list"};
}

}  // namespace

Result<std::vector<AfterState>> judge_after(const State& state, const Submit& c, JobId job,
                                            Facts& dead) {
  std::vector<AfterState> states;
  for (std::size_t n = 0; n < c.spec.stages.size(); ++n) {
    const StageSpec& stage = c.spec.stages[n];
    IntervalSet skipped;
    for (const After& after : stage.after) {
      IntervalSet gone;
      const Result<AfterState> found = judge_one(state, c, after, stage, gone);
      if (!found.ok()) return found.refusal();
      states.push_back(found.value());
      gone.erase_all(skipped);
      if (gone.empty()) continue;
      skipped.insert_all(gone);
      dead.emplace_back(TasksSetAside{{job, static_cast<StageId>(n)},
                                      stage.indices.select(gone),
                                      TaskState::kSkipped,
                                      SkipReason::kDependency,
                                      after.job});
    }
  }
  return states;
}

bool set_doomed_aside(const State& state, Facts& out) {
  if (state.doomed().empty()) return false;
  const StageRef ref = *state.doomed().begin();
  const Stage& stage = *state.stage(ref);
  for (std::size_t k = 0; k < stage.after.size(); ++k) {
    if (stage.after[k].dead.empty()) continue;
    const bool whole = !stage.spec->after[k].element_wise;
    const IntervalSet& dead = stage.after[k].dead;
    // A whole stage is few intervals, and one word says it.
    const bool few = whole && dead.interval_count() <= kIntervalsPerWait;
    out.emplace_back(TasksSetAside{ref, stage.spec->indices.select(few ? dead : some_of(dead)),
                                   TaskState::kSkipped, SkipReason::kDependency,
                                   stage.spec->after[k].job});
    return true;
  }
  return false;
}

IntervalSet waiting_tasks(const Stage& stage, Interval where) {
  IntervalSet waiting;
  stage.cells.for_each(where, [&waiting](Interval at, const TaskCell& cell) {
    if (cell.state == TaskState::kWaiting || cell.state == TaskState::kBlocked ||
        cell.state == TaskState::kDelayed)
      waiting.insert(at);
  });
  return waiting;
}

void set_aside(const Stage& stage, const TasksSetAside& how, const IntervalSet& positions,
               Facts& out) {
  const std::vector<Interval> parts = positions.intervals();
  for (std::size_t at = 0; at < parts.size(); at += kIntervalsPerWait) {
    IntervalSet piece;
    const std::size_t end = std::min(parts.size(), at + kIntervalsPerWait);
    for (std::size_t n = at; n < end; ++n) piece.insert(parts[n]);
    TasksSetAside fact = how;
    fact.indices = stage.spec->indices.select(piece);
    out.emplace_back(std::move(fact));
  }
}

// ---- time ---------------------------------------------------------------------------------

namespace {

// One fact for a stage, whatever the number of its delays that are over.
void wake_delayed(const State& state, Time now, Facts& out) {
  std::map<StageRef, IntervalSet> over;
  std::size_t looked = 0;
  for (const auto& [due, ref] : state.due()) {
    if (due > now || ++looked > kDelaysPerTick) break;
    over[ref].insert_all(some_of(state.stage(ref)->delayed.at(due)));
  }
  for (const auto& [ref, positions] : over)
    out.emplace_back(TasksDue{ref, state.stage(ref)->spec->indices.select(some_of(positions))});
}

}  // namespace

void tick_jobs(const State& state, Time now, Facts& out) {
  wake_delayed(state, now, out);
  const std::size_t before = out.size();
  for (const auto& [by, id] : state.start_by()) {
    if (by > now || out.size() - before >= kFactsPerTick) break;
    const Job& job = *state.job(id);
    // Reduces first, or setting their inputs aside would already have skipped them.
    for (std::size_t n = job.stages.size(); n-- > 0;)
      set_aside(
          job.stages[n],
          {{id, static_cast<StageId>(n)}, {}, TaskState::kSkipped, SkipReason::kStartWithin, {}},
          waiting_tasks(job.stages[n], {0, job.stages[n].cells.size() - 1}), out);
  }
}

bool jobs_want_tick(const State& state, Time now) {
  const bool due = !state.due().empty() && state.due().begin()->first <= now;
  return due || (!state.start_by().empty() && state.start_by().begin()->first <= now);
}

// ---- wishes -------------------------------------------------------------------------------

namespace {

// The job, if it is one that may still be changed.
Result<const Job*> find_active(const State& state, JobId id) {
  const Job* job = state.job(id);
  if (job == nullptr)
    return Refusal{Reason::kNotFound, "no " + text_of(id) + "; see: leat job list"};
  if (!job->active())
    return Refusal{Reason::kConflict, text_of(id) + " has already ended: " + name_of(job->state)};
  return job;
}

}  // namespace

Result<Answer> decide_on(const State& state, const HoldJob& c, Time, Facts& out) {
  const Result<const Job*> job = find_active(state, c.job);
  if (!job.ok()) return job.refusal();
  if (job.value()->state == JobState::kHeld) return Answer{Done{}};
  if (job.value()->state == JobState::kCancelling)
    return Refusal{Reason::kConflict, text_of(c.job) + " is being cancelled"};
  out.emplace_back(JobHeld{c.job, c.actor});
  return Answer{Done{}};
}

Result<Answer> decide_on(const State& state, const ReleaseJob& c, Time, Facts& out) {
  const Result<const Job*> job = find_active(state, c.job);
  if (!job.ok()) return job.refusal();
  if (job.value()->state == JobState::kHeld) out.emplace_back(JobReleased{c.job, c.actor});
  return Answer{Done{}};
}

Result<Answer> decide_on(const State& state, const SetJob& c, Time, Facts& out) {
  const Result<const Job*> found = find_active(state, c.job);
  if (!found.ok()) return found.refusal();
  const Job& job = *found.value();
  const std::string name = c.name.value_or(job.name);
  const std::int32_t priority = c.priority.value_or(job.priority);
  if (auto refusal = check_job_name(name)) return *refusal;
  if (name != job.name || priority != job.priority)
    out.emplace_back(JobSet{c.job, c.actor, priority, name});
  return Answer{Done{}};
}

}  // namespace leat::core
