#include "scheduler/node_supply.h"

#include <utility>

namespace leat::scheduler {
namespace {

engine::PoolSite site_of(engine::PoolSite site, const char* provider) {
  site.provider = provider;
  return site;
}

}  // namespace

Result<std::unique_ptr<NodeSupply>> NodeSupply::open(SupplyWorld world,
                                                     pools::LocalPoolOptions local,
                                                     const engine::PoolSite& site) {
  auto opened = pools::LocalPool::open(world.port, world.timer, std::move(local));
  if (!opened.ok()) return opened.refusal();
  return std::unique_ptr<NodeSupply>(
      new NodeSupply(std::move(world), std::move(opened).value(), site));
}

NodeSupply::NodeSupply(SupplyWorld world, kj::Own<pools::LocalPool> local,
                       const engine::PoolSite& site)
    : world_(std::move(world)),
      local_pool_(kj::mv(local)),
      static_pool_([this](NodeRef node) { return world_.links.part(node); },
                   [this] { return connected_by_hand(); }),
      local_nodes_(*local_pool_, [this](NodeRef node) { return evacuate(node); }),
      static_nodes_(static_pool_, [this](NodeRef node) { return evacuate(node); }),
      local_driver_(services_with(local_nodes_), site_of(site, "local")),
      static_driver_(services_with(static_nodes_), site_of(site, core::kStaticProvider)) {}

kj::Promise<void> NodeSupply::evacuate(NodeRef node) {
  kj::Promise<void> evacuated = world_.links.evacuate(node);
  if (!ending_) return evacuated;
  return world_.timer.timeoutAfter(kLastEvacuation, kj::mv(evacuated)).catch_([](kj::Exception&&) {
  });
}

kj::Promise<void> NodeSupply::stop() {
  ending_ = true;
  return local_driver_.stop();
}

engine::PoolServices NodeSupply::services_with(pools::Provider& provider) const {
  return {.engine = world_.engine,
          .provider = provider,
          .timer = world_.timer,
          .clock = world_.clock,
          .wall_clock = world_.wall_clock,
          .new_secret = world_.new_secret,
          .log = world_.log};
}

std::vector<NodeRef> NodeSupply::connected_by_hand() const {
  const core::State& state = world_.engine.state();
  std::vector<NodeRef> nodes;
  for (const auto& [id, node] : state.nodes()) {
    const core::Pool* pool = state.pool(node.pool);
    const engine::AgentLink* link = world_.links.find(node.ref);
    if (pool != nullptr && pool->spec.provider == core::kStaticProvider && link != nullptr &&
        link->connected())
      nodes.push_back(node.ref);
  }
  return nodes;
}

void NodeSupply::start() {
  local_driver_.start();
  static_driver_.start();
}

void NodeSupply::carry_out(const core::Effect& effect) {
  local_driver_.carry_out(effect);
  static_driver_.carry_out(effect);
}

}  // namespace leat::scheduler
