#include "mpi-tasks/branches.h"

#include <netdb.h>
#include <sys/socket.h>

#include <utility>

#include "schema/gang.capnp.h"
#include "transport/acceptor.h"

namespace leat::mpi {
namespace {

// "127.0.0.1" or "[::1]": where this end of the stream is.
Result<std::string> own_address(kj::AsyncIoStream& stream) {
  sockaddr_storage address{};
  kj::uint size = sizeof address;
  stream.getsockname(reinterpret_cast<sockaddr*>(&address), &size);
  char host[NI_MAXHOST];
  const int error = ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host,
                                  sizeof host, nullptr, 0, NI_NUMERICHOST);
  if (error != 0) return invalid(std::string("no address of our own: ") + ::gai_strerror(error));
  return address.ss_family == AF_INET6 ? "[" + std::string(host) + "]" : std::string(host);
}

}  // namespace

Message hello_of(const GangSpec& spec) {
  Message hello;
  hello.type = Message::Type::kHello;
  hello.text = spec.nspace;
  hello.node = spec.node;
  hello.id = schema::GANG_VERSION;
  return hello;
}

Branches::Branches(kj::AsyncIoContext& io, kj::TlsContext& context, const GangSpec& spec,
                   Events events)
    : io_(io), context_(context), spec_(spec), events_(std::move(events)), tasks_(*this) {}

Branches::~Branches() noexcept(false) = default;

void Branches::listen(int socket) {
  auto receiver =
      io_.lowLevelProvider->wrapListenSocketFd(socket, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
  listener_ = transport::TlsListener::adopt(
      kj::mv(receiver), io_.provider->getTimer(), context_,
      [this](const transport::Peer&, kj::Own<kj::AsyncIoStream> stream) { greet(kj::mv(stream)); });
}

Result<std::string> Branches::listen_beside(kj::AsyncIoStream& beside) {
  const Result<std::string> address = own_address(beside);
  if (!address.ok()) return address.refusal();
  auto listener = transport::TlsListener::open(
      io_.provider->getNetwork(), io_.provider->getTimer(), address.value() + ":0", context_,
      [this](const transport::Peer&, kj::Own<kj::AsyncIoStream> stream) { greet(kj::mv(stream)); });
  if (!listener.ok()) return listener.refusal();
  listener_ = std::move(listener).value();
  return address.value() + ":" + std::to_string(listener_->port());
}

void Branches::send(const std::vector<NodeIndex>& nodes, const Message& message) {
  std::string encoded;
  for (const NodeIndex node : nodes) {
    const auto link = by_node_.find(node);
    if (link == by_node_.end()) continue;
    if (encoded.empty()) encoded = encode(message);
    link->second->send_encoded(encoded);
  }
}

kj::Promise<void> Branches::when_left(std::size_t met_min) {
  if (have_left(met_min)) return kj::READY_NOW;
  met_min_ = met_min;
  auto left = kj::newPromiseAndFulfiller<void>();
  left_ = kj::mv(left.fulfiller);
  return kj::mv(left.promise);
}

void Branches::greet(kj::Own<kj::AsyncIoStream> stream) {
  links_.emplace_back(kj::mv(stream));
  const Place place = std::prev(links_.end());
  tasks_.add(io_.provider->getTimer()
                 .timeoutAfter(transport::kConnectDeadline, place->receive(kHelloBytesMax))
                 .then([this, place](const Message& hello) { return admit(*place, hello); },
                       [](kj::Exception&&) -> kj::Promise<void> { return kj::READY_NOW; })
                 .then([this, place] {
                   // Not yet, for we are called by what belongs to it.
                   tasks_.add(kj::evalLater([this, place] { links_.erase(place); }));
                 }));
}

kj::Promise<void> Branches::admit(GangLink& link, const Message& hello) {
  const NodeIndex node = hello.node;
  if (hello.type != Message::Type::kHello || hello.text != spec_.nspace ||
      hello.id != schema::GANG_VERSION || node >= spec_.layout.node_count() ||
      !events_.expected(node) || !met_.insert(node).second)
    return kj::READY_NOW;
  by_node_[node] = &link;
  events_.on_hello(node, hello);
  return link.run([this, node](Message message) { events_.on_message(node, std::move(message)); })
      .then([this, node, &link] { lose(node, link); });
}

void Branches::lose(NodeIndex node, const GangLink& link) {
  const auto at = by_node_.find(node);
  if (at == by_node_.end() || at->second != &link) return;
  by_node_.erase(at);
  events_.on_lost(node);
  tell_if_left();
}

void Branches::release(NodeIndex node) {
  by_node_.erase(node);
  tell_if_left();
}

void Branches::tell_if_left() {
  if (left_.get() != nullptr && have_left(met_min_)) left_->fulfill();
}

void Branches::taskFailed(kj::Exception&& exception) {
  events_.on_failure(transport::first_line(exception));
}

}  // namespace leat::mpi
