#include "tests/sim/pool_walk.h"

#include <algorithm>

#include "scheduler/core/demand.h"
#include "scheduler/core/pool_rules.h"
#include "tests/sim/world.h"

namespace leat::sim {
namespace {

std::string text_of(NodeRef ref) {
  return "node " + std::to_string(ref.id.value);
}

// Whether some task that waits could be put on an empty node like this one.
bool fits_waiting_work(const core::State& state, const core::Node& node) {
  return std::any_of(state.ready().entries().begin(), state.ready().entries().end(),
                     [&](const core::ReadyQueue::Entry& entry) {
                       const core::Stage& stage = *state.stage(entry.ref());
                       return node.report.capacity.holds(stage.spec->resources);
                     });
}

bool a_gang_waits(const core::State& state) {
  return std::any_of(state.ready().entries().begin(), state.ready().entries().end(),
                     [&state](const core::ReadyQueue::Entry& entry) {
                       return state.stage(entry.ref())->spec->gang;
                     });
}

}  // namespace

Plan walk_plan(std::uint64_t seed) {
  Plan plan;
  plan.seed = seed;
  plan.jobs = 5;
  plan.tasks_max = 40;
  plan.walk = true;
  // One node may hang until the head's deadline, and it may be the only one.
  plan.heal = Duration(1'500'000'000);
  return plan;
}

PoolWalk::PoolWalk(World& world) : world_(world) {
  min_ = static_cast<std::uint32_t>(world_.random().below(2));
  max_ = min_ + 1 + static_cast<std::uint32_t>(world_.random().below(5));
  max_ever_ = max_;
  act_later();
  world_.events().after(kLookInterval, [this] { look(); });
}

void PoolWalk::act_later() {
  const Duration pause(200'000 + static_cast<std::int64_t>(world_.random().below(5'000'000)));
  world_.events().after(pause, [this] {
    if (!world_.chaos()) return;
    act();
    act_later();
  });
}

void PoolWalk::act() {
  if (world_.head() == nullptr || !world_.head()->ready()) return;
  if (world_.head()->state().pools().empty()) return;
  const std::uint64_t what = world_.random().below(10);
  if (what < 3) {
    resize(what == 0);
  } else if (what < 8) {
    speak_of_a_node();
  } else {
    // Nothing can be made for a while.
    world_.provider().break_down(true);
    world_.events().after(Duration(6'000'000), [this] { world_.provider().break_down(false); });
  }
}

void PoolWalk::resize(bool requeue) {
  core::ChangePool change;
  change.key = "walk-" + std::to_string(++calls_);
  change.pool = name();
  change.min = static_cast<std::uint32_t>(world_.random().below(3));
  change.max = *change.min + static_cast<std::uint32_t>(world_.random().below(5));
  change.farewell.running = requeue ? core::Running::kRequeue : core::Running::kComplete;
  change.farewell.within = Duration(static_cast<std::int64_t>(world_.random().below(3'000'000)));
  max_ever_ = std::max(max_ever_, *change.max);
  world_.head()->ask(change, [](const auto&) {});
}

void PoolWalk::speak_of_a_node() {
  const auto& nodes = world_.head()->state().nodes();
  if (nodes.empty()) return;
  auto at = nodes.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(world_.random().below(nodes.size())));
  const std::string key = "walk-" + std::to_string(++calls_);
  const core::Farewell farewell{
      world_.random().chance(40) ? core::Running::kRequeue : core::Running::kComplete, Duration(0)};
  const auto ignore = [](const auto&) {};
  switch (world_.random().below(4)) {
    case 0:
      return world_.head()->ask(core::DrainNode{key, {}, at->first, farewell}, ignore);
    case 1:
      // It may be lost by the time the head hears of it.
      forced_.insert(at->second.ref);
      return world_.head()->ask(core::RemoveNode{key, {}, at->first, farewell}, ignore);
    default:
      return world_.head()->ask(core::ResumeNode{key, {}, at->first}, ignore);
  }
}

void PoolWalk::calm() {
  world_.provider().break_down(false);
  if (world_.head() == nullptr || !world_.head()->ready()) {
    world_.events().after(Duration(500'000), [this] { calm(); });
    return;
  }
  core::ChangePool change;
  change.key = "calm-" + std::to_string(++calls_);
  change.pool = name();
  change.min = min_;
  change.max = max_;
  change.farewell.running = core::Running::kComplete;
  world_.head()->ask(change, [](const auto&) {});
  for (const auto& [id, node] : world_.head()->state().nodes())
    if (node.duty == core::NodeDuty::kDraining)
      world_.head()->ask(core::ResumeNode{"calm-" + std::to_string(++calls_), {}, id},
                         [](const auto&) {});
  // Once more, for what was on its way.
  if (++calmed_ < 3) world_.events().after(Duration(2'000'000), [this] { calm(); });
}

void PoolWalk::finish() {
  const Time deadline = world_.now() + Duration(1'500'000'000);
  world_.head()->ask(core::DeletePool{"finish", {}, name(), {core::Running::kComplete, {}}},
                     [](const auto&) {});
  const auto over = [this] {
    return world_.head()->state().pools().empty() && world_.provider().paid_for() == 0;
  };
  while (!over() && world_.now() < deadline && world_.events().step()) {
  }
  if (world_.provider().paid_for() > 0)
    world_.evidence().complain(text_of(*world_.provider().machines().begin()) + " was leaked");
  if (!world_.head()->state().pools().empty())
    world_.evidence().complain("the pool was not removed");
  if (!world_.head()->state().nodes().empty())
    world_.evidence().complain("a node is still believed in");
}

void PoolWalk::machine_made() {
  // One more may come for outputs that a node keeps which a person wants gone.
  if (world_.provider().paid_for() > max_ever_ + forced_.size())
    world_.evidence().complain("more machines than the pool may have");
}

void PoolWalk::about_to_destroy(NodeRef ref) {
  const core::State& state = world_.head()->state();
  const Node* machine = world_.node(ref);
  const core::Node* node = state.node(ref);
  if (machine == nullptr || node == nullptr) return;
  check_outputs(*machine);
  if (forced_.contains(ref)) return;
  if (node->held > 0) world_.evidence().complain(text_of(ref) + " was ended with an output");
  for (const RunId& run : machine->processes()) {
    const core::Stage* stage = state.stage({run.job, run.stage});
    const auto position =
        stage == nullptr ? std::nullopt : stage->spec->indices.position_of(run.index);
    if (!position) continue;
    const core::TaskCell& cell = stage->cells.at(*position);
    const bool here = state.is_on({run.job, run.stage}, *position, run.attempt, ref);
    if (cell.state == core::TaskState::kPlaced && here)
      world_.evidence().complain(text_of(ref) + " was ended with a run");
  }
}

void PoolWalk::look() {
  world_.events().after(kLookInterval, [this] { look(); });
  const bool there = world_.head() != nullptr && world_.head()->ready();
  if (!there || world_.head_life() != head_life_) {
    idle_since_.clear();
    not_bought_since_ = kNever;
    head_life_ = there ? world_.head_life() : 0;
    return;
  }
  // A gang may have to wait for nodes that are busy, beside others that idle for it.
  if (world_.gangs() && a_gang_waits(world_.head()->state())) {
    idle_since_.clear();
    not_bought_since_ = kNever;
    return;
  }
  look_at_idle_nodes();
  look_at_what_waits();
  look_at_nodes_that_go();
}

void PoolWalk::look_at_idle_nodes() {
  const core::State& state = world_.head()->state();
  std::map<NodeRef, Time> still;
  for (const auto& [id, node] : state.nodes()) {
    const bool open =
        node.duty == core::NodeDuty::kServing || node.duty == core::NodeDuty::kClosing;
    if (node.state != core::NodeState::kUp || !open || !core::node_is_empty(node)) continue;
    if (!fits_waiting_work(state, node)) continue;
    const auto at = idle_since_.find(node.ref);
    const Time since = at == idle_since_.end() ? world_.now() : at->second;
    still[node.ref] = since;
    if (world_.now() - since > kIdleBesideWorkMax)
      world_.evidence().complain(text_of(node.ref) + " idles beside work");
  }
  idle_since_ = std::move(still);
}

void PoolWalk::look_at_what_waits() {
  const core::State& state = world_.head()->state();
  bool short_of = false;
  for (const auto& [id, pool] : state.pools()) {
    std::uint32_t have = 0;
    std::uint32_t fresh = 0;  // coming, or empty and taking work
    for (const auto& [node_id, node] : state.nodes()) {
      ++have;
      const bool helps = node.coming() || (node.serves() && node.allotments.empty());
      fresh += helps ? 1 : 0;
    }
    short_of = pool.state == core::PoolState::kOpen && have < pool.spec.nodes.max && fresh == 0 &&
               !state.ready().entries().empty() && pool.failures < core::kJoinFailuresMax;
  }
  if (!short_of) {
    not_bought_since_ = kNever;
  } else if (not_bought_since_ == kNever) {
    not_bought_since_ = world_.now();
  } else if (world_.now() - not_bought_since_ > kNotBoughtMax) {
    world_.evidence().complain("work waits and nobody buys a node");
  }
}

}  // namespace leat::sim
