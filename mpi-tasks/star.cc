#include "mpi-tasks/star.h"

#include <kj/debug.h>
#include <kj/io.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/random.h"
#include "schema/gang.capnp.h"
#include "transport/tls.h"

namespace leat::mpi {
namespace {

std::string first_line(const kj::Exception& exception) {
  const kj::StringPtr text = exception.getDescription();
  const std::string_view line(text.cStr(), text.size());
  return std::string(line.substr(0, line.find('\n')));
}

// "127.0.0.1:7000" or "[::1]:7000", a port of our own on it. Whoever keeps that port for us is
// bound there as well and does not listen.
Result<kj::AutoCloseFd> listen_at(const std::string& address) {
  const auto refused = [&](const std::string& why) {
    return Refusal{Reason::kConflict, "cannot listen at " + address + ": " + why};
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return invalid("listenAddress: must be ADDRESS:PORT");
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  if (error != 0) return invalid("listenAddress: " + address + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, &::freeaddrinfo);
  kj::AutoCloseFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  for (const int option : {SO_REUSEADDR, SO_REUSEPORT})
    ::setsockopt(fd.get(), SOL_SOCKET, option, &yes, sizeof yes);
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0)
    return refused(std::strerror(errno));
  return fd;
}

}  // namespace

Star::Star(kj::AsyncIoContext& io, const GangSpec& spec, std::uint64_t seed, OnMessage on_message)
    : io_(io),
      timer_(io.provider->getTimer()),
      spec_(spec),
      on_message_(std::move(on_message)),
      backoff_(Random(seed)),
      connect_until_(timer_.now() + transport::to_kj(spec.registered_limit)),
      tasks_(*this) {}

Star::~Star() noexcept(false) = default;

Result<Done> Star::open() {
  if (spec_.layout.node_count() > 1) context_ = transport::make_context(spec_.credentials, timer_);
  if (!spec_.is_hub()) {
    tasks_.add(connect());
    return Done{};
  }
  hub_ = std::make_unique<Hub>(
      spec_.layout,
      Hub::Rules{spec_.mpi == MpiMode::kRequired, !spec_.coordination.empty(), spec_.application});
  tasks_.add(timer_.afterDelay(transport::to_kj(spec_.registered_limit)).then([this] {
    route(hub_->registered_too_late());
  }));
  return spec_.layout.node_count() > 1 ? listen() : Result<Done>(Done{});
}

void Star::send(Message message) {
  if (hub_ != nullptr) return route(hub_->take(spec_.node, std::move(message)));
  if (uplink_ == nullptr) return unsent_.push_back(std::move(message));
  uplink_->send(message);
}

kj::Promise<void> Star::close(bool hurry) {
  if (uplink_ != nullptr) uplink_->close();
  if (hub_ == nullptr || all_have_left()) return kj::READY_NOW;
  const bool all_met = met_.size() + 1 == spec_.layout.node_count();
  if (hurry && by_node_.empty()) return kj::READY_NOW;
  const kj::Duration patience =
      hurry || all_met ? kFarewell : kj::max(kFarewell, connect_until_ - timer_.now());
  auto left = kj::newPromiseAndFulfiller<void>();
  all_left_ = kj::mv(left.fulfiller);
  return left.promise.exclusiveJoin(timer_.afterDelay(patience));
}

Result<Done> Star::listen() {
  int socket = spec_.listen_fd;
  if (socket < 0) {
    Result<kj::AutoCloseFd> own = listen_at(spec_.listen_address);
    if (!own.ok()) return own.refusal();
    socket = std::move(own).value().release();
  }
  int listening = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0)
    return invalid("descriptor " + std::to_string(socket) + " is no listening socket");
  auto receiver =
      io_.lowLevelProvider->wrapListenSocketFd(socket, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
  listener_ = transport::TlsListener::adopt(
      kj::mv(receiver), timer_, *context_,
      [this](const transport::Peer&, kj::Own<kj::AsyncIoStream> stream) { greet(kj::mv(stream)); });
  return Done{};
}

void Star::greet(kj::Own<kj::AsyncIoStream> stream) {
  links_.push_back(std::make_unique<GangLink>(kj::mv(stream)));
  GangLink& link = *links_.back();
  tasks_.add(timer_.timeoutAfter(transport::kConnectDeadline, link.receive(kHelloBytesMax))
                 .then([this, &link](const Message& hello) { admit(link, hello); },
                       [&link](kj::Exception&&) { link.close(); }));
}

void Star::admit(GangLink& link, const Message& hello) {
  const NodeIndex node = hello.node;
  if (hello.type != Message::Type::kHello || hello.text != spec_.nspace ||
      hello.id != schema::GANG_VERSION || node == 0 || node >= spec_.layout.node_count() ||
      met_.contains(node))
    return link.close();
  by_node_[node] = &link;
  met_.insert(node);
  if (hub_->ended()) link.send(*hub_->last_word());
  tasks_.add(
      link.run([this, node](Message message) { route(hub_->take(node, std::move(message))); })
          .then([this, node] { link_lost(node); }));
}

void Star::link_lost(NodeIndex node) {
  by_node_.erase(node);
  route(hub_->lose(node));
  if (all_have_left() && all_left_.get() != nullptr) all_left_->fulfill();
}

bool Star::all_have_left() const {
  return by_node_.empty() && met_.size() + 1 == spec_.layout.node_count();
}

kj::Promise<void> Star::connect() {
  const std::string name = transport::server_name(
      transport::Peer::Kind::kAgent, transport::cluster_id_of(spec_.credentials).value());
  return transport::connect_tls(io_.provider->getNetwork(), timer_, spec_.hub_address, *context_,
                                name)
      .then([this](kj::Own<kj::AsyncIoStream> stream) { return serve_uplink(kj::mv(stream)); },
            [this](kj::Exception&& exception) -> kj::Promise<void> {
              if (timer_.now() >= connect_until_) {
                lost_hub("cannot reach the hub at " + spec_.hub_address + ": " +
                         first_line(exception));
                return kj::READY_NOW;
              }
              return timer_.afterDelay(patience()).then([this] { return connect(); });
            });
}

kj::Duration Star::patience() {
  if (quick_ >= kQuickLast) return transport::to_kj(backoff_.next());
  const kj::Duration now = quick_;
  quick_ = quick_ * 2;
  return now;
}

kj::Promise<void> Star::serve_uplink(kj::Own<kj::AsyncIoStream> stream) {
  uplink_ = std::make_unique<GangLink>(kj::mv(stream));
  Message hello;
  hello.type = Message::Type::kHello;
  hello.text = spec_.nspace;
  hello.node = spec_.node;
  hello.id = schema::GANG_VERSION;
  uplink_->send(hello);
  for (; !unsent_.empty(); unsent_.pop_front()) uplink_->send(unsent_.front());
  return uplink_->run([this](Message message) { deliver(std::move(message)); }).then([this] {
    lost_hub("the connection to the hub on node " + spec_.layout.node(0).name + " is lost");
    // The hub waits for the end of the connection, not of this process.
    tasks_.add(kj::evalLater([this] { uplink_ = nullptr; }));
  });
}

void Star::route(Hub::Outs outs) {
  for (Hub::Out& out : outs) {
    if (out.to != spec_.node) {
      const auto link = by_node_.find(out.to);
      if (link != by_node_.end()) link->second->send(out.message);
      continue;
    }
    to_self_.push_back(std::move(out.message));
    if (to_self_.size() > 1) continue;
    tasks_.add(kj::evalLater([this] {
      while (!to_self_.empty()) {
        Message message = std::move(to_self_.front());
        to_self_.pop_front();
        deliver(std::move(message));
      }
    }));
  }
}

void Star::deliver(Message message) {
  if (ended_) return;
  ended_ = message.type == Message::Type::kEnd;
  on_message_(std::move(message));
}

void Star::lost_hub(const std::string& why) {
  Message message;
  message.type = Message::Type::kEnd;
  message.status = kExitLost;
  message.text = why;
  message.flag = true;
  deliver(std::move(message));
}

void Star::taskFailed(kj::Exception&& exception) {
  if (hub_ == nullptr) return lost_hub(first_line(exception));
  Message message;
  message.type = Message::Type::kFailed;
  message.status = kExitLost;
  message.text = "the hub failed: " + first_line(exception);
  send(std::move(message));
}

}  // namespace leat::mpi
