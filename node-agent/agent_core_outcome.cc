// agent_core_outcome.cc - what the core gives back: launches, reports, and what is here.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "node-agent/agent_core.h"

namespace leat::agent {

void AgentCore::launch_from(const StageRef& stage, Allotment& allotment) {
  while (allotment.can_launch() && !stopping_) {
    Running running;
    const bool room = reports_.run_count() < kUnreportedMax &&
                      (take_room(*allotment.spec(), running) || running_.empty());
    if (room) running.slot = slots_.take();
    if (!running.slot) {
      if (running.taken) free_->give(*running.taken);
      starved_.insert(stage);
      return;
    }
    const auto [position, attempt] = allotment.pop();
    --queued_;
    const RunId run = run_id(stage, attempt, allotment.spec()->indices.at(position));
    actions_.launches.push_back({run, *running.slot, position, allotment.spec()});
    running_.emplace(run, std::move(running));
  }
}

// False if what the stage's runs need is not free now.
bool AgentCore::take_room(const StageSpec& spec, Running& running) {
  if (!free_) return true;
  const Resources& need = spec.exclusive ? *capacity_ : spec.resources;
  if (!free_->holds(need)) return false;
  free_->take(need);
  running.taken = need;
  return true;
}

void AgentCore::launch_starved() {
  if (starved_.empty()) return;
  const std::set<StageRef> starved = std::exchange(starved_, {});
  for (const StageRef& stage : starved)
    if (Allotment* allotment = find(stage); allotment != nullptr) launch_from(stage, *allotment);
}

// After runs of `stage` have left: claims follow, and the next ones start.
void AgentCore::settle(const StageRef& stage) {
  Allotment* allotment = find(stage);
  if (allotment != nullptr) {
    allotment->shrink_claims();
    launch_from(stage, *allotment);
  }
  if (released_.contains(stage.job)) forget_if_done(stage.job);
}

void AgentCore::forget_if_done(JobId job) {
  const auto run = running_.lower_bound(RunId{job, 0, 0, 0});
  if (run != running_.end() && run->first.job == job) return;
  const auto first = stages_.lower_bound(StageRef{job, 0});
  auto last = first;
  for (; last != stages_.end() && last->first.job == job; ++last)
    if (!last->second.idle()) return;
  stages_.erase(first, last);
  released_.erase(job);
  actions_.forgotten.push_back(job);
}

Actions AgentCore::take_actions() {
  return std::exchange(actions_, {});
}

std::optional<ReportBatch> AgentCore::next_report(Time now) {
  if (!connected_) return std::nullopt;
  return reports_.next(now, idle());
}

Time AgentCore::report_due() const {
  return connected_ ? reports_.due() : kNever;
}

std::optional<ReportBatch> AgentCore::on_reported(std::uint64_t id) {
  std::optional<ReportBatch> batch = reports_.acknowledge(id);
  if (!batch) return std::nullopt;
  for (const Ended& ended : batch->ended) {
    Allotment* allotment = find(ended.runs.stage);
    if (allotment == nullptr) continue;
    const auto positions = allotment->spec()->indices.positions_of(ended.runs.indices);
    if (positions)
      positions->for_each([allotment, &ended](Interval interval) {
        allotment->forget_ended(interval, ended.runs.attempt);
      });
    if (released_.contains(ended.runs.stage.job)) forget_if_done(ended.runs.stage.job);
  }
  if (reports_.run_count() == 0 && running_.empty()) unlisted_.clear();
  launch_starved();
  return batch;
}

std::vector<RunId> AgentCore::upcoming(const StageRef& stage, std::size_t count) const {
  std::vector<RunId> runs;
  const auto found = stages_.find(stage);
  if (found == stages_.end()) return runs;
  for (const auto& [position, attempt] : found->second.peek(count))
    runs.push_back(run_id(stage, attempt, found->second.spec()->indices.at(position)));
  return runs;
}

bool AgentCore::wants(const RunId& run) const {
  if (is_running(run)) return true;
  const auto found = stages_.find(stage_of(run));
  if (found == stages_.end()) return false;
  const auto position = found->second.position_of(run.index);
  return position && found->second.known(*position) == Known{RunState::kQueued, run.attempt};
}

std::vector<StageRef> AgentCore::queued_stages() const {
  std::vector<StageRef> stages;
  for (const auto& [stage, allotment] : stages_)
    if (allotment.queued() > 0) stages.push_back(stage);
  return stages;
}

std::vector<RunSet> AgentCore::live() const {
  std::vector<RunSet> sets;
  for (const auto& [stage, allotment] : stages_) {
    std::map<Attempt, IntervalSet> by_attempt;
    for (const QueuedPart& part : allotment.all()) by_attempt[part.attempt].insert(part.positions);
    for (const auto& [attempt, positions] : by_attempt)
      sets.push_back({stage, attempt, allotment.spec()->indices.select(positions), 0});
  }
  std::vector<std::pair<RunId, RunResult>> others;
  for (const auto& [run, running] : running_) {
    if (!stages_.contains(stage_of(run))) others.emplace_back(run, RunResult{});
    if (running.successor != 0)
      others.emplace_back(run_id(stage_of(run), running.successor, run.index), RunResult{});
  }
  for (Ended& ended : fold(std::move(others))) sets.push_back(std::move(ended.runs));
  for (Ended& ended : reports_.content())
    if (!stages_.contains(ended.runs.stage)) sets.push_back(std::move(ended.runs));
  return sets;
}

}  // namespace leat::agent
