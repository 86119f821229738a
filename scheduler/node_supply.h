#pragma once

// node_supply.h - who supplies the head's nodes: the providers, and what drives them.

#include <kj/async-unix.h>
#include <kj/timer.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pools/local_pool.h"
#include "pools/static_pool.h"
#include "scheduler/engine/agent_link.h"
#include "scheduler/engine/evacuating_provider.h"
#include "scheduler/engine/pool_driver.h"
#include "scheduler/engine/static_driver.h"

namespace leat::scheduler {

// What the supply uses; all but the functions are borrowed.
struct SupplyWorld {
  kj::UnixEventPort& port;
  kj::Timer& timer;
  engine::Engine& engine;
  engine::AgentLinks& links;
  engine::Clock clock;
  engine::WallClock wall_clock;
  std::function<transport::Secret()> new_secret;
  engine::Log log;
};

// One provider and one driver for each kind of pool. Thread: engine loop.
class NodeSupply {
 public:
  // Finds the local nodes of earlier lives. `site.provider` is ignored: it is each driver's own.
  static Result<std::unique_ptr<NodeSupply>> open(SupplyWorld world, pools::LocalPoolOptions local,
                                                  const engine::PoolSite& site);

  // The head is at another address than in its earlier life.
  void head_moved(const std::string& agent_address) { local_pool_->head_moved(agent_address); }

  // Once the head has started.
  void start();
  // After a pool was changed.
  void adjust() { local_driver_.adjust(); }
  void carry_out(const core::Effect& effect);
  kj::Promise<Result<std::vector<engine::TokenGiven>>> make_tokens(engine::TokenRequest request) {
    return static_driver_.make_tokens(std::move(request));
  }
  // Ends the nodes that live by the head; those that were started by hand wait for the next one.
  kj::Promise<void> stop();

 private:
  NodeSupply(SupplyWorld world, kj::Own<pools::LocalPool> local, const engine::PoolSite& site);

  // Whoever shuts down does not wait for a store that is away.
  static constexpr kj::Duration kLastEvacuation = 10 * kj::SECONDS;

  engine::PoolServices services_with(pools::Provider& provider) const;
  kj::Promise<void> evacuate(NodeRef node);
  std::vector<NodeRef> connected_by_hand() const;

  SupplyWorld world_;
  kj::Own<pools::LocalPool> local_pool_;
  pools::StaticPool static_pool_;
  engine::EvacuatingProvider local_nodes_;
  engine::EvacuatingProvider static_nodes_;
  engine::PoolDriver local_driver_;
  engine::StaticDriver static_driver_;
  bool ending_ = false;
};

}  // namespace leat::scheduler
