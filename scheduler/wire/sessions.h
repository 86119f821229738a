#pragma once

// sessions.h - the open conversations of one door of the head, bounded and counted.

#include <capnp/capability.h>
#include <kj/async-io.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "transport/session.h"

namespace leat::wire {

// Owns sessions until the peer goes or close() is called; ends them only from the loop, never
// within a call of theirs. Thread: engine loop.
class Sessions final : private kj::TaskSet::ErrorHandler {
 public:
  using Id = std::uint64_t;

  // More than `max` at once are closed on sight.
  Sessions(std::size_t max, transport::SessionLimits limits);
  ~Sessions() noexcept(false);

  // Opens a session that offers bootstrap(id). `on_closed` is called once, when it is over.
  // False, and the stream dropped, if there are too many.
  bool open(kj::Own<kj::AsyncIoStream> stream,
            const std::function<capnp::Capability::Client(Id)>& bootstrap,
            std::function<void(Id)> on_closed);

  // Ends it in a later turn of the loop. Harmless for one that is over.
  void close(Id id);

  std::size_t size() const { return open_.size(); }
  // Of all sessions so far, before encryption.
  std::uint64_t bytes_in() const;
  std::uint64_t bytes_out() const;

 private:
  struct Open {
    kj::Own<transport::Session> session;
    std::function<void(Id)> on_closed;
  };

  void remove(Id id);
  void taskFailed(kj::Exception&& exception) override;

  std::size_t max_;
  transport::SessionLimits limits_;
  Id next_ = 1;
  std::map<Id, Open> open_;
  std::uint64_t past_bytes_in_ = 0;
  std::uint64_t past_bytes_out_ = 0;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::wire
