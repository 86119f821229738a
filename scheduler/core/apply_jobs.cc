// apply_jobs.cc - facts about jobs and their tasks, folded in.

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "scheduler/core/loss.h"
#include "scheduler/core/state.h"

namespace leat::core {
namespace {

// Runs whose durations are remembered one by one before older ones count half.
constexpr std::uint64_t kRunsRemembered = 4096;

// Delays end together that end within such a span: they are rounded up to it.
constexpr Duration kDueGrain{100'000};

// A task that is over keeps nothing but its state, so that a finished range is one entry.
void forget_all_but_state(TaskCell& cell) {
  cell = TaskCell::bare(cell.state);
}

TaskStep step_to(TaskState state) {
  switch (state) {
    case TaskState::kHeld:
      return TaskStep::kHold;
    case TaskState::kSucceeded:
      return TaskStep::kSucceed;
    case TaskState::kFailed:
      return TaskStep::kFail;
    case TaskState::kCancelled:
      return TaskStep::kCancel;
    case TaskState::kQuarantined:
      return TaskStep::kQuarantine;
    case TaskState::kSkipped:
      return TaskStep::kSkip;
    default:
      break;
  }
  LEAT_CHECK(!"a run ends in one of these states");
  return TaskStep::kFail;
}

IntervalSet positions(const Stage& stage, const IndexList& indices) {
  auto found = stage.spec->indices.positions_of(indices);
  LEAT_CHECK(found.has_value());
  return std::move(*found);
}

// So that what fails at about the same time is one entry.
Time round_up(Time time) {
  const std::int64_t grain = kDueGrain.count();
  return Time{Duration((time.us() + grain - 1) / grain * grain)};
}

}  // namespace

Job& State::job_of(JobId id) {
  const auto at = jobs_.find(id);
  LEAT_CHECK(at != jobs_.end());
  return at->second;
}

Stage& State::stage_of(StageRef ref) {
  Job& job = job_of(ref.job);
  LEAT_CHECK(ref.stage < job.stages.size());
  return job.stages[ref.stage];
}

void State::step_job(Job& job, JobStep step) {
  const auto to = next(kJobTransitions, job.state, step);
  LEAT_CHECK(to.has_value());
  job.state = *to;
}

void State::step_tasks(Job& job, StageId id, Interval where, TaskStep step,
                       const std::function<void(TaskCell&)>& change) {
  Stage& stage = job.stages[id];
  const bool followed = !stage.awaited_by.empty() || (id == 0 && followers_.contains(job.id));
  std::vector<std::pair<Interval, TaskState>> ends;
  if (!stage.delayed.empty()) delay(job, id, where, false);
  stage.cells.change(where, [&](Interval part, TaskCell& cell) {
    const TaskState from = cell.state;
    const auto to = next(kTaskTransitions, from, step);
    LEAT_CHECK(to.has_value());
    if (followed && (is_done(*to) || is_terminal(*to))) ends.emplace_back(part, *to);
    if (from == TaskState::kBlocked)
      for (Dependency& dependency : stage.after) dependency.dead.erase(part);
    stage.counts[static_cast<std::size_t>(from)] -= part.size();
    stage.counts[static_cast<std::size_t>(*to)] += part.size();
    if (from == TaskState::kWaiting) stage.waiting.erase(part);
    if (*to == TaskState::kWaiting) stage.waiting.insert(part);
    if (stage.reduced_by && is_done(from) && !is_done(*to)) stage.done.erase(part);
    if (stage.reduced_by && is_done(*to) && !is_done(from)) stage.done.insert(part);
    cell.state = *to;
    change(cell);
  });
  if (step == TaskStep::kDelay) delay(job, id, where, true);
  if (!stage.after.empty()) refresh_doomed(job, id);
  for (const auto& [part, to] : ends) tell_dependants({job.id, id}, part, to);
  if (!ends.empty() && open_tasks(stage) == 0) end_stage(job, id);
}

void State::refresh_ready(const Job& job, StageId id) {
  const ReadyQueue::Entry entry = ReadyQueue::entry(job.priority, {job.id, id});
  if (job.active() && job.state != JobState::kHeld && !job.stages[id].waiting.empty()) {
    ready_.insert(entry);
  } else {
    ready_.erase(entry);
  }
}

void State::note_end(Job& job) {
  if (std::all_of(job.stages.begin(), job.stages.end(),
                  [](const Stage& stage) { return open_tasks(stage) == 0; }))
    finished_.insert(job.id);
}

void State::note_runs(Stage& stage, const RunColumns& columns, std::size_t count) {
  for (std::size_t n = 0; n < count; ++n) {
    const std::int64_t us = columns.duration_us.at(n);
    stage.ended_us += static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0));
  }
  stage.ended_runs += count;
  while (stage.ended_runs > kRunsRemembered) {
    stage.ended_runs /= 2;
    stage.ended_us /= 2;
  }
}

