#pragma once

// star.h - this launcher's place in the star: the hub with all its links, or one link to the hub.

#include <kj/async-io.h>
#include <kj/compat/tls.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/result.h"
#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/gang_link.h"
#include "mpi-tasks/hub.h"
#include "mpi-tasks/message.h"
#include "transport/listener.h"
#include "transport/liveness.h"

namespace leat::mpi {

// Owns links, listener and, on node 0, the hub. Borrows io and spec. Thread: the loop's.
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
  static constexpr std::size_t kHelloBytesMax = 64 * 1024;
  static constexpr kj::Duration kFarewell = 2 * kj::SECONDS;
  static constexpr kj::Duration kQuickFirst = 3 * kj::MILLISECONDS;
  static constexpr kj::Duration kQuickLast = 200 * kj::MILLISECONDS;

  Result<Done> listen();
  void greet(kj::Own<kj::AsyncIoStream> stream);
  void admit(GangLink& link, const Message& hello);
  void link_lost(NodeIndex node);
  bool all_have_left() const;
  kj::Promise<void> connect();
  // Until the next attempt to connect. All launchers of a gang start at once, so the hub is there
  // in a moment or not at all.
  kj::Duration patience();
  kj::Promise<void> serve_uplink(kj::Own<kj::AsyncIoStream> stream);
  void route(Hub::Outs outs);
  void deliver(Message message);
  void lost_hub(const std::string& why);
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoContext& io_;
  kj::Timer& timer_;
  const GangSpec& spec_;
  OnMessage on_message_;
  kj::Own<kj::TlsContext> context_;
  transport::Backoff backoff_;
  kj::Duration quick_ = kQuickFirst;
  bool ended_ = false;

  std::unique_ptr<Hub> hub_;                // node 0 only
  std::deque<Message> to_self_;             // from the hub to its own node
  std::map<NodeIndex, GangLink*> by_node_;  // those that have said who they are and are not lost
  std::set<NodeIndex> met_;                 // those that ever were among them
  kj::Own<kj::PromiseFulfiller<void>> all_left_;  // set while close() waits
  std::deque<std::unique_ptr<GangLink>> links_;

  std::deque<Message> unsent_;  // other nodes only
  std::unique_ptr<GangLink> uplink_;
  kj::TimePoint connect_until_;

  kj::TaskSet tasks_;                         // before the links go
  kj::Own<transport::TlsListener> listener_;  // first to go
};

}  // namespace leat::mpi
