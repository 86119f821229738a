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

std::string text_of(const Pool& pool, const PoolPlan& plan, Time now) {
  if (pool.state == PoolState::kPaused) return paused_text(pool, now);
  if (plan.why == Growth::kEnough && plan.coming == 0) return {};
  const std::string does = text_of(plan, pool.spec);
  return plan.coming > 0 && plan.why == Growth::kFull
             ? does + ", of which " + std::to_string(plan.coming) + " are coming"
             : does;
}

}  // namespace

std::string growth_text(const Asked& asked, const std::vector<const PoolView*>& views) {
  const std::map<PoolId, PoolPlan> plans = plan_pools(asked.state, asked.now);
  std::string text;
  constexpr std::size_t kPoolsNamed = 4;
  std::size_t named = 0;
  for (const PoolView* view : views) {
    std::string does = text_of(*view->pool, plans.at(view->pool->id), asked.now);
    if (does.empty() && tasks_per_node(*view->pool, asked.job, asked.stage) == 0)
      does = "makes no node that could take it: compare leat pool show with what it asks for";
    if (does.empty() || ++named > kPoolsNamed) continue;
    text += "; pool \"" + view->pool->spec.name + "\" " + does;
  }
  return text;
}

}  // namespace leat::core
