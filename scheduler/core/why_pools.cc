// why_pools.cc - what a pool does about tasks that wait.

#include <map>

#include "scheduler/core/demand.h"
#include "scheduler/core/pool_rules.h"
#include "scheduler/core/why_parts.h"

namespace leat::core {
namespace {

std::string paused_text(const Pool& pool, Time now) {
  std::string text = "is paused: " + pool.trouble;
  if (pool.probe_at == kNever) return text + " (open it with: leat pool set, or resize)";
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(pool.probe_at - now).count();
  return text + (left > 0 ? " (one node is tried again in " + std::to_string(left) + " s)"
                          : " (one node is being tried)");
}

// Which nodes of a full pool are on the way out: another may come when one of them is gone.
std::string deleting_text(const State& state, const Pool& pool, Time now) {
  constexpr std::uint32_t kNamed = 4;
  std::string nodes;
  std::uint32_t found = 0;
  for (const auto& [id, node] : state.nodes()) {
    if (node.pool != pool.id || node.state != NodeState::kDeleting || ++found > kNamed) continue;
    const auto span = std::chrono::duration_cast<std::chrono::seconds>(now - node.since).count();
    nodes += (nodes.empty() ? "node " : ", node ") + std::to_string(id.value) + " for " +
             std::to_string(span) + " s";
  }
  if (nodes.empty()) return {};
  return " (" + nodes + (found > kNamed ? ", ..." : "") +
         "; one that brings its outputs away is waited for as long as it makes progress)";
}

std::string text_of(const State& state, const Pool& pool, const PoolPlan& plan, Time now) {
  if (pool.state == PoolState::kPaused) return paused_text(pool, now);
  if (plan.why == Growth::kEnough && plan.coming == 0) return {};
  const std::string does = text_of(plan, pool.spec);
  if (plan.why != Growth::kFull) return does;
  return does +
         (plan.coming > 0 ? ", of which " + std::to_string(plan.coming) + " are coming" : "") +
         deleting_text(state, pool, now);
}

// Of a pool none of whose nodes could take a task of the stage.
std::string no_use_text(const Pool& pool, const Resources& need) {
  const bool promised = pool.spec.shape && pool.spec.shape->holds(need);
  if (promised && pool.seen && !pool.seen->holds(need))
    return "declares " + to_text(*pool.spec.shape) + " a node, but the newest that joined has " +
           to_text(*pool.seen) + ": it makes no more for this until one joins with enough";
  return "makes no node that could take it: compare leat pool show with what it asks for";
}

}  // namespace

std::string growth_text(const Asked& asked, const std::vector<const PoolView*>& views) {
  const std::map<PoolId, PoolPlan> plans = plan_pools(asked.state, asked.now);
  std::string text;
  constexpr std::size_t kPoolsNamed = 4;
  std::size_t named = 0;
  for (const PoolView* view : views) {
    const Pool& pool = *view->pool;
    std::string does = text_of(asked.state, pool, plans.at(pool.id), asked.now);
    // Nodes that are started by hand are not alike.
    const bool buys = pool.state == PoolState::kOpen && pool.spec.provider != kStaticProvider;
    if ((does.empty() || buys) && tasks_per_node(pool, asked.job, asked.stage) == 0)
      does = no_use_text(pool, asked.stage.spec->resources);
    if (does.empty() || ++named > kPoolsNamed) continue;
    text += "; pool \"" + pool.spec.name + "\" " + does;
  }
  return text;
}

}  // namespace leat::core
