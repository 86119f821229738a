// decide_pools.cc - commands about pools, and about the coming and going of their nodes.

#include <algorithm>

#include "scheduler/core/decide_parts.h"
#include "scheduler/core/demand.h"
#include "scheduler/core/pool_rules.h"

namespace leat::core {
namespace {

Refusal no_pool(const std::string& name) {
  return {Reason::kNotFound, "no pool is named \"" + name + "\"; see: leat pool list"};
}

Refusal no_node(NodeId id) {
  return {Reason::kNotFound, "no node " + std::to_string(id.value) + "; see: leat node list"};
}

std::string counted(std::uint64_t number, const std::string& thing) {
  return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
}

Time recall_time(const Farewell& farewell, Time now) {
  return farewell.running == Running::kRequeue ? now + farewell.within : kNever;
}

std::optional<Refusal> check(const Farewell& farewell) {
  if (farewell.within.count() < 0) return invalid("a deadline below zero");
  if (farewell.within > kPoolTimeMax) return invalid("a deadline of more than a year");
  return std::nullopt;
}

// Tasks that would be cut short, or waited for.
std::uint64_t runs_on(const Node& node) {
  std::uint64_t runs = 0;
  for (const auto& [stage, allotment] : node.allotments) runs += allotment.runs.size();
  return runs;
}

// A node a person named, which can still be spoken of.
Result<const Node*> named(const State& state, NodeId id) {
  const Node* node = state.node(id);
  if (node == nullptr) return no_node(id);
  if (node->state == NodeState::kDeleting)
    return Refusal{Reason::kConflict,
                   "node " + std::to_string(id.value) + " is being deleted: " + node->reason};
  return node;
}

std::optional<Refusal> check_changed(const Pool& pool, const PoolSpec& spec) {
  if (spec.nodes.max > kNodesPerPoolMax)
    return invalid("more than " + std::to_string(kNodesPerPoolMax) + " nodes in a pool");
  if (spec.nodes.min > spec.nodes.max)
    return invalid("pool \"" + pool.spec.name + "\": a minimum of " +
                   std::to_string(spec.nodes.min) + " nodes is more than the maximum of " +
                   std::to_string(spec.nodes.max));
  return check_times(spec);
}

// Nodes that do not count as staying any more are no surplus.
std::vector<const Node*> surplus_over(const State& state, const Pool& pool, std::uint32_t max) {
  std::size_t staying = 0;
  for (const auto& [id, node] : state.nodes()) {
    const bool stays = node.pool == pool.id && node.state != NodeState::kDeleting &&
                       (node.duty == NodeDuty::kServing || node.duty == NodeDuty::kDraining);
    staying += stays ? 1 : 0;
  }
  if (staying <= max) return {};
  return choose_surplus(state, pool.id, std::min<std::size_t>(staying - max, kNodesPerFact));
}

}  // namespace

Result<Answer> decide_on(const State& state, const SetPool& c, Time, Facts& out) {
  if (auto refusal = check(c.spec)) return *refusal;
  if (const Pool* known = state.pool_named(c.spec.name)) {
    if (known->spec == c.spec && known->state != PoolState::kDeleting) return Answer{known->id};
    return Refusal{Reason::kConflict,
                   "pool \"" + c.spec.name + "\" exists already" +
                       (known->state == PoolState::kDeleting
                            ? " and is being deleted"
                            : ", with other settings; change it with leat pool set or resize")};
  }
  const PoolId id{state.meta().next_pool};
  out.emplace_back(PoolSet{id, c.spec, c.actor, c.key});
  return Answer{id};
}

Result<Answer> decide_on(const State& state, const ChangePool& c, Time now, Facts& out) {
  const Pool* pool = state.pool_named(c.pool);
  if (pool == nullptr) return no_pool(c.pool);
  if (pool->state == PoolState::kDeleting)
    return Refusal{Reason::kConflict, "pool \"" + c.pool + "\" is being deleted"};
  PoolSpec spec = pool->spec;
  spec.nodes = {c.min.value_or(spec.nodes.min), c.max.value_or(spec.nodes.max)};
  spec.idle_timeout = c.idle_timeout.value_or(spec.idle_timeout);
  spec.join_deadline = c.join_deadline.value_or(spec.join_deadline);
  if (auto refusal = check_changed(*pool, spec)) return *refusal;
  if (auto refusal = check(c.farewell)) return *refusal;
  const std::vector<const Node*> surplus = surplus_over(state, *pool, spec.nodes.max);
  const auto busy = std::count_if(surplus.begin(), surplus.end(),
                                  [](const Node* node) { return !node_is_empty(*node); });
  if (busy > 0 && c.farewell.running == Running::kRefuse)
    return Refusal{Reason::kConflict,
                   "a maximum of " + counted(spec.nodes.max, "node") + " would close " +
                       counted(static_cast<std::uint64_t>(busy), "node") + " of pool \"" + c.pool +
                       "\" with running tasks or outputs still needed: say --wait to let them "
                       "complete, or --requeue"};
  if (spec != pool->spec) out.emplace_back(PoolSet{pool->id, spec, c.actor, c.key});
  if (pool->state == PoolState::kPaused) out.emplace_back(PoolReopened{pool->id, c.actor, c.key});
  part_with(
      surplus,
      {DutyStep::kClose, "the pool was made smaller", recall_time(c.farewell, now), c.actor, c.key},
      out);
  return Answer{pool->id};
}

Result<Answer> decide_on(const State& state, const DeletePool& c, Time now, Facts& out) {
  const Pool* pool = state.pool_named(c.pool);
  if (pool == nullptr) return no_pool(c.pool);
  if (auto refusal = check(c.farewell)) return *refusal;
  std::uint64_t runs = 0;
  for (const auto& [id, node] : state.nodes())
    if (node.pool == pool->id) runs += runs_on(node);
  const auto depends = [&](const auto& entry) {
    const Job& job = entry.second;
    const std::vector<const Pool*> pools =
        job.active() ? pools_of(state, job) : std::vector<const Pool*>{};
    return pools.size() == 1 && pools.front() == pool;
  };
  const auto jobs = std::count_if(state.jobs().begin(), state.jobs().end(), depends);
  if (c.farewell.running == Running::kRefuse && (runs > 0 || jobs > 0))
    return Refusal{Reason::kConflict,
                   "pool \"" + c.pool + "\" has work (" + counted(runs, "task") + " placed, " +
                       counted(static_cast<std::uint64_t>(jobs), "job") +
                       " that can run nowhere else): say --wait to let running tasks complete, or "
                       "--requeue to have them wait for another pool"};
  out.emplace_back(
      PoolDeleting{pool->id, "by a person", recall_time(c.farewell, now), c.actor, c.key});
  return Answer{pool->id};
}

Result<Answer> decide_on(const State& state, const PausePool& c, Time, Facts& out) {
  const Pool* pool = state.pool_named(c.pool);
  if (pool == nullptr) return no_pool(c.pool);
  if (pool->state == PoolState::kDeleting)
    return Refusal{Reason::kConflict, "pool \"" + c.pool + "\" is being deleted"};
  const std::string reason = c.reason.empty() ? "by a person" : c.reason;
  out.emplace_back(PoolPaused{pool->id, reason, kNever, c.actor, c.key});
  return Answer{pool->id};
}

Result<Answer> decide_on(const State& state, const ProbePool& c, Time now, Facts& out) {
  const Pool* pool = state.pool_named(c.pool);
  if (pool == nullptr) return no_pool(c.pool);
  if (pool->state != PoolState::kPaused)
    return Refusal{Reason::kConflict, "pool \"" + c.pool + "\" is not paused, it is " +
                                          std::string(name_of(pool->state))};
  out.emplace_back(PoolPaused{pool->id, pool->trouble, now, c.actor, c.key});
  return Answer{pool->id};
}

Result<Answer> decide_on(const State& state, const RequestNode& c, Time, Facts& out) {
  const Pool* pool = state.pool(c.pool);
  if (pool == nullptr) return Refusal{Reason::kNotFound, "no such pool"};
  if (pool->state == PoolState::kDeleting)
    return Refusal{Reason::kConflict, "pool \"" + pool->spec.name + "\" is being deleted"};
  const NodeRef node{NodeId{state.meta().next_node}, NodeEpoch{state.meta().next_node_epoch}};
  out.emplace_back(NodeRequested{node, c.pool, c.token_hash, c.token_expires});
  return Answer{node};
}

Result<Answer> decide_on(const State& state, const RequestNodes& c, Time now, Facts& out) {
  const Pool* pool = state.pool(c.pool);
  if (pool == nullptr) return Refusal{Reason::kNotFound, "no such pool"};
  const std::map<PoolId, PoolPlan> plans = plan_pools(state, now);
  const std::size_t count = std::min<std::size_t>(plans.at(c.pool).grow, c.tokens.size());
  if (count == 0) return Answer{std::uint64_t{0}};
  NodesRequested fact;
  fact.first = {NodeId{state.meta().next_node}, NodeEpoch{state.meta().next_node_epoch}};
  fact.pool = c.pool;
  fact.tokens.assign(c.tokens.begin(), c.tokens.begin() + static_cast<std::ptrdiff_t>(count));
  fact.token_expires = now + pool->spec.join_deadline;
  out.emplace_back(std::move(fact));
  return Answer{std::uint64_t{count}};
}

Result<Answer> decide_on(const State& state, const FailNode& c, Time, Facts& out) {
  const Node* node = state.node(c.node);
  // Whatever the provider says, who has joined is there.
  if (node != nullptr && node->coming())
    out.emplace_back(NodesDeleting{{c.node}, c.cause, c.reason, {}, {}});
  return Answer{Done{}};
}

Result<Answer> decide_on(const State& state, const DrainNode& c, Time now, Facts& out) {
  const Result<const Node*> node = named(state, c.node);
  if (!node.ok()) return node.refusal();
  if (auto refusal = check(c.farewell)) return *refusal;
  const Node& known = *node.value();
  if (known.coming())
    return Refusal{Reason::kConflict, "node " + std::to_string(c.node.value) +
                                          " has not joined yet: remove it instead"};
  if (!next(kDutyTransitions, known.duty, DutyStep::kDrain))
    return Refusal{Reason::kConflict, "node " + std::to_string(c.node.value) +
                                          " is leaving for good: " + known.reason};
  if (c.farewell.running == Running::kRefuse && !known.allotments.empty())
    return Refusal{Reason::kConflict, "node " + std::to_string(c.node.value) + " has " +
                                          counted(runs_on(known), "task")};
  out.emplace_back(DutyChanged{{known.ref},
                               DutyStep::kDrain,
                               "drained by a person",
                               recall_time(c.farewell, now),
                               c.actor,
                               c.key});
  return Answer{known.ref};
}

Result<Answer> decide_on(const State& state, const ResumeNode& c, Time, Facts& out) {
  const Result<const Node*> node = named(state, c.node);
  if (!node.ok()) return node.refusal();
  const Node& known = *node.value();
  if (known.duty == NodeDuty::kServing) return Answer{known.ref};
  const Pool* pool = state.pool(known.pool);
  if (pool != nullptr && pool->state == PoolState::kDeleting)
    return Refusal{Reason::kConflict, "pool \"" + pool->spec.name + "\" is being deleted"};
  out.emplace_back(
      DutyChanged{{known.ref}, DutyStep::kResume, "resumed by a person", kNever, c.actor, c.key});
  return Answer{known.ref};
}

Result<Answer> decide_on(const State& state, const RemoveNode& c, Time now, Facts& out) {
  const Result<const Node*> node = named(state, c.node);
  if (!node.ok()) return node.refusal();
  if (auto refusal = check(c.farewell)) return *refusal;
  const Node& known = *node.value();
  if (c.farewell.running == Running::kRefuse && !known.allotments.empty())
    return Refusal{Reason::kConflict, "node " + std::to_string(c.node.value) + " has " +
                                          counted(runs_on(known), "task")};
  const std::string reason = "removed by a person";
  // It cannot be asked to end what it has: its provider proves that it is no more.
  const bool by_force = known.state == NodeState::kLost &&
                        c.farewell.running == Running::kRequeue && c.farewell.within.count() == 0;
  if (known.coming() || by_force) {
    out.emplace_back(NodesDeleting{{known.ref}, DeleteCause::kRemoved, reason, c.actor, c.key});
  } else {
    out.emplace_back(DutyChanged{
        {known.ref}, DutyStep::kLeave, reason, recall_time(c.farewell, now), c.actor, c.key});
  }
  return Answer{known.ref};
}

Result<Answer> decide_on(const State& state, const Tick&, Time now, Facts& out) {
  // No fact of the one changes what the other looks at.
  tick_jobs(state, now, out);
  keep_pools(state, now, out);
  keep_leases(state, now, out);
  return Answer{Done{}};
}

bool wants_tick(const State& state, Time now) {
  const auto& nodes = state.nodes();
  const bool lost = std::any_of(nodes.begin(), nodes.end(), [now](const auto& entry) {
    const Node& node = entry.second;
    return (node.state == NodeState::kLost || node.state == NodeState::kDeleting) &&
           now > node.since;
  });
  if (lost || jobs_want_tick(state, now)) return true;
  Facts due;
  keep_pools(state, now, due);
  return !due.empty();
}

}  // namespace leat::core
