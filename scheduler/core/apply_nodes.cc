// apply_nodes.cc - facts about the head, pools and nodes, folded in.

#include "base/check.h"
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

void State::step_node(Node& node, NodeStep step, Time at) {
  const auto to = next(kNodeTransitions, node.state, step);
  LEAT_CHECK(to.has_value());
  if (node.state == NodeState::kUp && *to != NodeState::kUp)
    capacity_.erase(node.pool, node.ref.id, node.free);
  if (node.state != NodeState::kUp && *to == NodeState::kUp)
    capacity_.insert(node.pool, node.ref.id, node.free, node.report.capacity);
  node.state = *to;
  node.since = at;
}

void State::set_free(Node& node, Resources free) {
  LEAT_CHECK(node.report.capacity.holds(free));
  if (node.state == NodeState::kUp) capacity_.change(node.pool, node.ref.id, node.free, free);
  node.free = free;
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
  pool.id = f.id;
  pool.spec = f.spec;
  pool.key = f.key;
  if (f.id.value >= meta_.next_pool) meta_.next_pool = f.id.value + 1;
}

void State::on(const NodeRequested& f, Time at) {
  LEAT_CHECK(f.node.id.value == meta_.next_node);
  LEAT_CHECK(f.node.epoch.value == meta_.next_node_epoch);
  ++meta_.next_node;
  ++meta_.next_node_epoch;
  Node node;
  node.ref = f.node;
  node.pool = f.pool;
  node.since = at;
  node.token_hash = f.token_hash;
  node.token_expires = f.token_expires;
  node.report.capacity = node.free = Resources{0, 0, 0};
  tokens_[f.token_hash] = f.node.id;
  nodes_[f.node.id] = std::move(node);
}

void State::on(const NodeEnrolled& f, Time at) {
  step_node(node_of(f.node), NodeStep::kEnrol, at);
}

void State::on(const NodeJoined& f, Time at) {
  Node& node = node_of(f.report.node);
  LEAT_CHECK(f.session == node.session + 1);
  node.session = f.session;
  // What runs there was placed under the capacity it had: that stands while anything runs.
  const Resources capacity = node.allotments.empty() ? f.report.capacity : node.report.capacity;
  if (node.state == NodeState::kUp) capacity_.erase(node.pool, node.ref.id, node.free);
  if (node.allotments.empty()) node.free = capacity;
  if (node.state == NodeState::kUp) capacity_.insert(node.pool, node.ref.id, node.free, capacity);
  node.report = f.report;
  node.report.capacity = capacity;
  step_node(node, NodeStep::kJoin, at);
}

void State::on(const NodeLost& f, Time at) {
  step_node(node_of(f.node), NodeStep::kLose, at);
}

void State::on(const NodeGone& f, Time at) {
  Node& node = node_of(f.node);
  LEAT_CHECK(node.allotments.empty());
  step_node(node, NodeStep::kProveGone, at);
  tokens_.erase(node.token_hash);
  nodes_.erase(f.node.id);
}

}  // namespace leat::core
