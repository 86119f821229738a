#include "transport/liveness.h"

#include <kj/debug.h>

#include <algorithm>
#include <utility>

namespace leat::transport {

kj::Duration to_kj(Duration duration) {
  return duration.count() * kj::MICROSECONDS;
}

Duration Backoff::next() {
  const Duration half = ceiling_ / 2;
  const auto spread = static_cast<std::uint64_t>(half.count()) + 1;
  const auto jitter = static_cast<Duration::rep>(random_.below(spread));
  ceiling_ = std::min(ceiling_ * 2, kLast);
  return half + Duration(jitter);
}

kj::Promise<void> ping_forever(kj::Timer& timer, std::function<kj::Promise<void>()> ping,
                               Duration interval, Duration deadline) {
  kj::Promise<void> too_late = timer.afterDelay(to_kj(deadline)).then([]() -> kj::Promise<void> {
    return KJ_EXCEPTION(DISCONNECTED, "the peer did not answer a ping in time");
  });
  kj::Promise<void> answered = kj::evalNow([&ping] { return ping(); });
  return answered.exclusiveJoin(kj::mv(too_late))
      .then([&timer, interval] { return timer.afterDelay(to_kj(interval)); })
      .then([&timer, ping = std::move(ping), interval, deadline]() mutable {
        return ping_forever(timer, std::move(ping), interval, deadline);
      });
}

}  // namespace leat::transport
