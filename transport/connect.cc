// connect.cc - the connecting side of listener.h, and the socket options of both.

#include <kj/compat/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "transport/listener.h"

namespace leat::transport {
namespace {

// A silent peer is given up after 2 + 3 * 1 idle seconds; one that leaves our bytes
// unacknowledged, where keepalive does not look, after this.
constexpr int kUnacknowledgedMaxMs = 5000;

void set_option(kj::AsyncIoStream& stream, int level, int option, int value) {
  stream.setsockopt(level, option, &value, sizeof value);
}

}  // namespace

void set_tcp_options(kj::AsyncIoStream& stream) {
  set_option(stream, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(stream, IPPROTO_TCP, TCP_KEEPIDLE, 2);
  set_option(stream, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set_option(stream, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(stream, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnacknowledgedMaxMs);
  set_option(stream, IPPROTO_TCP, TCP_NODELAY, 1);
}

kj::Promise<kj::Own<kj::AsyncIoStream>> connect_tls(kj::Network& network, kj::Timer& timer,
                                                    const std::string& address,
                                                    kj::TlsContext& context,
                                                    const std::string& server_name) {
  auto connected = network.parseAddress(address.c_str())
                       .then([](kj::Own<kj::NetworkAddress> where) {
                         kj::Promise<kj::Own<kj::AsyncIoStream>> stream = where->connect();
                         return stream.attach(kj::mv(where));
                       })
                       .then([&context, server_name](kj::Own<kj::AsyncIoStream> stream) {
                         set_tcp_options(*stream);
                         return context.wrapClient(kj::mv(stream), server_name.c_str());
                       });
  return timer.timeoutAfter(kConnectDeadline, kj::mv(connected));
}

}  // namespace leat::transport
