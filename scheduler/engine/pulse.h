#pragma once

// pulse.h - tells whoever looks at the whole head that something has changed: pushed, coalesced,
// bounded.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <set>

#include "base/result.h"

namespace leat::engine {

// The cursor is the number of the last turn on disk, so it holds across restarts of the head.
// All who wait wake together, at most every kInterval: what they cost the head does not depend on
// how many turns there are.
//
// Borrows: timer. Thread: engine loop.
class Pulse final : private kj::TaskSet::ErrorHandler {
 public:
  static constexpr std::size_t kWaitersMax = 256;
  static constexpr kj::Duration kInterval = 200 * kj::MILLISECONDS;

  // `recovered`: the last turn on disk when the head started.
  Pulse(kj::Timer& timer, std::uint64_t recovered);
  // Calls that still wait may outlive it; they never resolve.
  ~Pulse() noexcept(false);

  // Turn `sequence` is on disk.
  void beat(std::uint64_t sequence);

  std::uint64_t sequence() const { return sequence_; }

  // Resolves when a turn beyond `seen` is on disk; kOverloaded when kWaitersMax wait.
  kj::Promise<Result<Done>> wait(std::uint64_t seen);

  std::size_t waiters() const { return waiters_.size(); }

 private:
  class Waiter;

  void wake_soon();
  void wake();
  void taskFailed(kj::Exception&& exception) override;

  kj::Timer& timer_;
  std::uint64_t sequence_;
  std::set<Waiter*> waiters_;
  kj::TimePoint woken_ = kj::origin<kj::TimePoint>();
  bool ever_woken_ = false;
  bool timer_set_ = false;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
