#include "scheduler/engine/engine_loop.h"

#include <utility>

namespace leat::engine {

EngineLoop::EngineLoop(Engine& engine, kj::Timer& timer, Clock clock, Withdraw withdraw)
    : engine_(engine),
      timer_(timer),
      clock_(std::move(clock)),
      withdraw_(std::move(withdraw)),
      tasks_(*this) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  failed_ = kj::mv(paf.fulfiller);
  on_failed_ = kj::mv(paf.promise);
  engine_.on_work([this] { schedule(); });
  tasks_.add(tick_forever());
  tasks_.add(rebalance_forever());
}

EngineLoop::~EngineLoop() noexcept(false) {
  engine_.on_work(nullptr);
}

kj::Promise<void> EngineLoop::run() {
  return engine_.on_broken().exclusiveJoin(kj::mv(on_failed_));
}

void EngineLoop::schedule() {
  if (std::exchange(scheduled_, true)) return;
  // After everything else that this iteration of the loop has to do: it may bring more commands.
  tasks_.add(kj::evalLast([this] { turn(); }));
}

void EngineLoop::turn() {
  scheduled_ = false;
  engine_.turn(clock_());
}

kj::Promise<void> EngineLoop::tick_forever() {
  return timer_.afterDelay(kTickInterval).then([this]() -> kj::Promise<void> {
    if (!tick_waits_ && core::wants_tick(engine_.state(), clock_())) {
      tick_waits_ = true;
      tasks_.add(engine_.post(core::Tick{}).then([this](auto&&) { tick_waits_ = false; }));
    }
    return tick_forever();
  });
}

kj::Promise<void> EngineLoop::rebalance_forever() {
  return timer_.afterDelay(kRebalanceInterval).then([this]() -> kj::Promise<void> {
    const core::State& state = engine_.state();
    if (state.jobs().size() > state.ended_jobs().size())
      for (const core::Withdrawal& withdrawal : core::rebalance(state)) withdraw_(withdrawal);
    return rebalance_forever();
  });
}

void EngineLoop::taskFailed(kj::Exception&& exception) {
  failed_->reject(kj::mv(exception));
}

}  // namespace leat::engine
