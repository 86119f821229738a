#pragma once

// liveness.h - when to try again, and when to give a peer up.

#include <kj/async.h>
#include <kj/timer.h>

#include <functional>

#include "base/random.h"
#include "base/time.h"

namespace leat::transport {

kj::Duration to_kj(Duration duration);

// Waiting times between attempts to connect: they double from kFirst to kLast, each shortened at
// random by up to half so that a thousand agents do not return in one instant.
class Backoff {
 public:
  static constexpr Duration kFirst = std::chrono::milliseconds(400);
  static constexpr Duration kLast = std::chrono::seconds(5);

  // Every process needs a seed of its own, or the jitter is none.
  explicit Backoff(Random random) : random_(random) {}

  // 0.2 s <= result <= 5 s.
  Duration next();
  // After a success.
  void reset() { ceiling_ = kFirst; }

 private:
  Random random_;
  Duration ceiling_ = kFirst;
};

// Calls `ping` now and then `interval` after each answer, for ever. Rejects with DISCONNECTED when
// an answer takes longer than `deadline`, with the ping's own exception when it fails. Dropping
// the promise stops it. Borrows timer.
kj::Promise<void> ping_forever(kj::Timer& timer, std::function<kj::Promise<void>()> ping,
                               Duration interval, Duration deadline);

}  // namespace leat::transport
