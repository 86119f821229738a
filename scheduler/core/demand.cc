#include "scheduler/core/demand.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "scheduler/core/decide_parts.h"
#include "scheduler/core/pool_rules.h"

namespace leat::core {
namespace {

// New nodes of one pool, filled in the order of the queue. Only the last one has room left.
struct Filling {
  std::uint64_t limit = 0;  // nodes it may have on top of those that are there
  std::uint64_t nodes = 0;
  std::uint64_t tasks = 0;
  Resources left = Resources::none();  // on the last one
  std::uint64_t room = 0;              // for tasks there, as its pool allows
  bool full = false;                   // more tasks would fit its nodes than nodes it may have
  bool too_small = false;              // the same of gangs; a smaller task may still find room
  bool awaited = false;                // a gang waits for nodes that are there
};

bool may_use(const State& state, const Pool& pool, const Job& job) {
  if (pool.state == PoolState::kDeleting) return false;
  const Pool* own = state.own_pool(job.id);
  if (own != nullptr || pool.spec.for_job) return own != nullptr && own->id == pool.id;
  const std::vector<std::string>& names = job.spec->pools;
  return names.empty() || std::find(names.begin(), names.end(), pool.spec.name) != names.end();
}

// How many of `wanted` tasks go into new nodes of the pool.
std::uint64_t fill(const Pool& pool, const Job& job, const Stage& stage, std::uint64_t wanted,
                   Filling& filling) {
  const auto per_node = tasks_per_node(pool, job, stage);
  if (per_node && *per_node == 0) return 0;
  if (!per_node) {
    // The first node will tell what they are like.
    if (filling.limit == 0) {
      filling.full = true;
      return 0;
    }
    filling.nodes = std::max<std::uint64_t>(filling.nodes, 1);
    filling.tasks += wanted;
    return wanted;
  }
  const bool exclusive = stage.spec->exclusive;
  const Resources& need = stage.spec->resources;
  const std::uint64_t beside = std::min(filling.left.fit_count(need), filling.room);
  const std::uint64_t first = exclusive ? 0 : std::min(wanted, beside);
  filling.left.take(need, first);
  filling.room -= first;
  std::uint64_t taken = first;
  const std::uint64_t room = filling.limit - std::min(filling.limit, filling.nodes);
  const std::uint64_t nodes = std::min(room, (wanted - first + *per_node - 1) / *per_node);
  if (nodes > 0) {
    const std::uint64_t more = std::min(wanted - first, nodes * *per_node);
    filling.nodes += nodes;
    const std::uint64_t last = more - (nodes - 1) * *per_node;
    filling.left = *shape_of(pool);
    filling.left.take(exclusive ? Resources(filling.left) : need, last);
    const std::uint64_t cap = pool.spec.tasks_per_node;
    filling.room = cap == 0 ? std::numeric_limits<std::uint64_t>::max() : cap - last;
    taken += more;
  }
  filling.tasks += taken;
  filling.full = filling.full || taken < wanted;
  return taken;
}

// What the pool has of nodes that a gang could use.
struct Suitable {
  std::uint64_t now = 0;  // with room for a member, and not kept for somebody else
  std::uint64_t ever = 0;
};

// The same for gangs, which are bought whole: to start as soon as the new nodes come, or at least
// once those that are busy are free; never for a gang that the pool cannot hold.
std::uint64_t fill_gangs(const Pool& pool, const Job& job, const Stage& stage, std::uint64_t wanted,
                         const Suitable& suitable, Filling& filling) {
  const std::uint64_t members = stage.spec->nodes;
  const auto per_node = tasks_per_node(pool, job, stage);
  if (per_node && *per_node == 0) return 0;
  const std::uint64_t room = filling.limit - std::min(filling.limit, filling.nodes);
  if (suitable.ever + room < members) {
    filling.too_small = true;
    return 0;
  }
  // The first node will tell what they are like.
  if (!per_node) return fill(pool, job, stage, wanted, filling);
  filling.awaited = filling.awaited || suitable.ever > 0;
  const std::uint64_t soon = members - std::min(suitable.now, members);
  const std::uint64_t first = soon <= room ? soon : members - std::min(suitable.ever, members);
  // Each new set of nodes holds as many gangs as a node holds members.
  const std::uint64_t others = (wanted - 1 + *per_node - 1) / *per_node;
  const std::uint64_t sets = std::min((room - first) / members, others);
  const std::uint64_t taken = std::min(wanted, 1 + sets * *per_node);
  filling.nodes += first + sets * members;
  filling.left = Resources::none();
  filling.room = 0;
  filling.tasks += taken;
  filling.too_small = filling.too_small || taken < wanted;
  return taken;
}

using Pools = std::vector<const Pool*>;

// As the job prefers them, but open ones before paused ones.
Pools in_order(const State& state, const Job& job, const Pools& pools) {
  Pools usable;
  for (const Pool* pool : pools)
    if (may_use(state, *pool, job)) usable.push_back(pool);
  const std::vector<std::string>& names = job.spec->pools;
  const auto rank = [&names](const Pool* pool) {
    const auto named = std::find(names.begin(), names.end(), pool->spec.name) - names.begin();
    return std::pair(pool->state == PoolState::kPaused, named);
  };
  std::stable_sort(usable.begin(), usable.end(), [&rank](const Pool* left, const Pool* right) {
    return rank(left) < rank(right);
  });
  return usable;
}

// Nodes that are kept for stages ahead, as the Placer keeps them.
class Keeping {
 public:
  Keeping(const State& state, Time now) : state_(state), now_(now) {}

