#pragma once

// support.h - a loop, a cluster and a private directory for the tests of transport.

#include <gtest/gtest.h>
#include <kj/async-io.h>
#include <kj/compat/tls.h>
#include <kj/time.h>
#include <kj/timer.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "transport/authority.h"
#include "transport/identity.h"
#include "transport/tls.h"

namespace leat::transport {

// A directory of mode 0700 that goes away with this.
class PrivateDirectory {
 public:
  PrivateDirectory() {
    char name[] = "/tmp/leat-transport-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~PrivateDirectory() { std::filesystem::remove_all(path_); }
  PrivateDirectory(const PrivateDirectory&) = delete;
  PrivateDirectory& operator=(const PrivateDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void spill(const std::string& path, const std::string& content, ::mode_t mode = 0600) {
  std::ofstream(path) << content;
  ::chmod(path.c_str(), mode);
}

inline std::string slurp(const std::string& path) {
  std::ostringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

// Certificates are checked against the machine's own clock by OpenSSL.
inline WallSeconds wall_now() {
  return (kj::systemPreciseCalendarClock().now() - kj::UNIX_EPOCH) / kj::SECONDS;
}

inline Peer head_peer() {
  return {Peer::Kind::kHead, {}, 0};
}
inline Peer agent_peer(std::uint32_t node, std::uint64_t epoch) {
  return {Peer::Kind::kAgent, {{node}, {epoch}}, 0};
}
inline Peer user_peer(std::uint32_t uid) {
  return {Peer::Kind::kUser, {}, uid};
}

// A cluster's authority in a directory of its own.
struct Cluster {
  explicit Cluster(std::string cluster_id = new_cluster_id())
      : id(std::move(cluster_id)),
        authority(ClusterAuthority::create(directory.path(), id, wall_now()).value()) {}

  Credentials issue(const Peer& peer) const { return authority.issue(peer, wall_now()); }
  std::string head_name() const { return server_name(Peer::Kind::kHead, id); }

  PrivateDirectory directory;
  std::string id;
  ClusterAuthority authority;
};

// A KJ loop with sockets. Every wait has a deadline, so that a lost event fails one test.
struct Loop {
  template <typename T>
  T within(kj::Promise<T> promise) {
    return timer().timeoutAfter(20 * kj::SECONDS, kj::mv(promise)).wait(io.waitScope);
  }
  kj::Network& network() { return io.provider->getNetwork(); }
  kj::Timer& timer() { return io.provider->getTimer(); }

  // A plain TCP connection to a port of ours.
  kj::Own<kj::AsyncIoStream> dial(std::uint16_t port) {
    auto address = within(network().parseAddress("127.0.0.1", port));
    return within(address->connect());
  }

  // Whether the stream ends or breaks without a byte of data.
  kj::Promise<bool> closed_silently(kj::AsyncIoStream& stream) {
    return stream.tryRead(byte_, 1, 1)
        .then([](std::size_t n) { return n == 0; }, [](kj::Exception&&) { return true; });
  }

  kj::AsyncIoContext io = kj::setupAsyncIo();

 private:
  char byte_[1];
};

inline std::string local(std::uint16_t port) {
  return "127.0.0.1:" + std::to_string(port);
}

}  // namespace leat::transport
