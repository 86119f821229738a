#pragma once

// peer_links.h - connections to other agents' data ports and to leat-store, shared and kept.

#include <capnp/capability.h>
#include <kj/async-io.h>
#include <kj/timer.h>

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <utility>

#include "transport/session.h"

namespace kj {
class TlsContext;
}

namespace leat::agent {

// Owns the sessions. Borrows network, timer and context. Thread: the loop's.
class PeerLinks final : private kj::TaskSet::ErrorHandler {
 public:
  // More are not kept open; the one used longest ago goes.
  static constexpr std::size_t kLinksMax = 256;

  PeerLinks(kj::Network& network, kj::Timer& timer, kj::TlsContext& context)
      : network_(network), timer_(timer), context_(context), tasks_(*this) {}

  // The bootstrap of the server at `address` that can show `server_name`. Rejects if it cannot be
  // reached; a lost one is connected to anew by the next call.
  kj::Promise<capnp::Capability::Client> get(const std::string& address,
                                             const std::string& server_name);

 private:
  using Key = std::pair<std::string, std::string>;
  struct Link {
    std::uint64_t number = 0;
    kj::Own<transport::Session> session;  // null while connecting
    kj::ForkedPromise<void> connected = nullptr;
    std::list<Key>::iterator age;
  };

  kj::Promise<void> connect(const Key& key, std::uint64_t number);
  void drop(const Key& key, std::uint64_t number);
  void taskFailed(kj::Exception&&) override {}

  kj::Network& network_;
  kj::Timer& timer_;
  kj::TlsContext& context_;
  std::uint64_t next_ = 1;
  std::map<Key, Link> links_;
  std::list<Key> oldest_first_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