  // Whether a task would be placed now; if not, nodes are kept for the stage.
  bool fits_now(const Pools& usable, const Job& job, StageRef ref) {
    const Stage& stage = job.stages[ref.stage];
    if (stage.spec->gang) return gang_fits_now(usable, job, ref);
    for (const Pool* pool : usable) {
      const Want want = want_of(*job.spec, *stage.spec, *pool, now_);
      if (state_.capacity().best(pool->id, want, reserved_)) return true;
    }
    if (kept_ == kBlockedMax) return false;
    std::uint64_t waiting = stage.waiting.size();
    for (const Pool* pool : usable) {
      if (waiting == 0) break;
      const Want want = want_of(*job.spec, *stage.spec, *pool, now_);
      waiting = state_.capacity().reserve(pool->id, want, waiting, reserved_);
    }
    kept_ += waiting < stage.waiting.size() ? 1 : 0;
    return false;
  }

  // Of the gangs that did not fit: what the pools have for them.
  const Suitable& suitable(PoolId pool) { return suitable_[pool]; }

 private:
  bool gang_fits_now(const Pools& usable, const Job& job, StageRef ref) {
    const StageSpec& spec = *job.stages[ref.stage].spec;
    suitable_.clear();
    for (const Pool* pool : usable) {
      const Want want = want_of(*job.spec, spec, *pool, now_);
      Suitable& has = suitable_[pool->id];
      has.now = state_.capacity().collect(pool->id, want, spec.nodes, reserved_).size();
      if (has.now == spec.nodes) return true;
      has.ever = state_.capacity().able_count(pool->id, want, spec.nodes, reserved_);
    }
    if (gangs_kept_ < kReservationsMax && reserve_gang(state_, ref, now_, reserved_)) ++gangs_kept_;
    return false;
  }

