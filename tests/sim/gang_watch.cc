#include "tests/sim/gang_watch.h"

#include <algorithm>

#include "tests/sim/world.h"

namespace leat::sim {
namespace {

std::string text_of(const RunId& run) {
  return "gang " + std::to_string(run.job.value) + "." + std::to_string(run.index) + " attempt " +
         std::to_string(run.attempt);
}

}  // namespace

GangWatch::GangWatch(World& world) : world_(world) {
  world_.events().after(kLookInterval, [this] { look(); });
}

void GangWatch::launched(const Node& node, const agent::Launch& launch) {
  const auto& gang = launch.spec->gang;
  if (!gang || gang->launch == agent::GangSpec::Launch::kApplication) return;
  if (mpi_.emplace(launch.run, node.mpi()).first->second != node.mpi())
    world_.evidence().complain(text_of(launch.run) + " is on nodes with unlike Open MPI");
}

void GangWatch::look() {
  world_.events().after(kLookInterval, [this] { look(); });
  const bool there = world_.head() != nullptr && world_.head()->ready();
  if (!there || world_.head_life() != head_life_) {
    outlived_.clear();
    partial_.clear();
    head_life_ = there ? world_.head_life() : 0;
    return;
  }
  look_at_attempts();
  look_at_members();
}

void GangWatch::look_at_attempts() {
  const core::State& state = world_.head()->state();
  std::map<std::pair<NodeRef, RunId>, Time> still;
  for (const auto& [id, node] : state.nodes()) {
    const Node* machine = world_.node(node.ref);
    if (node.state != core::NodeState::kUp || machine == nullptr || machine->connection() == 0)
      continue;
    for (const RunId& run : machine->processes()) {
      const StageRef stage{run.job, run.stage};
      const core::Stage* known = state.stage(stage);
      if (known == nullptr || !known->spec->gang) continue;
      if (state.is_on(stage, *known->spec->indices.position_of(run.index), run.attempt, node.ref))
        continue;
      const auto at = outlived_.find({node.ref, run});
      const Time since = at == outlived_.end() ? world_.now() : at->second;
      still[{node.ref, run}] = since;
      if (world_.now() - since > kPatience)
        world_.evidence().complain(text_of(run) + " outlives its end");
    }
  }
  outlived_ = std::move(still);
}

void GangWatch::look_at_members() {
  const core::State& state = world_.head()->state();
  std::map<RunId, Time> still;
  for (const auto& [ref, gang] : state.gangs()) {
    const RunId run{ref.first.job, ref.first.stage, gang.attempt,
                    state.stage(ref.first)->spec->indices.at(ref.second)};
    const std::set<NodeRef>& on = world_.evidence().launched_on(run);
    const bool all_there =
        std::all_of(gang.nodes.begin(), gang.nodes.end(), [&](const NodeRef node) {
          const core::Node* known = state.node(node);
          return known != nullptr && known->state == core::NodeState::kUp;
        });
    for (const NodeRef node : on)
      if (std::find(gang.nodes.begin(), gang.nodes.end(), node) == gang.nodes.end())
        world_.evidence().complain(text_of(run) + " was launched on a node of others");
    if (gang.broken || !all_there || on.size() == gang.nodes.size() || on.empty()) continue;
    const auto at = partial_.find(run);
    const Time since = at == partial_.end() ? world_.now() : at->second;
    still[run] = since;
    if (world_.now() - since > kPatience)
      world_.evidence().complain(text_of(run) + " runs in part");
  }
  partial_ = std::move(still);
}

}  // namespace leat::sim