void State::release_held(const Stage& stage, Interval where) {
  stage.cells.for_each(where, [this](Interval part, const TaskCell& cell) {
    if (cell.state != TaskState::kHeld) return;
    const auto at = nodes_.find(cell.node.id);
    if (at == nodes_.end() || at->second.ref != cell.node) return;
    LEAT_CHECK(at->second.held >= part.size());
    at->second.held -= part.size();
  });
}

void State::on(const JobAccepted& f, Time at) {
  LEAT_CHECK(f.job.value == meta_.next_job);
  ++meta_.next_job;
  Job job;
  job.id = f.job;
  job.key = f.key;
  job.name = f.spec->name;
  job.owner = f.owner;
  job.priority = f.spec->priority;
  job.submitted = at;
  job.retry_of = f.spec->retry_of;
  job.spec = f.spec;
  job.stages = make_stages(*f.spec);
  granted_.add({WishKind::kSubmit, f.key, at, f.job});
  Job& stored = jobs_[f.job] = std::move(job);
  for (std::size_t id = 0; id < stored.stages.size(); ++id)
    refresh_ready(stored, static_cast<StageId>(id));
  link(stored, f.after);
  const Duration start_within = f.spec->stages[0].start_within;
  if (start_within.count() > 0) start_by_.insert({at + start_within, f.job});
}

void State::note_start(Job& job, Time at) {
  if (job.state != JobState::kWaiting) return;
  step_job(job, JobStep::kStart);
  job.started = at;
  start_by_.erase({job.submitted + job.spec->stages[0].start_within, job.id});
}

void State::on(const RunsPlaced& f, Time at) {
  Job& job = job_of(f.runs.stage.job);
  Stage& stage = stage_of(f.runs.stage);
  Node& node = node_of(f.node);
  LEAT_CHECK(node.serves());
  count_use(node, at);
  node.idle_since = kNever;
  node.placed = at;
  note_start(job, at);
  LEAT_CHECK(!stage.spec->gang);
  Allotment& allotment = node.allotments[f.runs.stage];
  positions(stage, f.runs.indices).for_each([&](Interval where) {
    step_tasks(job, f.runs.stage.stage, where, TaskStep::kPlace, [&f](TaskCell& cell) {
      LEAT_CHECK(f.runs.attempt == cell.attempt + 1);
      cell.attempt = f.runs.attempt;
      cell.node = f.node;
    });
    allotment.runs.insert(where);
  });
  LEAT_CHECK(f.claims > 0 && f.claims >= allotment.claims);
  LEAT_CHECK(f.claims <= allotment.runs.size());
  const std::uint32_t more = f.claims - allotment.claims;
  allotment.claims = f.claims;
  // However they follow each other, so many take turns at every claim.
  allotment.until = stage.spec->over_by(at, (allotment.runs.size() - 1) / f.claims + 1);
  LEAT_CHECK(more <= node.fit_count(*stage.spec));
  change_claims(node, *stage.spec, 0, more);
  refresh_ready(job, f.runs.stage.stage);
  const auto hungry = hungry_.find(f.runs.stage);
  if (hungry != hungry_.end()) {
    hungry->second.erase(f.node.id);
    if (hungry->second.empty()) hungry_.erase(hungry);
  }
}

