#include "scheduler/engine/pulse.h"

#include <vector>

namespace leat::engine {

// One waiting call. Registers itself, and leaves when its promise is dropped.
class Pulse::Waiter {
 public:
  Waiter(kj::PromiseFulfiller<Result<Done>>& fulfiller, Pulse& pulse, std::uint64_t seen)
      : fulfiller_(fulfiller), pulse_(&pulse), seen_(seen) {
    pulse_->waiters_.insert(this);
  }
  ~Waiter() {
    if (pulse_ != nullptr) pulse_->waiters_.erase(this);
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  std::uint64_t seen() const { return seen_; }
  void forget_pulse() { pulse_ = nullptr; }
  void wake() { fulfiller_.fulfill(Result<Done>(Done{})); }

 private:
  kj::PromiseFulfiller<Result<Done>>& fulfiller_;
  Pulse* pulse_;  // null once it is gone
  std::uint64_t seen_;
};

Pulse::Pulse(kj::Timer& timer, std::uint64_t recovered)
    : timer_(timer), sequence_(recovered), tasks_(*this) {}

Pulse::~Pulse() noexcept(false) {
  for (Waiter* waiter : waiters_) waiter->forget_pulse();
}

void Pulse::beat(std::uint64_t sequence) {
  sequence_ = sequence;
  if (!waiters_.empty()) wake_soon();
}

kj::Promise<Result<Done>> Pulse::wait(std::uint64_t seen) {
  if (waiters_.size() >= kWaitersMax)
    return Result<Done>(Refusal{Reason::kOverloaded, "too many watchers: try again in a moment"});
  kj::Promise<Result<Done>> woken = kj::newAdaptedPromise<Result<Done>, Waiter>(*this, seen);
  if (sequence_ > seen) wake_soon();
  return woken;
}

void Pulse::wake_soon() {
  if (timer_set_) return;
  const kj::TimePoint due = woken_ + kInterval;
  if (!ever_woken_ || due <= timer_.now()) {
    wake();
    return;
  }
  timer_set_ = true;
  tasks_.add(timer_.atTime(due).then([this] {
    timer_set_ = false;
    wake();
  }));
}

void Pulse::wake() {
  std::vector<Waiter*> ready;
  for (Waiter* waiter : waiters_)
    if (waiter->seen() < sequence_) ready.push_back(waiter);
  if (ready.empty()) return;
  woken_ = timer_.now();
  ever_woken_ = true;
  for (Waiter* waiter : ready) {
    waiters_.erase(waiter);
    waiter->wake();
  }
}

void Pulse::taskFailed(kj::Exception&& exception) {
  // Timers do not fail.
  kj::throwFatalException(kj::mv(exception));
}

}  // namespace leat::engine
