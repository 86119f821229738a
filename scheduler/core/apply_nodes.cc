// apply_nodes.cc - facts about the head, pools and nodes, folded in.

#include <algorithm>

#include "base/check.h"
#include "scheduler/core/pool_rules.h"
#include "scheduler/core/state.h"

namespace leat::core {

void State::apply(const Fact& fact, Time at) {
  std::visit([this, at](const auto& f) { on(f, at); }, fact);
}

Node& State::node_of(NodeRef ref) {
  const auto at = nodes_.find(ref.id);
  LEAT_CHECK(at != nodes_.end() && at->second.ref == ref);
  return at->second;
}

Pool& State::pool_of(PoolId id) {
  const auto at = pools_.find(id);
  LEAT_CHECK(at != pools_.end());
  return at->second;
}

template <typename Change>
void State::reindex(Node& node, Change change) {
  if (node.serves()) capacity_.erase(node);
  change();
  if (node.serves()) capacity_.insert(node);
}

void State::step_node(Node& node, NodeStep step, Time at) {
  const auto to = next(kNodeTransitions, node.state, step);
  LEAT_CHECK(to.has_value());
  reindex(node, [&] { node.state = *to; });
  node.since = at;
}

void State::change_claims(Node& node, const StageSpec& stage, std::uint32_t fewer,
                          std::uint32_t more) {
  if (fewer == 0 && more == 0) return;
  LEAT_CHECK(node.claimed >= fewer);
  Resources free = node.free;
  free.give(node.taken_by(stage), fewer);
  free.take(node.taken_by(stage), more);
  const std::uint32_t claimed = node.claimed - fewer + more;
  if (node.serves()) {
    capacity_.change(node, free, claimed);
  } else {
    node.free = std::move(free);
    node.claimed = claimed;
  }
}

void State::count_use(Node& node, Time at) {
  const NodeUse use = use_of(node, at);
  node.used_millicore_us = use.used_millicore_us;
  node.busy_us = use.busy_us;
  node.counted = at;
}

void State::note_failure(const Node& node, const std::string& trouble, Time at) {
  Pool& pool = pool_of(node.pool);
  pool.failures = has_settled(*this, pool, at) ? 1 : pool.failures + 1;
  pool.failed_at = at;
  // What a person said when pausing the pool stands.
  const bool by_person = pool.state == PoolState::kPaused && pool.probe_at == kNever;
  if (!by_person && pool.state != PoolState::kDeleting) pool.trouble = trouble;
}

void State::on(const HeadStarted& f, Time at) {
  LEAT_CHECK(f.epoch.value == meta_.epoch.value + 1);
  meta_.epoch = f.epoch;
  meta_.mapped = at;
  meta_.mapped_wall_us = f.wall_us;
  // Nothing is known of any node until it is heard from; its lease begins anew.
  for (auto& [id, node] : nodes_) {
    if (node.state == NodeState::kUp) step_node(node, NodeStep::kLose, at);
    node.since = at;
  }
}

void State::on(const PoolSet& f, Time) {
  Pool& pool = pools_[f.id];
  if (f.spec.for_job) own_pools_[f.spec.for_job] = f.id;
  pool.id = f.id;
  pool.spec = f.spec;
  pool.key = f.key;
  for (auto& [id, node] : nodes_)
    if (node.pool == f.id && node.tasks_max != f.spec.tasks_per_node)
      reindex(node, [&node = node, &f] { node.tasks_max = f.spec.tasks_per_node; });
  if (f.id.value >= meta_.next_pool) meta_.next_pool = f.id.value + 1;
}

void State::add_node(NodeRef ref, PoolId pool, const Hash& token, Time expires, Time at) {
  LEAT_CHECK(ref.id.value == meta_.next_node);
  LEAT_CHECK(ref.epoch.value == meta_.next_node_epoch);
  ++meta_.next_node;
  ++meta_.next_node_epoch;
  Node node;
  node.ref = ref;
  node.pool = pool;
  node.since = node.requested = node.counted = at;
  node.token_hash = token;
  node.token_expires = expires;
  node.report.capacity = node.free = Resources::none();
  node.tasks_max = pool_of(pool).spec.tasks_per_node;
  tokens_[token] = ref.id;
  nodes_[ref.id] = std::move(node);
}

void State::on(const NodeRequested& f, Time at) {
  add_node(f.node, f.pool, f.token_hash, f.token_expires, at);
}

void State::on(const NodesRequested& f, Time at) {
  NodeRef ref = f.first;
  for (const Hash& token : f.tokens) {
    add_node(ref, f.pool, token, f.token_expires, at);
    ++ref.id.value;
    ++ref.epoch.value;
  }
  Pool& pool = pool_of(f.pool);
  if (pool.state != PoolState::kPaused || pool.probe_at == kNever) return;
  // The probe after this one, should it fail.
  pool.probe_pause = std::min(pool.probe_pause * 2, kProbeLongest);
  pool.probe_at = at + pool.probe_pause;
}

void State::on(const NodeEnrolled& f, Time at) {
  step_node(node_of(f.node), NodeStep::kEnrol, at);
}

void State::on(const NodeJoined& f, Time at) {
  Node& node = node_of(f.report.node);
  LEAT_CHECK(f.session == node.session + 1);
  count_use(node, at);
  node.session = f.session;
  if (node.joined == kNever) node.joined = at;
  if (node.allotments.empty()) node.idle_since = at;
  // What runs there was placed under the capacity it had: that stands while anything runs.
  const Resources capacity = node.allotments.empty() ? f.report.capacity : node.report.capacity;
  reindex(node, [&] {
    if (node.allotments.empty()) node.free = capacity;
    node.report = f.report;
    node.report.capacity = capacity;
  });
  step_node(node, NodeStep::kJoin, at);
  pool_of(node.pool).seen = capacity;
  pool_of(node.pool).seen_labels = f.report.labels;
}

void State::on(const NodeLost& f, Time at) {
  step_node(node_of(f.node), NodeStep::kLose, at);
}

void State::on(const NodeGone& f, Time at) {
  Node& node = node_of(f.node);
  LEAT_CHECK(node.allotments.empty());
  const bool short_lived = node.joined != kNever && at - node.joined < kShortLife;
  if (node.state != NodeState::kDeleting && node.duty == NodeDuty::kServing &&
      (node.joined == kNever || short_lived))
    note_failure(node, f.proof, at);
  step_node(node, NodeStep::kProveGone, at);
  tokens_.erase(node.token_hash);
  nodes_.erase(f.node.id);
}

void State::on(const DutyChanged& f, Time) {
  for (const NodeRef ref : f.nodes) {
    Node& node = node_of(ref);
    const auto to = next(kDutyTransitions, node.duty, f.step);
    LEAT_CHECK(to.has_value());
    reindex(node, [&] { node.duty = *to; });
    node.reason = f.reason;
    node.recall_at = f.recall_at;
  }
}

void State::on(const RunsRecalled& f, Time at) {
  // Said again until the node is empty: the order may be lost, and the agent may be slow.
  node_of(f.node).recall_at = at + kRecallAgain;
}

void State::on(const NodesDeleting& f, Time at) {
  const bool failed = f.cause == DeleteCause::kNoJoin || f.cause == DeleteCause::kNotMade;
  for (const NodeRef ref : f.nodes) {
    Node& node = node_of(ref);
    count_use(node, at);
    step_node(node, NodeStep::kDelete, at);
    node.reason = f.reason;
    if (failed) note_failure(node, f.reason, at);
  }
}

}  // namespace leat::core
