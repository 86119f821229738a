#include "scheduler/engine/gang_desk.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"

namespace leat::engine {
namespace {

const core::Gang* gang_of(const core::State& state, const RunId& run) {
  const StageRef ref{run.job, run.stage};
  const core::Stage* stage = state.stage(ref);
  if (stage == nullptr) return nullptr;
  const auto position = stage->spec->indices.position_of(run.index);
  const core::Gang* gang = position ? state.gang(ref, *position) : nullptr;
  return gang != nullptr && gang->attempt == run.attempt ? gang : nullptr;
}

}  // namespace

RunId gang_run(const core::StartRuns& start) {
  LEAT_CHECK(start.gang != nullptr && start.runs.indices.size() == 1);
  return {start.runs.stage.job, start.runs.stage.stage, start.runs.attempt,
          start.runs.indices.at(0)};
}

bool GangDesk::park(const core::StartRuns& start, const core::State& state) {
  if (start.gang == nullptr || start.gang->front() == start.node) return false;
  const RunId run = gang_run(start);
  if (hubs_.contains(run)) return false;
  sweep(state);
  waiting_.insert_or_assign({run, start.node}, start);
  return true;
}

std::vector<core::StartRuns> GangDesk::arrive(const RunId& run, GangHub hub,
                                              const core::State& state) {
  std::vector<core::StartRuns> wanted;
  const core::Gang* gang = gang_of(state, run);
  if (gang == nullptr) return wanted;
  sweep(state);
  hubs_.insert_or_assign(run, std::move(hub));
  const auto first = waiting_.lower_bound({run, NodeRef{}});
  auto last = first;
  for (; last != waiting_.end() && last->first.first == run; ++last)
    if (!gang->broken && gang->live_on(last->second.node)) wanted.push_back(last->second);
  waiting_.erase(first, last);
  return wanted;
}

const GangHub* GangDesk::find(const core::StartRuns& start) const {
  const auto at = hubs_.find(gang_run(start));
  return at == hubs_.end() ? nullptr : &at->second;
}

void GangDesk::sweep(const core::State& state) {
  if (size() < sweep_at_) return;
  std::erase_if(hubs_, [&](const auto& each) { return gang_of(state, each.first) == nullptr; });
  std::erase_if(waiting_,
                [&](const auto& each) { return gang_of(state, each.first.first) == nullptr; });
  sweep_at_ = std::max<std::size_t>(64, 2 * size());
}

}  // namespace leat::engine