void State::leave_node(const RunSet& runs, NodeRef ref, const IntervalSet& left, Time at) {
  Node& node = node_of(ref);
  count_use(node, at);
  const Stage& stage = stage_of(runs.stage);
  const auto found = node.allotments.find(runs.stage);
  LEAT_CHECK(found != node.allotments.end());
  Allotment& allotment = found->second;
  allotment.runs.erase_all(left);
  const auto claims =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(allotment.claims, allotment.runs.size()));
  const std::uint32_t fewer = allotment.claims - claims;
  allotment.claims = claims;
  change_claims(node, *stage.spec, fewer, 0);
  const std::uint64_t low = claims + claims * queue_depth(stage) / 2;
  if (allotment.runs.empty()) {
    node.allotments.erase(found);
    if (node.allotments.empty()) node.idle_since = at;
    const auto hungry = hungry_.find(runs.stage);
    if (hungry != hungry_.end()) hungry->second.erase(ref.id);
  } else if (allotment.runs.size() < low) {
    hungry_[runs.stage].insert(ref.id);
  }
}

void State::on(const RunsEnded& f, Time at) {
  Job& job = job_of(f.runs.stage.job);
  const StageId id = f.runs.stage.stage;
  Stage& stage = stage_of(f.runs.stage);
  const IntervalSet ended = positions(stage, f.runs.indices);
  const bool failed = f.state == TaskState::kFailed || f.state == TaskState::kQuarantined;
  if (failed) note_failures(job, f);
  const bool kept = f.state == TaskState::kHeld;
  if (stage.spec->gang) {
    settle_gangs(f.runs.stage, ended, kept);
  } else {
    leave_node(f.runs, f.node, ended, at);
    if (kept) node_of(f.node).held += ended.size();
  }
  note_runs(stage, f.columns, ended.size());
  ended.for_each([&](Interval where) {
    step_tasks(job, id, where, step_to(f.state), [&f](TaskCell& cell) {
      if (f.state == TaskState::kHeld) {
        cell.failures = cell.losses = 0;
      } else {
        forget_all_but_state(cell);
      }
    });
    if (f.state == TaskState::kHeld) unblock_reducers(job, id, where);
    if (failed || f.state == TaskState::kCancelled) skip_reducers(job, id, where);
  });
  if (f.state == TaskState::kQuarantined) job.lost += ended.size();
  if (f.result) job.result = f.result;
  note_end(job);
}

void State::on(const RunsRequeued& f, Time at) {
  Job& job = job_of(f.runs.stage.job);
  const StageId id = f.runs.stage.stage;
  Stage& stage = stage_of(f.runs.stage);
  const IntervalSet ended = positions(stage, f.runs.indices);
  if (stage.spec->gang) {
    settle_gangs(f.runs.stage, ended, false);
  } else {
    leave_node(f.runs, f.node, ended, at);
  }
  const Outcome outcome = f.columns.outcome.at(0);
  const Cost cost = cost_of(outcome);
  if (cost == Cost::kRetry) job.retried += ended.size();
  if (cost == Cost::kLoss) job.lost += ended.size();
  const RetryDelay& told = stage.spec->retry_delay;
  const bool delayed = cost == Cost::kRetry && (f.delay.count() > 0 || told.first.count() > 0);
  ended.for_each([&](Interval where) {
    step_tasks(job, id, where, delayed ? TaskStep::kDelay : TaskStep::kRequeue,
               [&](TaskCell& cell) {
                 cell.node = {};
                 if (cost == Cost::kRetry) ++cell.failures;
                 if (cost == Cost::kLoss) ++cell.losses;
                 if (!delayed) return;
                 const bool known = f.delay.count() > 0;
                 cell.due = round_up(at + (known ? f.delay : told.after(cell.failures)));
               });
    block_incomplete(job, id, where);
  });
  refresh_ready(job, id);
}

