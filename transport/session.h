#pragma once

// session.h - one Cap'n Proto conversation over one authenticated stream.

#include <capnp/capability.h>
#include <kj/async-io.h>

#include <cstdint>
#include <memory>

namespace leat::transport {

// Bounds on what the peer may send us.
struct SessionLimits {
  std::uint64_t message_words = 0;  // the largest message, and what of it may be traversed
  std::uint64_t flow_words = 0;     // unanswered calls beyond this stop the reading
  bool answers_first = false;       // and so does a peer that does not take our answers
};

inline constexpr std::uint64_t kMebi = 1024 * 1024;
// What the head takes from an agent or a user.
inline constexpr SessionLimits kHeadLimits{1 * kMebi, 4 * kMebi};
// What an agent or the command line takes from the head.
inline constexpr SessionLimits kAgentLimits{4 * kMebi, 16 * kMebi};
// Who reads and writes on the data plane, and who serves it.
inline constexpr SessionLimits kDataLimits{4 * kMebi, 16 * kMebi};
inline constexpr SessionLimits kDataServerLimits{4 * kMebi, 16 * kMebi, true};

// Owns stream, network and RPC system, destroyed in reverse. Create and destroy it on the loop,
// and never from within one of its own calls or callbacks: hand it to a TaskSet or a later turn.
// Capabilities of the peer outlive it, but their calls fail with DISCONNECTED.
class Session {
 public:
  enum class Side : std::uint8_t { kAccepted, kConnected };

  // `bootstrap` is what the peer gets from its peer(); nullptr if we offer nothing.
  Session(kj::Own<kj::AsyncIoStream> stream, Side side, capnp::Capability::Client bootstrap,
          const SessionLimits& limits);
  ~Session() noexcept(false);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The peer's bootstrap capability: `session.peer().castAs<schema::X>()`.
  capnp::Capability::Client peer();

  // Resolves, never rejects, when the session is lost, whatever the cause.
  kj::Promise<void> on_disconnect();

  // Resolves when the peer has taken all but a little of what was sent; rejects when it is lost.
  kj::Promise<void> when_writable();

  // Bytes of Cap'n Proto messages, before encryption.
  std::uint64_t bytes_in() const;
  std::uint64_t bytes_out() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace leat::transport
