// why.cc - why something waits: every cause, and what would unblock it.

#include <algorithm>

#include "scheduler/core/decide_parts.h"

namespace leat::core {
namespace {

std::string number(std::uint64_t n) {
  return std::to_string(n);
}

// Causes that lie in the pools a job may use, for tasks that could run.
void explain_pools(const State& state, const Job& job, const Stage& stage, std::uint64_t tasks,
                   std::vector<Cause>& causes) {
  const std::vector<const Pool*> pools = pools_of(state, *job.spec);
  if (pools.empty()) {
    causes.push_back({"pool", "there is no pool", "start one: leat up --local N", tasks});
    return;
  }
  const Resources& need = stage.spec->resources;
  std::uint64_t up = 0;
  std::uint64_t lost = 0;
  std::uint64_t coming = 0;
  std::uint64_t able = 0;
  for (const auto& [id, node] : state.nodes()) {
    const bool ours = std::any_of(pools.begin(), pools.end(),
                                  [&node = node](const Pool* p) { return p->id == node.pool; });
    if (!ours) continue;
    up += node.state == NodeState::kUp ? 1 : 0;
    lost += node.state == NodeState::kLost ? 1 : 0;
    coming += node.state == NodeState::kRequested || node.state == NodeState::kEnrolled ? 1 : 0;
    able += node.state == NodeState::kUp && node.report.capacity.holds(need) ? 1 : 0;
  }
  if (up == 0)
    causes.push_back({"nodes",
                      "no node is up (" + number(coming) + " coming, " + number(lost) + " lost)",
                      "wait, or look at: leat node list", tasks});
  else if (able == 0)
    causes.push_back({"resources",
                      "none of the " + number(up) + " nodes that are up has " +
                          number(need.millicores) + " millicores and " +
                          number(need.memory_bytes >> 20) + " MiB in all",
                      "ask for less, or add larger nodes", tasks});
  else
    causes.push_back({"resources", "all " + number(able) + " nodes that could run it are busy",
                      "wait, or add nodes", tasks});
}

void explain_queue(const State& state, const Job& job, StageRef ref, std::uint64_t tasks,
                   std::vector<Cause>& causes) {
  std::uint64_t ahead = 0;
  const ReadyQueue::Entry own = ReadyQueue::entry(job.priority, ref);
  for (const ReadyQueue::Entry& entry : state.ready().entries()) {
    if (entry == own) break;
    ahead += entry.job == job.id ? 0 : 1;
  }
  if (ahead > 0)
    causes.push_back({"priority", number(ahead) + " stages of other jobs are ahead in the queue",
                      "wait, or submit with a higher --priority", tasks});
}

void explain_lost(const State& state, StageRef ref, std::vector<Cause>& causes) {
  for (const auto& [id, node] : state.nodes()) {
    const auto at = node.allotments.find(ref);
    if (node.state != NodeState::kLost || at == node.allotments.end()) continue;
    causes.push_back({"node-lost",
                      "node " + number(id.value) +
                          " has not been heard from; its runs are kept "
                          "for it until their lease ends",
                      "wait, or prove the node gone", at->second.runs.size()});
  }
}

}  // namespace

std::vector<Cause> why(const State& state, StageRef ref, std::optional<Index> index, Time) {
  std::vector<Cause> causes;
  const Job* job = state.job(ref.job);
  const Stage* stage = state.stage(ref);
  if (job == nullptr || stage == nullptr) return causes;
  const auto count = [stage](TaskState s) { return stage->counts[static_cast<std::size_t>(s)]; };
  std::uint64_t waiting = count(TaskState::kWaiting);
  std::uint64_t blocked = count(TaskState::kBlocked);
  if (index) {
    const auto position = stage->spec->indices.position_of(*index);
    if (!position) return causes;
    const TaskState now = stage->cells.at(*position).state;
    waiting = now == TaskState::kWaiting ? 1 : 0;
    blocked = now == TaskState::kBlocked ? 1 : 0;
  }
  if (waiting > 0) {
    explain_pools(state, *job, *stage, waiting, causes);
    explain_queue(state, *job, ref, waiting, causes);
  }
  if (blocked > 0) {
    const Stage& inputs = job->stages[stage->spec->reduces->stage];
    causes.push_back({"dependency",
                      "a reduce step waits for outputs of stage " +
                          number(stage->spec->reduces->stage) + ": " + number(inputs.done.size()) +
                          " of " + number(inputs.cells.size()) + " are there",
                      "wait", blocked});
  }
  explain_lost(state, ref, causes);
  return causes;
}

}  // namespace leat::core