void State::on(const TasksSetAside& f, Time) {
  Job& job = job_of(f.stage.job);
  Stage& stage = stage_of(f.stage);
  if (f.state == TaskState::kSkipped && job.skip_reason == SkipReason::kNone) {
    job.skip_reason = f.reason;
    job.skip_cause = f.cause;
  }
  positions(stage, f.indices).for_each([&](Interval where) {
    step_tasks(job, f.stage.stage, where, step_to(f.state), forget_all_but_state);
    skip_reducers(job, f.stage.stage, where);
  });
  refresh_ready(job, f.stage.stage);
  note_end(job);
}

void State::on(const OutputsLost& f, Time) {
  Job& job = job_of(f.stage.job);
  Stage& stage = stage_of(f.stage);
  positions(stage, f.indices).for_each([&](Interval where) {
    release_held(stage, where);
    step_tasks(job, f.stage.stage, where, TaskStep::kLoseOutput,
               [](TaskCell& cell) { cell.node = {}; });
    block_reducers(job, f.stage.stage, where);
    block_incomplete(job, f.stage.stage, where);
  });
  refresh_ready(job, f.stage.stage);
}

void State::on(const CancelRequested& f, Time) {
  Job& job = job_of(f.stage.job);
  const bool whole = f.indices.empty();
  if (whole) {
    job.cancel_requested = true;
    step_job(job, JobStep::kCancel);
  }
  for (std::size_t n = 0; n < job.stages.size(); ++n) {
    if (!whole && n != f.stage.stage) continue;
    Stage& stage = job.stages[n];
    const IntervalSet asked =
        whole ? IntervalSet(0, stage.cells.size() - 1) : positions(stage, f.indices);
    std::vector<Interval> placed;
    asked.for_each([&](Interval where) {
      stage.cells.for_each(where, [&placed](Interval part, const TaskCell& cell) {
        if (cell.state == TaskState::kPlaced) placed.push_back(part);
      });
    });
    for (const Interval& part : placed)
      step_tasks(job, static_cast<StageId>(n), part, TaskStep::kEnd, [](TaskCell&) {});
  }
}

void State::on(const JobEnded& f, Time at) {
  Job& job = job_of(f.job);
  switch (f.state) {
    case JobState::kSucceeded:
      step_job(job, JobStep::kSucceed);
      break;
    case JobState::kFailed:
      step_job(job, JobStep::kFail);
      break;
    case JobState::kSkipped:
      step_job(job, JobStep::kSkip);
      break;
    default:
      step_job(job, JobStep::kEndCancelled);
      break;
  }
  LEAT_CHECK(job.state == f.state);
  job.ended = at;
  unlink(job);
  if (job.started == kNever)
    start_by_.erase({job.submitted + job.spec->stages[0].start_within, job.id});
  for (std::size_t n = 0; n < job.stages.size(); ++n) {
    if (job.stages[n].reduced_by) release_held(job.stages[n], {0, job.stages[n].cells.size() - 1});
    StateCounts counts = job.stages[n].counts;
    std::uint64_t& held = counts[static_cast<std::size_t>(TaskState::kHeld)];
    counts[static_cast<std::size_t>(TaskState::kSucceeded)] += std::exchange(held, 0);
    job.final_counts.push_back(counts);
    job.stage_names.push_back(job.stages[n].spec->name);
    const StageRef ref{job.id, static_cast<StageId>(n)};
    ready_.erase(ReadyQueue::entry(job.priority, ref));
    hungry_.erase(ref);
  }
  if (std::all_of(job.stage_names.begin(), job.stage_names.end(),
                  [](const std::string& name) { return name.empty(); }))
    job.stage_names.clear();
  job.stages.clear();
  job.stages.shrink_to_fit();
  job.spec.reset();
  finished_.erase(f.job);
  ended_[f.job] = at;
  end_dependencies(f.job, f.state);
}

void State::on(const JobForgotten& f, Time) {
  const Job& job = job_of(f.job);
  LEAT_CHECK(!job.active());
  ended_.erase(f.job);
  jobs_.erase(f.job);
}

}  // namespace leat::core
