#pragma once

// head.h - one life of the head: the production engine and agent links over the virtual disk.

#include <kj/async.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.h"
#include "scheduler/engine/agent_link.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/engine_loop.h"
#include "scheduler/engine/evacuating_provider.h"
#include "scheduler/engine/pool_driver.h"
#include "tests/sim/disk.h"
#include "tests/sim/events.h"
#include "transport/ticket.h"

namespace leat::sim {

class Head final : private kj::TaskSet::ErrorHandler {
 public:
  // Its nodes come from `provider`; their tokens are made with `random`.
  Head(Events& events, Disk& disk, const transport::TicketSigner& signer, pools::Provider& provider,
       Random& random);

  // Dies if what is on disk cannot be recovered.
  static store::Recovered recover(Disk& disk);

  engine::Engine& engine() { return engine_; }
  engine::AgentLinks& links() { return links_; }
  const core::State& state() const { return engine_.state(); }
  HeadEpoch epoch() const { return state().meta().epoch; }
  bool ready() const { return ready_; }

  // Runs `then` with the answer once it is durable, unless this head is dead by then.
  void ask(core::Command command, std::function<void(const Result<core::Answer>&)> then);

 private:
  class Sink final : public engine::EffectSink {
   public:
    explicit Sink(Head& head) : head_(head) {}
    void carry_out(const core::Effect& effect) override {
      head_.links_.carry_out(effect);
      head_.pools_.carry_out(effect);
    }

   private:
    Head& head_;
  };

  void taskFailed(kj::Exception&& exception) override;

  Events& events_;
  Sink sink_;
  engine::Engine engine_;
  engine::TicketOffice tickets_;
  engine::AgentLinks links_;
  engine::EvacuatingProvider nodes_;
  engine::PoolDriver pools_;
  engine::EngineLoop loop_;
  bool ready_ = false;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::sim
