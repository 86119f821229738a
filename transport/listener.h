#pragma once

// listener.h - ports that hand out authenticated streams, and the way to connect to them.
//
// Nothing of ours is parsed before a peer is authenticated: by mutual TLS on TCP, by its uid on a
// unix socket. All of it lives on one KJ loop.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "transport/identity.h"

namespace kj {
class TlsContext;
}

namespace leat::transport {

class Acceptor;

// Connections of one listener that have not proved who they are yet. Further ones are closed.
inline constexpr std::size_t kUnauthenticatedMax = 64;
inline constexpr kj::Duration kConnectDeadline = 10 * kj::SECONDS;
// sockaddr_un holds 108 bytes, one of them the final zero.
inline constexpr std::size_t kSocketPathMax = 107;

// Takes over an authenticated stream. Called on the loop; must not throw, and
// must not destroy the listener that calls.
using OnPeer = std::function<void(Peer, kj::Own<kj::AsyncIoStream>)>;
// One line for the log, at most one a second from each listener.
using OnComplaint = std::function<void(std::string_view line)>;

struct ListenerCounts {
  std::uint64_t accepted = 0;  // handed to OnPeer
  std::uint64_t refused = 0;   // garbage, no or wrong certificate, wrong uid, too slow
  std::uint64_t overflow = 0;  // closed at once, kUnauthenticatedMax were waiting
};

// A TCP port that speaks mutual TLS. Closed by the destructor; streams handed out live on.
// Borrows network, timer and context.
class TlsListener {
 public:
  // `address` is numeric with a port: "127.0.0.1:0", "[::1]:7000"; port 0 takes a free one. Never
  // a name and never all interfaces by default. Refused if it cannot be bound.
  static Result<kj::Own<TlsListener>> open(kj::Network& network, kj::Timer& timer,
                                           const std::string& address, kj::TlsContext& context,
                                           OnPeer on_peer, OnComplaint on_complaint = nullptr);
  // The same on a socket that listens already.
  static kj::Own<TlsListener> adopt(kj::Own<kj::ConnectionReceiver> receiver, kj::Timer& timer,
                                    kj::TlsContext& context, OnPeer on_peer,
                                    OnComplaint on_complaint = nullptr);
  explicit TlsListener(std::unique_ptr<Acceptor> acceptor);
  ~TlsListener();

  std::uint16_t port() const;
  const ListenerCounts& counts() const;

 private:
  std::unique_ptr<Acceptor> acceptor_;
};

// A unix socket, mode 0600 in a directory of mode 0700, for processes of our own uid; they appear
// as Peer{kUser, uid}. The socket's file stays behind; the next open() replaces it.
class LocalListener {
 public:
  // Refused: a path over kSocketPathMax bytes, a directory that is not private, something at
  // `path` that is not a socket, or a socket that somebody still serves.
  static Result<kj::Own<LocalListener>> open(kj::Network& network, kj::Timer& timer,
                                             const std::string& path, OnPeer on_peer,
                                             OnComplaint on_complaint = nullptr);
  explicit LocalListener(std::unique_ptr<Acceptor> acceptor);
  ~LocalListener();

  const ListenerCounts& counts() const;

 private:
  std::unique_ptr<Acceptor> acceptor_;
};

// Connects and demands a certificate for `server_name` (see identity.h), whatever the address.
// Rejects with a kj::Exception within kConnectDeadline. Borrows all but the strings until resolved.
kj::Promise<kj::Own<kj::AsyncIoStream>> connect_tls(kj::Network& network, kj::Timer& timer,
                                                    const std::string& address,
                                                    kj::TlsContext& context,
                                                    const std::string& server_name);

// Connects to a LocalListener of our own uid. Rejects with a kj::Exception.
kj::Promise<kj::Own<kj::AsyncIoStream>> connect_local(kj::Network& network,
                                                      const std::string& path);

// Keepalive 2/1/3, TCP_USER_TIMEOUT 5 s, no delay: a silent peer is noticed within seconds.
void set_tcp_options(kj::AsyncIoStream& stream);

}  // namespace leat::transport
