#pragma once

// decide_parts.h - decide(), one part per kind of command. Only decide*.cc include this.

#include "scheduler/core/decide.h"

namespace leat::core {

Result<Answer> decide_on(const State& state, const StartHead& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const SetPool& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const RequestNode& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const EnrolNode& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const JoinNode& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const LoseNode& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const ProveGone& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const Submit& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const Cancel& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const ReportEnded& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const Tick& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const HoldJob& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const ReleaseJob& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const SetJob& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const ChangePool& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const DeletePool& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const PausePool& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const ProbePool& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const RequestNodes& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const FailNode& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const DrainNode& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const ResumeNode& c, Time now, Facts& out);
Result<Answer> decide_on(const State& state, const RemoveNode& c, Time now, Facts& out);

// What time does to jobs, so many at most: delays end, and patience with jobs that have not
// started.
void tick_jobs(const State& state, Time now, Facts& out);
bool jobs_want_tick(const State& state, Time now);

// What a new job comes after: refused if it never existed or does not fit. Otherwise the states of
// its dependencies; what of its first stages is dead already is appended to `dead`, for `job`.
Result<std::vector<AfterState>> judge_after(const State& state, const Submit& c, JobId job,
                                            Facts& dead);

// The next fact that sets aside tasks which can never run. False if there are none.
bool set_doomed_aside(const State& state, Facts& out);

// Sets `positions` of how.stage aside: as many facts as it takes for each to be readable.
void set_aside(const Stage& stage, const TasksSetAside& how, const IntervalSet& positions,
               Facts& out);

// Tasks of a stage that wait for anything, within `where`.
IntervalSet waiting_tasks(const Stage& stage, Interval where);

// The runs of `set` that really are on `node` in this attempt, and what each of them comes to:
// appended as RunsEnded and RunsRequeued facts. `seen` grows by the positions dealt with.
void end_runs(const State& state, const EndedSet& set, NodeRef node, IntervalSet& seen, Facts& out);

// All runs of one stage on a node that is given up.
void lose_runs(const State& state, const Node& node, StageRef ref, Facts& out);

// Held outputs that are on `node`, or on nodes that are no more, and that some reduce step still
// has to read.
void lose_outputs(const State& state, NodeRef node, Facts& out);

// Whether nodes that the pool is given could meet these, as far as its definition tells.
bool could_have(const PoolSpec& pool, const std::vector<Requirement>& labels);
// The same, and as far as those that have joined tell.
bool could_have(const Pool& pool, const std::vector<Requirement>& labels);

// What a task of `stage` that starts now wants of a node of `pool`. Borrows from both specs.
Want want_of(const JobSpec& job, const StageSpec& stage, const Pool& pool, Time now);

// Calls visit(pool) for the pools a job may use, in its order of preference, while it returns true.
template <typename Visit>
void visit_pools(const State& state, const JobSpec& spec, Visit visit) {
  if (spec.pools.empty()) {
    for (const auto& [id, pool] : state.pools())
      if (!pool.spec.for_job && !visit(pool)) return;
  }
  for (const std::string& name : spec.pools) {
    const Pool* pool = state.pool_named(name);
    if (pool != nullptr && !visit(*pool)) return;
  }
}
// Of an active job: only the pool of its own, if it has one.
template <typename Visit>
void visit_pools(const State& state, const Job& job, Visit visit) {
  if (const Pool* own = state.own_pool(job.id)) {
    visit(*own);
  } else {
    visit_pools(state, *job.spec, visit);
  }
}
std::vector<const Pool*> pools_of(const State& state, const JobSpec& spec);
std::vector<const Pool*> pools_of(const State& state, const Job& job);

// The lease of nodes that are away, for one Tick.
void keep_leases(const State& state, Time now, Facts& out);

}  // namespace leat::core
