#pragma once

// branches.h - the launchers that are connected to this one: who they are, and their messages.

#include <kj/async-io.h>
#include <kj/compat/tls.h>

#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/gang_link.h"
#include "mpi-tasks/message.h"
#include "transport/listener.h"

namespace leat::mpi {

// The first word of a launcher on every connection that it makes.
Message hello_of(const GangSpec& spec);

// Owns links and listener. Borrows everything it is made with. Thread: the loop's.
class Branches final : private kj::TaskSet::ErrorHandler {
 public:
  // Called on the loop, never from within a call of ours.
  struct Events {
    std::function<bool(NodeIndex)> expected;
    // Has connected, and may be sent something. Once for each node.
    std::function<void(NodeIndex, const Message& hello)> on_hello;
    std::function<void(NodeIndex, Message)> on_message;
    std::function<void(NodeIndex)> on_lost;
    // We cannot go on.
    std::function<void(std::string why)> on_failure;
  };

  Branches(kj::AsyncIoContext& io, kj::TlsContext& context, const GangSpec& spec, Events events);
  ~Branches() noexcept(false);

  // On a socket that listens already; it is ours then.
  void listen(int socket);
  // On any port of the interface that `beside` is connected by; "address:port" of it. Refused if
  // there is none.
  Result<std::string> listen_beside(kj::AsyncIoStream& beside);

  bool has(NodeIndex node) const { return by_node_.contains(node); }
  // How many were ever connected.
  std::size_t met() const { return met_.size(); }
  // To those of them that are connected.
  void send(const std::vector<NodeIndex>& nodes, const Message& message);
  // It will leave, and that is no loss.
  void release(NodeIndex node);

  // Whether nobody is connected any more, after at least so many have been.
  bool have_left(std::size_t met_min) const { return by_node_.empty() && met() >= met_min; }
  // Resolves when have_left().
  kj::Promise<void> when_left(std::size_t met_min);

 private:
  static constexpr std::size_t kHelloBytesMax = 64 * 1024;
  using Place = std::list<GangLink>::iterator;

  void greet(kj::Own<kj::AsyncIoStream> stream);
  kj::Promise<void> admit(GangLink& link, const Message& hello);
  void lose(NodeIndex node, const GangLink& link);
  void tell_if_left();
  void taskFailed(kj::Exception&& exception) override;

  kj::AsyncIoContext& io_;
  kj::TlsContext& context_;
  const GangSpec& spec_;
  Events events_;
  std::map<NodeIndex, GangLink*> by_node_;  // those that have said who they are and are not lost
  std::set<NodeIndex> met_;                 // those that ever were among them
  std::size_t met_min_ = 0;
  kj::Own<kj::PromiseFulfiller<void>> left_;  // set while somebody waits for when_left()
  std::list<GangLink> links_;
  kj::TaskSet tasks_;                         // before the links go
  kj::Own<transport::TlsListener> listener_;  // first to go
};

}  // namespace leat::mpi
