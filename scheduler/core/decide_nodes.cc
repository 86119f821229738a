// decide_nodes.cc - commands about the head, pools and nodes.

#include <algorithm>

#include "scheduler/core/decide_parts.h"

namespace leat::core {
namespace {

std::string text_of(NodeRef node) {
  return "node " + std::to_string(node.id.value) + " (life " + std::to_string(node.epoch.value) +
         ")";
}

// All nodes of a pool have its labels, whoever started them.
void add_labels(const std::vector<std::string>& of_pool, std::vector<std::string>& labels) {
  for (const std::string& label : of_pool)
    if (std::find(labels.begin(), labels.end(), label) == labels.end()) labels.push_back(label);
}

}  // namespace

Result<Answer> decide_on(const State& state, const StartHead& c, Time, Facts& out) {
  out.emplace_back(HeadStarted{HeadEpoch{state.meta().epoch.value + 1}, c.wall_us, c.version});
  return Answer{Done{}};
}

Result<Answer> decide_on(const State& state, const EnrolNode& c, Time now, Facts& out) {
  const Node* node = state.node_by_token(c.token_hash);
  if (node == nullptr)
    return Refusal{Reason::kNotFound, "this join token is not known here (its node may be gone)"};
  if (node->state == NodeState::kDeleting)
    return Refusal{Reason::kConflict, text_of(node->ref) + " was given up: " + node->reason};
  if (node->state != NodeState::kRequested)
    return Refusal{Reason::kConflict, "this join token has been used already"};
  if (now >= node->token_expires) return Refusal{Reason::kConflict, "this join token has expired"};
  out.emplace_back(NodeEnrolled{node->ref});
  return Answer{node->ref};
}

Result<Answer> decide_on(const State& state, const JoinNode& c, Time, Facts& out) {
  const Node* node = state.node(c.report.node);
  if (node == nullptr || node->state == NodeState::kRequested)
    return Refusal{Reason::kConflict, text_of(c.report.node) + " is not expected here any more"};
  // A late joiner's place may be taken: for good.
  if (node->state == NodeState::kDeleting)
    return Refusal{Reason::kConflict, text_of(node->ref) + " was given up: " + node->reason};
  if (c.report.capacity.millicores == 0) return invalid(text_of(c.report.node) + " has no cpus");
  const std::uint64_t session = node->session + 1;
  const Pool* pool = state.pool(node->pool);
  NodeReport report = c.report;
  if (pool != nullptr) add_labels(pool->spec.labels, report.labels);
  out.emplace_back(NodeJoined{std::move(report), session});
  // Paused by a person, it waits for one.
  if (pool != nullptr && pool->state == PoolState::kPaused && pool->probe_at != kNever)
    out.emplace_back(PoolReopened{pool->id, {}, {}});
  return Answer{session};
}

Result<Answer> decide_on(const State& state, const LoseNode& c, Time, Facts& out) {
  const Node* node = state.node(c.node);
  if (node != nullptr && node->state == NodeState::kUp) out.emplace_back(NodeLost{c.node});
  return Answer{Done{}};
}

Result<Answer> decide_on(const State& state, const ProveGone& c, Time, Facts& out) {
  const Node* node = state.node(c.node);
  if (node == nullptr) return Answer{Done{}};
  for (const auto& [stage, allotment] : node->allotments) lose_runs(state, *node, stage, out);
  lose_outputs(state, c.node, out);
  out.emplace_back(NodeGone{c.node, c.proof});
  return Answer{Done{}};
}

void keep_leases(const State& state, Time now, Facts& out) {
  const std::size_t before = out.size();
  for (const auto& [id, node] : state.nodes()) {
    if (node.state != NodeState::kLost && node.state != NodeState::kDeleting) continue;
    bool expired = now - node.since >= StageSpec{}.lease;
    for (const auto& [ref, allotment] : node.allotments) {
      if (out.size() - before >= kFactsPerTick) return;
      if (now - node.since < state.stage(ref)->spec->lease) continue;
      lose_runs(state, node, ref, out);
      expired = true;
    }
    if (expired) {
      lose_outputs(state, node.ref, out);
      // Outputs are judged by the state as it is: one node's loss must be applied before the
      // next is looked at, or two of them would lose the same output.
      if (out.size() > before) return;
    }
  }
}

}  // namespace leat::core
