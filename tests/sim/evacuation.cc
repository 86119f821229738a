// evacuation.cc - nodes that are to go bring what their runs have written to leat-store first, and
// somebody watches that no machine is ended before.

#include "scheduler/engine/agent_link.h"
#include "tests/sim/world.h"

namespace leat::sim {

// ---- the agent ----------------------------------------------------------------------------

// Asked again while it is under way, it tells once.
void Node::evacuate(HeadEpoch epoch) {
  if (core_ == nullptr || epoch < core_->head_epoch()) return;
  if (world_.mutant() == Mutant::kEvacuateLater) world_.network().evacuated(connection_, true);
  if (evacuation_ != Evacuation::kNone) return;
  evacuation_ = Evacuation::kAsked;
  act();
}

// Not before the last run has ended, which may yet write. The time it takes is that of a store
// which is slow, or away and tried again.
void Node::bring_outputs_away() {
  if (evacuation_ != Evacuation::kAsked || !core_->idle()) return;
  evacuation_ = Evacuation::kUnderWay;
  // It hangs, and only the head's deadline ends it.
  if (world_.chaos() && world_.random().chance(1)) {
    gave_up_ = true;
    return;
  }
  const bool stored = !world_.chaos() || !world_.random().chance(8);
  const std::uint64_t longest = world_.random().chance(10) ? 30'000'000 : 1'000'000;
  const Duration takes(5'000 + static_cast<std::int64_t>(world_.random().below(longest)));
  if (world_.chaos() && world_.random().chance(25))
    world_.events().after(takes / 2, [this, life = agent_life_] {
      if (life == agent_life_ && world_.chaos()) world_.strike(*this);
    });
  world_.events().after(takes, [this, stored, sent = at_stake_, life = agent_life_] {
    if (life != agent_life_ || core_ == nullptr) return;
    evacuation_ = Evacuation::kNone;
    gave_up_ = !stored;
    if (stored) {
      for (const RunId& run : sent) at_stake_.erase(run);
      world_.brought_away();
    }
    world_.network().evacuated(connection_, stored);
  });
}

// ---- the way to the head ------------------------------------------------------------------

// Lost with its connection: the head asks again when the agent comes back.
void Network::evacuated(std::uint64_t id, bool stored) {
  Connection* connection = find(id);
  if (connection == nullptr || breaks(id)) return;
  world_.events().at(arrival(connection->head_side), [this, id, stored] {
    const Connection* open = find(id);
    if (open == nullptr || open->session == 0) return;
    world_.head()->links().evacuated(open->node, open->session, stored ? "stored" : "not stored");
  });
}

bool Network::is_connected(NodeRef node) const {
  for (const auto& [id, connection] : connections_)
    if (connection.node == node && connection.session != 0) return true;
  return false;
}

Duration Network::away_for(NodeRef node) const {
  const auto at = left_.find(node);
  return is_connected(node) || at == left_.end() ? Duration(0) : world_.now() - at->second;
}

// ---- who watches --------------------------------------------------------------------------

namespace {

constexpr Duration to_duration(kj::Duration span) {
  return Duration(span / kj::MICROSECONDS);
}

}  // namespace

// The machine is about to be ended, by order of a head that knows its node.
void PoolWalk::check_outputs(const Node& machine) {
  if (machine.at_stake() == 0 || machine.gave_up()) return;
  // Who is away for so long may never come back.
  if (world_.network().away_for(machine.ref()) >= to_duration(engine::kRejoinDeadline)) return;
  world_.evidence().complain("node " + std::to_string(machine.ref().id.value) +
                             " was ended with outputs that were not brought away");
}

void PoolWalk::look_at_nodes_that_go() {
  for (const auto& [id, node] : world_.head()->state().nodes()) {
    if (node.state != core::NodeState::kDeleting) continue;
    const Node* machine = world_.node(node.ref);
    const bool hangs = machine != nullptr && machine->gave_up();
    const Duration longest =
        hangs ? to_duration(engine::kEvacuationDeadline) + kGoneWithin : kGoneWithin;
    if (world_.now() - node.since > longest)
      world_.evidence().complain("node " + std::to_string(id.value) + " is never ended");
  }
}

}  // namespace leat::sim
