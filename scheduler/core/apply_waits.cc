// apply_waits.cc - why tasks wait on purpose, folded in: for other jobs, for a delay, for a person.
//
// A stage may come after jobs, and after earlier stages of its own. While such a job is active,
// what its tasks have come to is looked up in it; when it has ended, one word about it stays
// (AfterState). That is so of a stage, too, if all of it is waited for; task by task it is looked
// up for as long as the job is there. Dead tasks are only marked here: the Placer sets them aside
// by facts of their own, before the job they waited for may end, so that a chain of jobs, or of
// stages, falls one link per fact.

#include <algorithm>

#include "base/check.h"
#include "scheduler/core/state.h"

namespace leat::core {
namespace {

IntervalSet blocked_in(const Stage& stage, Interval where) {
  IntervalSet blocked;
  stage.cells.for_each(where, [&blocked](Interval part, const TaskCell& cell) {
    if (cell.state == TaskState::kBlocked) blocked.insert(part);
  });
  return blocked;
}

// The part of `of` at which the tasks of `target` have come to `fate`.
IntervalSet with_fate(const Stage& target, Condition on, AfterState fate, const IntervalSet& of) {
  IntervalSet found;
  of.for_each([&](Interval where) {
    target.cells.for_each(where, [&](Interval part, const TaskCell& cell) {
      if (fate_of(cell.state, on) == fate) found.insert(part);
    });
  });
  return found;
}

Interval all_of(const Stage& stage) {
  return {0, stage.cells.size() - 1};
}

AfterState fate_of(bool success, Condition on) {
  if (on == Condition::kAny) return AfterState::kMet;
  return success == (on == Condition::kSuccess) ? AfterState::kMet : AfterState::kDead;
}

}  // namespace

AfterState fate_of(TaskState state, Condition on) {
  const bool success = state == TaskState::kHeld || state == TaskState::kSucceeded;
  if (!success && !is_terminal(state)) return AfterState::kOpen;
  return fate_of(success, on);
}

AfterState fate_of(JobState state, Condition on) {
  if (!is_terminal(state)) return AfterState::kOpen;
  return fate_of(state == JobState::kSucceeded, on);
}

AfterState fate_of(const Stage& stage, Condition on) {
  if (open_tasks(stage) > 0) return AfterState::kOpen;
  const auto count = [&stage](TaskState s) { return stage.counts[static_cast<std::size_t>(s)]; };
  const std::uint64_t well = count(TaskState::kHeld) + count(TaskState::kSucceeded);
  return fate_of(well == stage.cells.size(), on);
}

IndexList unsuccessful_tasks(const Stage& stage) {
  IntervalSet found;
  stage.cells.for_each([&found](Interval where, const TaskCell& cell) {
    if (is_terminal(cell.state) && cell.state != TaskState::kSucceeded) found.insert(where);
  });
  return stage.spec->indices.select(found);
}

PastTasks past_tasks(const Job& job) {
  PastTasks past;
  IndexList unsuccessful = unsuccessful_tasks(job.stages[0]);
  past.known = unsuccessful.strides().size() <= PastTasks::kStridesMax &&
               job.stages[0].spec->indices.strides().size() <= PastTasks::kStridesMax;
  if (past.known) {
    past.indices = job.stages[0].spec->indices;
    past.unsuccessful = std::move(unsuccessful);
  }
  bool whole = past.known && past.unsuccessful.empty();
  std::size_t strides = 0;
  for (std::size_t n = 1; n < job.stages.size() && strides <= PastTasks::kStridesMax; ++n) {
    const IndexList& more = past.later.emplace_back(unsuccessful_tasks(job.stages[n]));
    strides += more.strides().size();
    whole = whole && more.empty();
  }
  if (strides > PastTasks::kStridesMax) past.later.clear();
  if (!whole) past.encoded = job.spec->encoded;
  return past;
}

const std::set<StageRef>* State::dependants(JobId job) const {
  const auto at = dependants_.find(job);
  return at == dependants_.end() ? nullptr : &at->second;
}

const std::set<StageRef>* State::followers(JobId job) const {
  const auto at = followers_.find(job);
  return at == followers_.end() ? nullptr : &at->second;
}

// A new job: `states` are those of its dependencies, all stages in a row.
void State::link(Job& job, const std::vector<AfterState>& states) {
  std::size_t next = 0;
  for (Stage& stage : job.stages)
    for (Dependency& dependency : stage.after) {
      LEAT_CHECK(next < states.size());
      dependency.state = states[next++];
    }
  LEAT_CHECK(next == states.size());
  relink(job);
  for (std::size_t n = 0; n < job.stages.size(); ++n)
    if (!job.stages[n].after.empty())
      unblock_met(job, static_cast<StageId>(n), all_of(job.stages[n]));
}

// What is derived from the states of dependencies.
void State::relink(Job& job) {
  for (std::size_t n = 0; n < job.stages.size(); ++n) {
    const StageRef ref{job.id, static_cast<StageId>(n)};
    const Stage& stage = job.stages[n];
    for (std::size_t k = 0; k < stage.after.size(); ++k) {
      const After& after = stage.spec->after[k];
      if (!after.job || stage.after[k].state != AfterState::kOpen) continue;
      dependants_[after.job].insert(ref);
      if (after.element_wise) followers_[after.job].insert(ref);
    }
    find_dead(job, ref.stage);
  }
}

// The job is over and waits for nobody.
void State::unlink(const Job& job) {
  for (std::size_t n = 0; n < job.stages.size(); ++n) {
    const StageRef ref{job.id, static_cast<StageId>(n)};
    for (const After& after : job.stages[n].spec->after) {
      for (auto* index : {&dependants_, &followers_}) {
        const auto at = index->find(after.job);
        if (at == index->end()) continue;
        at->second.erase(ref);
        if (at->second.empty()) index->erase(at);
      }
    }
    doomed_.erase(ref);
  }
}

const Stage& State::target_of(const Job& job, const After& after) {
  return after.job ? stage_of({after.job, 0}) : job.stages[after.stage];
}

void State::find_dead(const Job& job, StageId id) {
  Stage& stage = stage_of({job.id, id});
  if (stage.after.empty()) return;
  const IntervalSet blocked = blocked_in(stage, all_of(stage));
  for (std::size_t k = 0; k < stage.after.size(); ++k) {
    Dependency& dependency = stage.after[k];
    const After& after = stage.spec->after[k];
    dependency.dead.clear();
    if (dependency.state == AfterState::kDead) dependency.dead = blocked;
    if (dependency.state == AfterState::kOpen && after.element_wise)
      dependency.dead = with_fate(target_of(job, after), after.on, AfterState::kDead, blocked);
  }
  refresh_doomed(job, id);
}

void State::refresh_doomed(const Job& job, StageId id) {
  const Stage& stage = job.stages[id];
  const bool doomed = std::any_of(stage.after.begin(), stage.after.end(),
                                  [](const Dependency& d) { return !d.dead.empty(); });
  if (doomed) {
    doomed_.insert({job.id, id});
  } else {
    doomed_.erase({job.id, id});
  }
}

// Blocked tasks of `where` for which everything has come about can run.
void State::unblock_met(Job& job, StageId id, Interval where) {
  const Stage& stage = job.stages[id];
  IntervalSet ready = blocked_in(stage, where);
  for (std::size_t k = 0; k < stage.after.size() && !ready.empty(); ++k) {
    if (stage.after[k].state == AfterState::kMet) continue;
    const After& after = stage.spec->after[k];
    if (stage.after[k].state == AfterState::kDead || !after.element_wise) return;
    ready = with_fate(target_of(job, after), after.on, AfterState::kMet, ready);
  }
  for (const Interval& part : ready.intervals())
    step_tasks(job, id, part, TaskStep::kUnblock, [](TaskCell&) {});
  refresh_ready(job, id);
}

// Tasks of `target` have come to an end, or hold their output.
void State::tell_dependants(StageRef target, Interval where, TaskState now) {
  for (const StageId waiter : stage_of(target).awaited_by)
    tell({target.job, waiter}, {{}, true, {}, target.stage}, where, now);
  const auto found = followers_.find(target.job);
  if (target.stage != 0 || found == followers_.end()) return;
  for (const StageRef& ref : found->second) tell(ref, {target.job, true, {}, 0}, where, now);
}

// `target` stands for itself under any condition.
void State::tell(StageRef waiter, const After& target, Interval where, TaskState now) {
  Job& job = job_of(waiter.job);
  Stage& stage = job.stages[waiter.stage];
  bool met = false;
  for (std::size_t k = 0; k < stage.after.size(); ++k) {
    const After& after = stage.spec->after[k];
    if (after.job != target.job || after.stage != target.stage || !after.element_wise) continue;
    const AfterState fate = fate_of(now, after.on);
    met = met || fate == AfterState::kMet;
    if (fate == AfterState::kDead) stage.after[k].dead.insert_all(blocked_in(stage, where));
  }
  refresh_doomed(job, waiter.stage);
  if (met) unblock_met(job, waiter.stage, where);
}

// From now on it is known what has become of one thing that the stage comes after.
void State::settle(Job& job, StageId id, std::size_t dependency, AfterState state) {
  Stage& stage = job.stages[id];
  Dependency& settled = stage.after[dependency];
  LEAT_CHECK(settled.dead.empty());
  settled.state = state;
  if (state == AfterState::kDead) settled.dead = blocked_in(stage, all_of(stage));
}

// The last task of stage `id` has come to an end, or holds its output. Should that be lost and made
// again, nothing changes for those who wait for all of the stage: what has started goes on.
void State::end_stage(Job& job, StageId id) {
  for (const StageId waiter : job.stages[id].awaited_by) {
    const Stage& stage = job.stages[waiter];
    for (std::size_t k = 0; k < stage.after.size(); ++k) {
      const After& after = stage.spec->after[k];
      if (after.job || after.stage != id || after.element_wise) continue;
      if (stage.after[k].state == AfterState::kOpen)
        settle(job, waiter, k, fate_of(job.stages[id], after.on));
    }
    refresh_doomed(job, waiter);
    unblock_met(job, waiter, all_of(stage));
  }
}

// `target` is over. Tasks that died with one of its own were set aside before, so those that still
// wait for it task by task have got what they waited for.
void State::end_dependencies(JobId target, JobState end) {
  followers_.erase(target);
  const auto found = dependants_.extract(target);
  if (found.empty()) return;
  for (const StageRef& ref : found.mapped()) {
    Job& job = job_of(ref.job);
    const Stage& stage = job.stages[ref.stage];
    for (std::size_t k = 0; k < stage.after.size(); ++k) {
      const After& after = stage.spec->after[k];
      if (after.job == target && stage.after[k].state == AfterState::kOpen)
        settle(job, ref.stage, k, after.element_wise ? AfterState::kMet : fate_of(end, after.on));
    }
    refresh_doomed(job, ref.stage);
    unblock_met(job, ref.stage, all_of(stage));
  }
}

// Keeps the table of delays. `delayed`: the tasks of `where` have just been delayed, or are about
// to be so no longer.
void State::delay(Job& job, StageId id, Interval where, bool delayed) {
  Stage& stage = job.stages[id];
  stage.cells.for_each(where, [&](Interval part, const TaskCell& cell) {
    if (cell.state != TaskState::kDelayed) return;
    IntervalSet& positions = stage.delayed[cell.due];
    const std::pair<Time, StageRef> entry{cell.due, {job.id, id}};
    if (delayed) {
      positions.insert(part);
      due_.insert(entry);
      return;
    }
    positions.erase(part);
    if (!positions.empty()) return;
    stage.delayed.erase(cell.due);
    due_.erase(entry);
  });
}

void State::on(const TasksDue& f, Time) {
  Job& job = job_of(f.stage.job);
  const auto positions = stage_of(f.stage).spec->indices.positions_of(f.indices);
  LEAT_CHECK(positions.has_value());
  positions->for_each([&](Interval where) {
    step_tasks(job, f.stage.stage, where, TaskStep::kWake, [](TaskCell& cell) { cell.due = {}; });
    block_incomplete(job, f.stage.stage, where);
  });
  refresh_ready(job, f.stage.stage);
}

void State::on(const JobHeld& f, Time at) {
  Job& job = job_of(f.job);
  step_job(job, JobStep::kHold);
  job.held_by = f.actor;
  job.held_since = at;
  for (std::size_t n = 0; n < job.stages.size(); ++n) refresh_ready(job, static_cast<StageId>(n));
}

void State::on(const JobReleased& f, Time) {
  Job& job = job_of(f.job);
  step_job(job, job.started == kNever ? JobStep::kRelease : JobStep::kResume);
  job.held_by = {};
  job.held_since = {};
  for (std::size_t n = 0; n < job.stages.size(); ++n) refresh_ready(job, static_cast<StageId>(n));
}

void State::on(const JobSet& f, Time) {
  Job& job = job_of(f.job);
  for (std::size_t n = 0; n < job.stages.size(); ++n)
    ready_.erase(ReadyQueue::entry(job.priority, {job.id, static_cast<StageId>(n)}));
  job.priority = f.priority;
  job.name = f.name;
  for (std::size_t n = 0; n < job.stages.size(); ++n) refresh_ready(job, static_cast<StageId>(n));
}

void State::on(const WishGranted& f, Time at) {
  granted_.add({f.kind, f.key, at, f.answer});
}

}  // namespace leat::core
