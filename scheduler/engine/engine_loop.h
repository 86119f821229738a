#pragma once

// engine_loop.h - decides when the engine turns: at once when work waits, and as time passes.

#include <kj/async.h>
#include <kj/timer.h>

#include <functional>

#include "base/time.h"
#include "scheduler/core/messages.h"
#include "scheduler/engine/engine.h"

namespace leat::engine {

// The instant of now, never backwards; see base/time.h. Passed in, because nobody but main.cc
// reads clocks.
using Clock = std::function<Time()>;

// Turns the engine on a kj loop. All commands that one iteration of the loop brings share a turn.
//
// Borrows: engine, timer. Thread: engine loop.
class EngineLoop final : private kj::TaskSet::ErrorHandler {
 public:
  using Withdraw = std::function<void(const core::Withdrawal&)>;

  static constexpr kj::Duration kTickInterval = 1 * kj::SECONDS;
  static constexpr kj::Duration kRebalanceInterval = 250 * kj::MILLISECONDS;

  // `withdraw` asks a node to give runs back.
  EngineLoop(Engine& engine, kj::Timer& timer, Clock clock, Withdraw withdraw);
  ~EngineLoop() noexcept(false);

  // Rejects when the store has failed, or on a bug of ours; until then, pending. One caller.
  kj::Promise<void> run();

 private:
  void schedule();
  void turn();
  kj::Promise<void> tick_forever();
  kj::Promise<void> rebalance_forever();
  void taskFailed(kj::Exception&& exception) override;

  Engine& engine_;
  kj::Timer& timer_;
  Clock clock_;
  Withdraw withdraw_;
  bool scheduled_ = false;
  bool tick_waits_ = false;
  kj::Own<kj::PromiseFulfiller<void>> failed_;
  kj::Promise<void> on_failed_ = nullptr;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
