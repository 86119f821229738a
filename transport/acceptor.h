#pragma once

// acceptor.h - takes connections, a bounded number of strangers at a time.
//
// What the three kinds of listener share; only for the sources of this folder.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "transport/listener.h"

namespace leat::transport {

// Hands each connection to `greet`, which resolves once the stranger has been dealt with and
// rejects to refuse it. At most kUnauthenticatedMax are being greeted at once and each for at most
// kGreetDeadline; further connections are closed on sight.
//
// Owns the receiver. Borrows the timer. Thread: one loop.
class Acceptor final : private kj::TaskSet::ErrorHandler {
 public:
  using Greet = std::function<kj::Promise<void>(kj::AuthenticatedStream)>;

  static constexpr kj::Duration kGreetDeadline = 10 * kj::SECONDS;

  // `name` is what complaints begin with.
  Acceptor(kj::Own<kj::ConnectionReceiver> receiver, kj::Timer& timer, std::string name,
           Greet greet, OnComplaint on_complaint);

  std::uint16_t port() const { return port_; }
  const ListenerCounts& counts() const { return counts_; }

 private:
  // After a failed accept (no descriptors left): the connection is still queued, so trying again
  // at once would spin.
  static constexpr kj::Duration kAcceptPause = 100 * kj::MILLISECONDS;
  static constexpr kj::Duration kComplaintInterval = 1 * kj::SECONDS;

  kj::Promise<void> accept_next();
  void admit(kj::AuthenticatedStream connection);
  void complain(kj::StringPtr reason);
  void taskFailed(kj::Exception&& exception) override;

  kj::Own<kj::ConnectionReceiver> receiver_;
  const std::uint16_t port_;
  kj::Timer& timer_;
  std::string name_;
  Greet greet_;
  OnComplaint on_complaint_;
  ListenerCounts counts_;
  std::size_t greeting_ = 0;
  kj::Maybe<kj::TimePoint> complained_at_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

// Binds a numeric "address:port" (IPv6 in brackets) or refuses with one line.
Result<kj::Own<kj::ConnectionReceiver>> bind_tcp(kj::Network& network, const std::string& address);

// The first line of an exception's description.
std::string first_line(const kj::Exception& exception);

}  // namespace leat::transport
