// node_pump.cc - what a node does once per turn: keeps results, carries out decisions, reports.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "node-agent/node.h"

namespace leat::agent {
namespace {

// A disk that is full is tried again after this time; results wait in memory and in the warden.
constexpr kj::Duration kFilesAgain = 1 * kj::SECONDS;
constexpr kj::Duration kHousekeeping = 5 * kj::SECONDS;

kj::TimePoint to_kj(Time time) {
  return kj::origin<kj::TimePoint>() + time.us() * kj::MICROSECONDS;
}

// An input that could not be fetched may be had elsewhere, or later, which costs no retry. What
// leat-store does not have will not come: tried without end it would keep the head busy for ever.
RunEnd without_input(const Launch& launch, const Refusal& why) {
  const bool never =
      launch.spec->inputs.kind != Inputs::Kind::kOutputs && why.reason == Reason::kNotFound;
  RunEnd end;
  end.run = launch.run;
  end.result.outcome = never ? Outcome::kCouldNotStart : Outcome::kInputLost;
  end.result.code = never ? ENOENT : 0;
  return end;
}

}  // namespace

// Everything that happens in one turn of the loop is worked off together at its end.
void Node::schedule_pump() {
  if (std::exchange(pump_scheduled_, true)) return;
  tasks_.add(kj::evalLast([this]() {
    pump_scheduled_ = false;
    pump();
  }));
}

void Node::pump() {
  keep_results();
  for (Actions actions = core_.take_actions(); !actions.empty(); actions = core_.take_actions())
    carry_out(actions);
  prefetch();
  send_reports();
  if (core_.idle())
    for (auto& waiter : std::exchange(idle_waiters_, {})) waiter->fulfill();
  if (stopped_.get() != nullptr && core_.idle() && to_confirm_.empty()) stopped_->fulfill();
}

// Results and places of outputs go to the files, and only then to the warden: forget them.
void Node::keep_results() {
  std::vector<std::pair<RunId, RunResult>> plain;
  std::vector<Ended> ended;
  for (const Finished& f : std::exchange(finished_, {})) {
    plain.emplace_back(f.run, f.result);
    if (!f.stored) continue;
    ended.push_back(std::move(fold({plain.back()}).front()));
    ended.back().result = f.stored;
    plain.pop_back();
  }
  for (Ended& e : fold(std::move(plain))) ended.push_back(std::move(e));
  parts_.log.ended(ended);
  const Result<Done> index = parts_.outputs.index().write();
  const Result<Done> log = parts_.log.write();
  if (!index.ok() || !log.ok()) {
    if (std::exchange(files_failed_, true)) return;
    parts_.say((index.ok() ? log : index).refusal().message);
    tasks_.add(parts_.timer.afterDelay(kFilesAgain).then([this]() {
      files_failed_ = false;
      schedule_pump();
    }));
    return;
  }
  for (const RunId& run : std::exchange(to_confirm_, {})) runner_->confirm(run);
}

void Node::carry_out(const Actions& actions) {
  for (const EndRun& order : actions.ends) end_run(order);
  for (const RunSet& set : actions.dropped) {
    parts_.inputs.drop_all(set);
    drop_gangs(set);
  }
  for (const Launch& launch : actions.launches) begin(launch);
  for (const JobId job : actions.forgotten) forget(job);
}

void Node::begin(const Launch& launch) {
  const auto stage = stages_.find(stage_of(launch.run));
  LEAT_CHECK(stage != stages_.end() && stage->second.spec != nullptr);
  const RunId run = launch.run;
  const std::string& directory = launch.spec->program.output_directory;
  const int error = directory.empty() ? 0 : PlainOutputs::why_not(directory);
  if (error != 0) {
    parts_.say(directory + ": no output can be put there: " + std::strerror(error));
    RunEnd end;
    end.run = run;
    end.result.outcome = Outcome::kCouldNotStart;
    end.result.code = error;
    tasks_.add(kj::evalLater([this, end]() { finish(end, std::nullopt); }));
    return;
  }
  if (!launch.spec->inputs.any()) {
    runner_->start({launch, {}, std::nullopt});
    return;
  }
  preparing_.emplace(
      run, parts_.inputs
               .take(stage->second, {run, launch.spec->input_position(run.index, launch.position)})
               .then([this, launch](Result<PreparedInput> input) {
                 // In a turn of its own: a promise must not destroy itself.
                 tasks_.add(kj::evalLater([this, launch, input = std::move(input)]() mutable {
                   if (preparing_.erase(launch.run) == 0) return;  // ended meanwhile
                   if (input.ok()) {
                     PreparedInput ready = std::move(input).value();
                     runner_->start({launch, std::move(ready.path), std::move(ready.text)});
                     return;
                   }
                   parts_.say("no input for job " + std::to_string(launch.run.job.value) + ": " +
                              input.refusal().message);
                   finish(without_input(launch, input.refusal()), std::nullopt);
                 }));
               })
               .eagerlyEvaluate(nullptr));
}

void Node::end_run(const EndRun& order) {
  if (preparing_.erase(order.run) != 0) {
    RunEnd end;
    end.run = order.run;
    end.by_order = true;
    finish(end, std::nullopt);
  } else if (!uploading_.contains(order.run) && !copying_.contains(order.run)) {
    runner_->end(order.run, order.grace);
  }
}

void Node::prefetch() {
  for (const StageRef& ref : fed_) {
    const StartSet& stage = stages_.at(ref);
    if (stage.spec->inputs.kind == Inputs::Kind::kNone) continue;  // only what all tasks share
    const std::vector<RunId> next = core_.upcoming(ref, kPrefetch);
    std::vector<LineTask> tasks;
    for (const RunId& run : next) {
      const auto position = stage.spec->indices.position_of(run.index);
      if (position && !parts_.inputs.has(run))
        tasks.push_back({run, stage.spec->input_position(run.index, *position)});
    }
    // Many at a time, so that one read serves them all.
    if (tasks.empty() || next.size() - tasks.size() >= kPrefetch / 2) continue;
    std::sort(tasks.begin(), tasks.end(),
              [](const LineTask& a, const LineTask& b) { return a.position < b.position; });
    parts_.inputs.prefetch(stage, tasks);
  }
}

void Node::send_reports() {
  while (const std::optional<ReportBatch> batch = core_.next_report(now())) reporter_(*batch);
  const Time due = core_.report_due();
  if (due == kNever || (report_timer_ && *report_timer_ <= due)) return;
  report_timer_ = due;
  tasks_.add(parts_.timer.atTime(to_kj(due)).then([this, due]() {
    if (report_timer_ != due) return;
    report_timer_.reset();
    schedule_pump();
  }));
}

void Node::forget(JobId job) {
  const auto known = stages_.lower_bound(StageRef{job, 0});
  if (known == stages_.end() || known->first.job != job) return;  // the head repeats itself
  parts_.log.forgotten(job);
  runner_->forget(job);
  parts_.inputs.forget(job);
  fed_.erase(fed_.lower_bound(StageRef{job, 0}), fed_.upper_bound(StageRef{job, 0xffff}));
  stages_.erase(stages_.lower_bound(StageRef{job, 0}), stages_.upper_bound(StageRef{job, 0xffff}));
}

// Keeps spool and logs within their bounds.
void Node::look_after_files() {
  spool::SpoolIndex& index = parts_.outputs.index();
  index.enforce_quota(parts_.spool_quota_bytes, parts_.outputs.reader());
  if (const Result<Done> done = index.compact_if_large(); !done.ok())
    parts_.say(done.refusal().message);
  if (!parts_.log.wants_rewrite()) return;
  RecoveredLog content;
  content.head_epoch = core_.head_epoch();
  content.head_clock_us = head_clock_us_;
  content.output_place = output_place_;
  for (const auto& [ref, stage] : stages_) content.stages.push_back(stage);
  content.ended = core_.unreported_results();
  if (const Result<Done> done = parts_.log.rewrite(content); !done.ok())
    parts_.say(done.refusal().message);
}

kj::Promise<void> Node::look_after_files_for_ever() {
  return parts_.timer.afterDelay(kHousekeeping).then([this]() {
    look_after_files();
    schedule_pump();
    return look_after_files_for_ever();
  });
}

}  // namespace leat::agent
