#pragma once

// pmi1_server.h - the sockets over which this node's ranks speak PMI-1.

#include <kj/async-unix.h>
#include <kj/io.h>

#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/pmi1.h"

namespace leat::mpi {

// Owns our ends. Borrows the layout. Thread: the loop's.
class Pmi1Server final : private kj::TaskSet::ErrorHandler {
 public:
  // kConnected, kFinalized and kAborted, as they happen.
  using OnEvent = std::function<void(const Pmi1::Event&)>;
  using Send = std::function<void(Message)>;

  struct Place {
    const Layout& layout;
    NodeIndex node = 0;
    std::string name;
  };

  Pmi1Server(kj::UnixEventPort& port, Place place, OnEvent on_event, Send send);
  ~Pmi1Server() noexcept(false);

  // The end for a rank that is about to start; it is to be closed here once that has begun.
  Result<kj::AutoCloseFd> open(Rank rank);
  // What that rank needs to find it.
  std::vector<std::string> variables_of(Rank rank) const;

  // The rank's process has ended: what it said before counts.
  void close(Rank rank);

  // kCollected of a barrier.
  void take(const Message& message);

 private:
  struct Connection {
    Connection(kj::UnixEventPort& port, Rank whose, kj::AutoCloseFd end);
    Rank rank;
    kj::AutoCloseFd fd;
    kj::UnixEventPort::FdObserver observer;
    std::string line;
  };

  kj::Promise<void> read_on(Rank rank);
  // All that is there now; false when there will be no more.
  bool read_now(Connection& connection);
  void take_lines(Connection& connection);
  void act(Pmi1::Outs outs);
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port_;
  Pmi1 pmi1_;
  const std::uint32_t size_;
  OnEvent on_event_;
  Send send_;
  std::uint64_t barriers_ = 0;
  std::map<Rank, Connection> connections_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
