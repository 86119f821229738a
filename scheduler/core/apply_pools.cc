// apply_pools.cc - facts about pools, folded in.

#include <algorithm>

#include "base/check.h"
#include "scheduler/core/pool_rules.h"
#include "scheduler/core/state.h"

namespace leat::core {

void State::step_pool(Pool& pool, PoolStep step) {
  const auto to = next(kPoolTransitions, pool.state, step);
  LEAT_CHECK(to.has_value());
  pool.state = *to;
}

void State::on(const PoolPaused& f, Time at) {
  Pool& pool = pool_of(f.pool);
  step_pool(pool, PoolStep::kPause);
  pool.trouble = f.reason;
  pool.probe_at = f.probe_at;
  pool.probe_pause = f.probe_at == kNever ? kProbeFirst : std::max(f.probe_at - at, kProbeFirst);
}

void State::on(const PoolReopened& f, Time) {
  Pool& pool = pool_of(f.pool);
  step_pool(pool, PoolStep::kReopen);
  pool.failures = 0;
  pool.failed_at = kNever;
  pool.trouble.clear();
  pool.probe_at = kNever;
  pool.probe_pause = Duration{0};
}

void State::on(const PoolDeleting& f, Time) {
  Pool& pool = pool_of(f.pool);
  step_pool(pool, PoolStep::kDelete);
  pool.trouble = f.reason;
  pool.recall_at = f.recall_at;
  pool.probe_at = kNever;
}

void State::on(const PoolRemoved& f, Time) {
  Pool& pool = pool_of(f.pool);
  LEAT_CHECK(std::none_of(nodes_.begin(), nodes_.end(),
                          [&f](const auto& entry) { return entry.second.pool == f.pool; }));
  step_pool(pool, PoolStep::kRemove);
  if (pool.spec.for_job) own_pools_.erase(pool.spec.for_job);
  pools_.erase(f.pool);
}

}  // namespace leat::core
