#pragma once

// uplink.h - the way from a launcher to the hub: a connection there, or to its parent in the tree.

#include <kj/async-io.h>
#include <kj/compat/tls.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/gang_link.h"
#include "mpi-tasks/message.h"
#include "transport/liveness.h"

namespace leat::mpi {

// Connects to the hub. If that is not our parent, it waits there to be told where that one listens,
// connects to it, and lets go of the first connection when the hub has heard of the second.
//
// Owns links. Borrows everything it is made with. Thread: the loop's.
class Uplink final : private kj::TaskSet::ErrorHandler {
 public:
  // Called on the loop, never from within a call of ours.
  struct Events {
    // The hub is reached by this stream: where others are to connect to us; empty if nowhere. A
    // refusal ends the gang.
    std::function<Result<std::string>(kj::AsyncIoStream&)> listen;
    std::function<void(Message)> on_message;
    // Nothing more will come.
    std::function<void(std::string why)> on_lost;
  };

  Uplink(kj::AsyncIoContext& io, kj::TlsContext& context, const GangSpec& spec, std::uint64_t seed,
         Events events);
  ~Uplink() noexcept(false);

  void open();
  // What is sent before the connection stands is sent then. A failure does not wait for that.
  void send(Message message);
  void close();

 private:
  // Those to whom others connect listen before anybody is told, so they are there or never will be.
  static constexpr kj::Duration kParentDeadline = 30 * kj::SECONDS;
  static constexpr kj::Duration kQuickFirst = 3 * kj::MILLISECONDS;
  static constexpr kj::Duration kQuickLast = 200 * kj::MILLISECONDS;
  static constexpr std::size_t kUnsentMax = 65'536;

  bool is_child_of_hub() const { return parent_ == 0; }
  const std::string& name_of(NodeIndex node) const { return spec_.layout.node(node).name; }

  // Tries until then.
  kj::Promise<kj::Own<kj::AsyncIoStream>> reach(std::string address, kj::TimePoint until);
  // Until the next attempt to connect. All launchers of a gang start at once, so the hub is there
  // in a moment or not at all.
  kj::Duration patience();
  kj::Promise<void> meet_hub(kj::Own<kj::AsyncIoStream> stream);
  void take_from_hub(Message message);
  void meet_parent(const std::string& address);
  kj::Promise<void> serve(std::unique_ptr<GangLink> link);
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoContext& io_;
  kj::Timer& timer_;
  kj::TlsContext& context_;
  const GangSpec& spec_;
  const NodeIndex parent_;
  Events events_;
  transport::Backoff backoff_;
  kj::Duration quick_ = kQuickFirst;
  bool sent_off_ = false;

  std::deque<Message> unsent_;
  std::unique_ptr<GangLink> first_;  // to the hub, which is not our parent
  std::unique_ptr<GangLink> link_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
