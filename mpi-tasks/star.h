#pragma once

// star.h - this launcher's place among those of its gang: with the hub in it or a way there, and
// perhaps with others that are connected to it.
//
// Up to a number of nodes the launchers form a star around the hub, above it a tree (tree.h).

#include <kj/async-io.h>
#include <kj/compat/tls.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "mpi-tasks/branches.h"
#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/hub.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/relay.h"
#include "mpi-tasks/tree.h"
#include "mpi-tasks/uplink.h"

namespace leat::mpi {

// Owns the connections and, on node 0, the hub. Borrows io and spec. Thread: the loop's.
//
// Invariant: on_message gets kEnd exactly once, and nothing after it. If the connection to the hub
// cannot be made or is lost, that kEnd says so, and its flag is set.
class Star final : private kj::TaskSet::ErrorHandler {
 public:
  // Called on the loop, never from within a call of ours.
  using OnMessage = std::function<void(Message)>;

  Star(kj::AsyncIoContext& io, const GangSpec& spec, std::uint64_t seed, OnMessage on_message);
  ~Star() noexcept(false);

  // Begins to listen or to connect. Refused: what we inherited is no listening socket, or we
  // cannot listen where we should.
  Result<Done> open();

  // To the hub. What is sent before the connection stands is sent then.
  void send(Message message);

  // After kEnd: resolves when the others have heard it too, or have been given enough time: those
  // who have not come yet, as long as they may take to come, unless we are in a `hurry`.
  kj::Promise<void> close(bool hurry);

 private:
  static constexpr kj::Duration kFarewell = 2 * kj::SECONDS;

  Result<Done> open_hub();
  void open_relay();
  // Of the hub.
  void route(const Hub::Outs& outs);
  void route(const Hub::Out& out);
  // Of all others.
  void pass(Relay::Onward onward);
  void lost_hub(const std::string& why);

  void deliver(Message message);
  void fail(const std::string& why);
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoContext& io_;
  kj::Timer& timer_;
  const GangSpec& spec_;
  const Tree tree_;
  OnMessage on_message_;
  const std::uint64_t seed_;
  const kj::TimePoint come_until_;  // all others
  kj::Own<kj::TlsContext> context_;
  bool ended_ = false;

  std::unique_ptr<Hub> hub_;            // node 0 only
  std::deque<Message> to_self_;         // from the hub to its own node
  std::unique_ptr<Relay> relay_;        // other nodes only
  std::unique_ptr<Branches> branches_;  // null: nobody connects to us
  std::unique_ptr<Uplink> uplink_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
