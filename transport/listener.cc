#include "transport/listener.h"

#include <kj/compat/tls.h>
#include <kj/debug.h>
#include <kj/io.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "transport/acceptor.h"
#include "transport/secret_file.h"

namespace leat::transport {
namespace {

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Removes a socket that nobody serves, so that its name can be bound again.
Result<Done> clear_stale_socket(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return Done{};
    return invalid(path + ": cannot look at: " + std::strerror(errno));
  }
  if (!S_ISSOCK(status.st_mode)) return invalid(path + ": is in the way and not a socket");
  // Non-blocking: a live server with a full backlog answers EAGAIN instead of making us wait.
  const int raw = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (raw < 0) return invalid(std::string("cannot make a socket: ") + std::strerror(errno));
  const kj::AutoCloseFd probe(raw);
  const bool answered =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (answered || errno != ECONNREFUSED)
    return Refusal{Reason::kConflict, path + ": another process is serving this socket"};
  if (::unlink(path.c_str()) != 0)
    return invalid(path + ": cannot remove the stale socket: " + std::strerror(errno));
  return Done{};
}

Result<kj::Own<kj::ConnectionReceiver>> bind_unix(kj::Network& network, const std::string& path) {
  if (path.size() > kSocketPathMax)
    return invalid(path + ": too long for a socket: " + std::to_string(path.size()) + " bytes, " +
                   std::to_string(kSocketPathMax) + " are possible");
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos || slash == 0)
    return invalid(path + ": a socket needs a directory of its own");
  const Result<Done> private_dir = ensure_private_directory(path.substr(0, slash));
  if (!private_dir.ok()) return private_dir.refusal();
  const sockaddr_un address = unix_address(path);
  const Result<Done> cleared = clear_stale_socket(path, address);
  if (!cleared.ok()) return cleared.refusal();

  kj::Own<kj::ConnectionReceiver> receiver;
  KJ_IF_MAYBE (failure, kj::runCatchingExceptions([&] {
                 receiver = network.getSockaddr(&address, sizeof address)->listen();
               })) {
    return invalid(path + ": cannot listen: " + first_line(*failure));
  }
  // Nobody could come in between: the directory is closed to others.
  if (::chmod(path.c_str(), 0600) != 0)
    return invalid(path + ": cannot set mode: " + std::strerror(errno));
  return receiver;
}

// Rejects unless the process at the other end of a unix socket has our uid.
std::uint32_t require_our_uid(kj::PeerIdentity& identity) {
  auto* local = dynamic_cast<kj::LocalPeerIdentity*>(&identity);
  KJ_REQUIRE(local != nullptr, "not a local connection");
  const kj::uint uid = KJ_REQUIRE_NONNULL(local->getCredentials().uid, "peer without a uid");
  KJ_REQUIRE(uid == ::geteuid(), "peer has another uid", uid);
  return uid;
}

Peer require_peer(kj::PeerIdentity& identity) {
  auto* certified = dynamic_cast<kj::TlsPeerIdentity*>(&identity);
  KJ_REQUIRE(certified != nullptr && certified->hasCertificate(), "peer shows no certificate");
  const kj::String name = certified->getCommonName();
  Result<Peer> peer = parse_common_name({name.cStr(), name.size()});
  KJ_REQUIRE(peer.ok(), "peer's certificate carries a strange name");
  return std::move(peer).value();
}

}  // namespace

TlsListener::TlsListener(std::unique_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
TlsListener::~TlsListener() = default;

Result<kj::Own<TlsListener>> TlsListener::open(kj::Network& network, kj::Timer& timer,
                                               const std::string& address, kj::TlsContext& context,
                                               OnPeer on_peer, OnComplaint on_complaint) {
  Result<kj::Own<kj::ConnectionReceiver>> receiver = bind_tcp(network, address);
  if (!receiver.ok()) return receiver.refusal();
  return adopt(std::move(receiver).value(), timer, context, std::move(on_peer),
               std::move(on_complaint));
}

kj::Own<TlsListener> TlsListener::adopt(kj::Own<kj::ConnectionReceiver> receiver, kj::Timer& timer,
                                        kj::TlsContext& context, OnPeer on_peer,
                                        OnComplaint on_complaint) {
  auto greet = [&context, on_peer = std::move(on_peer)](kj::AuthenticatedStream connection) {
    set_tcp_options(*connection.stream);
    return context.wrapServer(kj::mv(connection)).then([&on_peer](kj::AuthenticatedStream secured) {
      const Peer peer = require_peer(*secured.peerIdentity);
      on_peer(peer, kj::mv(secured.stream));
    });
  };
  return kj::heap<TlsListener>(std::make_unique<Acceptor>(
      kj::mv(receiver), timer, "tls port", std::move(greet), std::move(on_complaint)));
}

std::uint16_t TlsListener::port() const {
  return acceptor_->port();
}

const ListenerCounts& TlsListener::counts() const {
  return acceptor_->counts();
}

LocalListener::LocalListener(std::unique_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
LocalListener::~LocalListener() = default;

Result<kj::Own<LocalListener>> LocalListener::open(kj::Network& network, kj::Timer& timer,
                                                   const std::string& path, OnPeer on_peer,
                                                   OnComplaint on_complaint) {
  Result<kj::Own<kj::ConnectionReceiver>> receiver = bind_unix(network, path);
  if (!receiver.ok()) return receiver.refusal();
  auto greet = [on_peer = std::move(on_peer)](kj::AuthenticatedStream connection) {
    Peer peer;
    peer.kind = Peer::Kind::kUser;
    peer.uid = require_our_uid(*connection.peerIdentity);
    on_peer(peer, kj::mv(connection.stream));
    return kj::Promise<void>(kj::READY_NOW);
  };
  return kj::heap<LocalListener>(std::make_unique<Acceptor>(std::move(receiver).value(), timer,
                                                            "local socket", std::move(greet),
                                                            std::move(on_complaint)));
}

const ListenerCounts& LocalListener::counts() const {
  return acceptor_->counts();
}

kj::Promise<kj::Own<kj::AsyncIoStream>> connect_local(kj::Network& network,
                                                      const std::string& path) {
  KJ_REQUIRE(path.size() <= kSocketPathMax, "path too long for a socket", path.size());
  const sockaddr_un address = unix_address(path);
  kj::Own<kj::NetworkAddress> where = network.getSockaddr(&address, sizeof address);
  kj::Promise<kj::AuthenticatedStream> connected = where->connectAuthenticated();
  return connected.attach(kj::mv(where)).then([](kj::AuthenticatedStream connection) {
    require_our_uid(*connection.peerIdentity);
    return kj::mv(connection.stream);
  });
}

}  // namespace leat::transport