  const State& state_;
  Time now_;
  Reserved reserved_;
  std::map<PoolId, Suitable> suitable_;
  std::size_t kept_ = 0;
  std::size_t gangs_kept_ = 0;
};

void weigh(const State& state, const Pools& pools, Time now, std::map<PoolId, Filling>& fillings) {
  std::size_t looked = 0;
  std::size_t weighed = 0;
  Keeping keeping(state, now);
  for (const ReadyQueue::Entry& entry : state.ready().entries()) {
    if (++looked > kStagesLookedAt || weighed >= kStagesWeighed) return;
    const Job& job = *state.job(entry.job);
    const Stage& stage = *state.stage(entry.ref());
    const Pools usable = in_order(state, job, pools);
    if (keeping.fits_now(usable, job, entry.ref())) continue;
    const bool full = std::all_of(usable.begin(), usable.end(),
                                  [&](const Pool* pool) { return fillings[pool->id].full; });
    if (full) continue;
    ++weighed;
    std::uint64_t waiting = stage.waiting.size();
    for (const Pool* pool : usable) {
      if (waiting == 0) break;
      Filling& filling = fillings[pool->id];
      waiting -= stage.spec->gang
                     ? fill_gangs(*pool, job, stage, waiting, keeping.suitable(pool->id), filling)
                     : fill(*pool, job, stage, waiting, filling);
    }
  }
}

void count(const Pool& pool, const Node& node, PoolPlan& plan) {
  ++plan.have;
  if (node.state == NodeState::kDeleting) {
    ++plan.deleting;
  } else if (node.duty == NodeDuty::kLeaving) {
    ++plan.leaving;
    if (node.allotments.empty() && node.held > 0) ++plan.keeping;
  } else if (node.duty == NodeDuty::kClosing) {
    ++plan.closing;
    if (may_reopen(pool, node)) ++plan.reopen;
  } else if (node.duty == NodeDuty::kDraining) {
    ++plan.draining;
  } else if (node.coming()) {
    ++plan.coming;
  } else if (node.state == NodeState::kLost) {
    ++plan.lost;
  } else {
    ++plan.serving;
    if (node.allotments.empty()) ++plan.idle;
  }
}

// The nodes that count against the maximum. Those that only keep outputs wait for whoever reads
// them; if there is nobody else, somebody must come.
std::uint32_t counted(const PoolPlan& plan) {
  return plan.have - (plan.serving + plan.coming == 0 ? plan.keeping : 0);
}

// Held, or waiting for others: the nodes it was promised would idle.
bool is_asleep(const State& state, const Pool& pool) {
  const Job* job = pool.spec.for_job ? state.job(pool.spec.for_job) : nullptr;
  if (job == nullptr || !job->active()) return false;
  if (job->state == JobState::kHeld) return true;
  return std::all_of(job->stages.begin(), job->stages.end(), [](const Stage& stage) {
    const auto count = [&stage](TaskState s) { return stage.counts[static_cast<std::size_t>(s)]; };
    return count(TaskState::kWaiting) + count(TaskState::kPlaced) + count(TaskState::kEnding) == 0;
  });
}

// From the books of what is there, and of what is needed, to what is to be done.
void conclude(const Pool& pool, const Filling& filling, Time now, PoolPlan& plan) {
  const PoolSize& size = pool.spec.nodes;
  const std::uint32_t reopenable = plan.reopen;
  plan.reopen = 0;
  plan.tasks = filling.tasks;
  plan.awaited = filling.awaited;
  plan.needed = static_cast<std::uint32_t>(filling.nodes);
  const std::uint32_t useful = plan.serving + plan.coming;
  const std::uint32_t for_tasks = plan.needed > plan.coming ? plan.needed - plan.coming : 0;
  const std::uint32_t least = least_of(pool.spec, plan);
  const std::uint32_t for_min = least > useful ? least - useful : 0;
  std::uint32_t wanted = std::max(for_tasks, for_min);
  if (pool.state == PoolState::kDeleting) {
    plan.why = Growth::kLeaving;
    return;
  }
  // Closing nodes count until they are gone; opened again, they count as before.
  const std::uint32_t staying = plan.have - plan.closing - plan.leaving - plan.deleting;
  const std::uint32_t may_stay = size.max > staying ? size.max - staying : 0;
  plan.reopen = std::min({reopenable, wanted, may_stay});
  wanted -= plan.reopen;
  plan.why = plan.reopen > 0 ? Growth::kReopens : Growth::kEnough;
  if (wanted == 0) {
    const bool full = filling.full || filling.too_small;
    if (full && plan.reopen == 0) plan.why = Growth::kFull;
    return;
  }
  if (pool.spec.provider == kStaticProvider) {
    plan.why = Growth::kByHand;
    return;
  }
  plan.grow = std::min(wanted, size.max > counted(plan) ? size.max - counted(plan) : 0);
  if (plan.grow == 0) {
    plan.why = Growth::kFull;
    return;
  }
  const bool probing = pool.state == PoolState::kPaused;
  if (!probing && pool.failures < kJoinFailuresMax) {
    plan.grow = std::min(plan.grow, kNodesPerRequest);
    plan.why = Growth::kGrows;
    return;
  }
  plan.grow = probing && plan.coming == 0 && now >= pool.probe_at ? 1 : 0;
  plan.why = plan.grow > 0 ? Growth::kGrows : Growth::kPaused;
}

std::map<PoolId, PoolPlan> plan_these(const State& state, const Pools& pools, Time now) {
  std::map<PoolId, PoolPlan> plans;
  std::map<PoolId, Filling> fillings;
  for (const Pool* pool : pools) plans[pool->id];
  for (const auto& [id, node] : state.nodes()) {
    const Pool* pool = state.pool(node.pool);
    LEAT_CHECK(pool != nullptr);
    count(*pool, node, plans[node.pool]);
  }
  for (const Pool* pool : pools) {
    const PoolPlan& plan = plans[pool->id];
    const std::uint32_t others = counted(plan) - plan.coming;
    const std::uint32_t max = pool->spec.nodes.max;
    // Nodes that are closing would be opened again: they are as good as new ones.
    fillings[pool->id].limit = (max > others ? max - others : 0) + plan.reopen;
  }
  weigh(state, pools, now, fillings);
  for (const Pool* pool : pools) {
    plans[pool->id].asleep = is_asleep(state, *pool);
    conclude(*pool, fillings[pool->id], now, plans[pool->id]);
  }
  return plans;
}

}  // namespace

const std::optional<Resources>& shape_of(const Pool& pool) {
  return pool.seen ? pool.seen : pool.spec.shape;
}

std::optional<std::uint64_t> tasks_per_node(const Pool& pool, const Job& job, const Stage& stage) {
  if (!could_have(pool, job.spec->labels)) return 0;
  const std::string& in_common = stage.spec->in_common;
  if (!in_common.empty() && !could_have(pool, {{false, in_common}})) return 0;
  const std::optional<Resources>& shape = shape_of(pool);
  if (!shape) return std::nullopt;
  const std::uint64_t fit = shape->fit_count(stage.spec->resources);
  if (stage.spec->exclusive) return std::min<std::uint64_t>(fit, 1);
  return pool.spec.tasks_per_node == 0 ? fit
                                       : std::min<std::uint64_t>(fit, pool.spec.tasks_per_node);
}

std::map<PoolId, PoolPlan> plan_pools(const State& state, Time now) {
  Pools pools;
  for (const auto& [id, pool] : state.pools()) pools.push_back(&pool);
  return plan_these(state, pools, now);
}

PoolPlan plan_for(const State& state, const PoolSpec& spec, Time now) {
  Pool pool;
  pool.id = PoolId{state.meta().next_pool};
  pool.spec = spec;
  Pools pools;
  for (const auto& [id, known] : state.pools()) pools.push_back(&known);
  pools.push_back(&pool);
  return plan_these(state, pools, now)[pool.id];
}

std::uint32_t least_of(const PoolSpec& spec, const PoolPlan& plan) {
  return plan.asleep ? 0 : spec.nodes.min;
}

std::string text_of(const PoolPlan& plan, const PoolSpec& spec) {
  const std::string tasks = std::to_string(plan.tasks) + (plan.tasks == 1 ? " task" : " tasks");
  const std::string max = std::to_string(spec.nodes.max);
  switch (plan.why) {
    case Growth::kGrows:
      if (plan.tasks == 0)
        return "requests " + std::to_string(plan.grow) + " to have its minimum of " +
               std::to_string(spec.nodes.min);
      return "requests " + std::to_string(plan.grow) + " for " + tasks + " that wait";
    case Growth::kReopens:
      return "opens " + std::to_string(plan.reopen) + " again that were being closed";
    case Growth::kFull:
      // A machine is paid for until it is gone.
      return "has its maximum of " + max +
             (plan.deleting > 0 ? ", " + std::to_string(plan.deleting) + " of them on the way out"
                                : std::string());
    case Growth::kPaused:
      return "is paused";
    case Growth::kByHand:
      return "waits for nodes to be started by hand: leat agent join";
    case Growth::kLeaving:
      return "is being deleted";
    case Growth::kEnough:
      break;
  }
  if (plan.coming > 0) return std::to_string(plan.coming) + " are coming";
  return "has what it needs";
}

}  // namespace leat::core
