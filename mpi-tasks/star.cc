#include "mpi-tasks/star.h"

#include <kj/io.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "transport/acceptor.h"
#include "transport/tls.h"

namespace leat::mpi {
namespace {

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

// The descriptor of the socket at which the hub listens.
Result<int> listening_socket(const GangSpec& spec) {
  int socket = spec.listen_fd;
  if (socket < 0) {
    Result<kj::AutoCloseFd> own = listen_at(spec.listen_address);
    if (!own.ok()) return own.refusal();
    socket = std::move(own).value().release();
  }
  int listening = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0)
    return invalid("descriptor " + std::to_string(socket) + " is no listening socket");
  return socket;
}

}  // namespace

Star::Star(kj::AsyncIoContext& io, const GangSpec& spec, std::uint64_t seed, OnMessage on_message)
    : io_(io),
      timer_(io.provider->getTimer()),
      spec_(spec),
      tree_(spec.tree()),
      on_message_(std::move(on_message)),
      seed_(seed),
      come_until_(timer_.now() + transport::to_kj(spec.registered_limit)),
      tasks_(*this) {}

Star::~Star() noexcept(false) = default;

Result<Done> Star::open() {
  if (spec_.layout.node_count() > 1) context_ = transport::make_context(spec_.credentials, timer_);
  if (spec_.is_hub()) return open_hub();
  open_relay();
  return Done{};
}

Result<Done> Star::open_hub() {
  hub_ = std::make_unique<Hub>(
      spec_.layout, tree_,
      Hub::Rules{spec_.mpi == MpiMode::kRequired, !spec_.coordination.empty(), spec_.application});
  tasks_.add(timer_.afterDelay(transport::to_kj(spec_.registered_limit)).then([this] {
    route(hub_->registered_too_late());
  }));
  if (spec_.layout.node_count() == 1) return Done{};
  const Result<int> socket = listening_socket(spec_);
  if (!socket.ok()) return socket.refusal();
  branches_ = std::make_unique<Branches>(
      io_, *context_, spec_,
      Branches::Events{
          .expected = [](NodeIndex node) { return node != 0; },
          .on_hello =
              [this](NodeIndex node, const Message& hello) {
                route(hub_->welcome(node, hello.keys.empty() ? "" : hello.keys.front()));
              },
          .on_message = [this](NodeIndex node,
                               Message message) { route(hub_->take(node, std::move(message))); },
          .on_lost = [this](NodeIndex node) { route(hub_->lose(node)); },
          .on_failure = [this](const std::string& why) { fail(why); }});
  branches_->listen(socket.value());
  return Done{};
}

void Star::open_relay() {
  relay_ = std::make_unique<Relay>(spec_.layout, tree_, spec_.node);
  if (tree_.is_inner(spec_.node))
    branches_ = std::make_unique<Branches>(
        io_, *context_, spec_,
        Branches::Events{
            .expected =
                [this](NodeIndex node) { return node != 0 && tree_.parent(node) == spec_.node; },
            .on_hello = [this](NodeIndex node, const Message&) { pass(relay_->attached(node)); },
            .on_message =
                [this](NodeIndex node, Message message) {
                  pass(relay_->from_below(node, std::move(message)));
                },
            .on_lost = [this](NodeIndex node) { pass(relay_->lost(node)); },
            .on_failure = [this](const std::string& why) { fail(why); }});
  uplink_ = std::make_unique<Uplink>(
      io_, *context_, spec_, seed_,
      Uplink::Events{
          .listen =
              [this](kj::AsyncIoStream& stream) {
                return branches_ == nullptr ? Result<std::string>("")
                                            : branches_->listen_beside(stream);
              },
          .on_message = [this](Message message) { pass(relay_->from_above(std::move(message))); },
          .on_lost = [this](const std::string& why) { lost_hub(why); }});
  uplink_->open();
}

void Star::send(Message message) {
  if (hub_ != nullptr) return route(hub_->take(spec_.node, std::move(message)));
  pass(relay_->from_here(std::move(message)));
}

kj::Promise<void> Star::close(bool hurry) {
  kj::Promise<void> alone = kj::READY_NOW;
  if (branches_ != nullptr) {
    const std::size_t others = hub_ == nullptr ? 0 : spec_.layout.node_count() - 1;
    const bool all_met = branches_->met() >= others;
    const kj::Duration patience =
        hurry || all_met ? kFarewell : kj::max(kFarewell, come_until_ - timer_.now());
    if (!hurry || !branches_->have_left(0))
      alone = branches_->when_left(others).exclusiveJoin(timer_.afterDelay(patience));
  }
  if (uplink_ == nullptr) return alone;
  // Whoever waits for us above does not wait for what our caller still has to do.
  return alone.then([this] { uplink_->close(); }).eagerlyEvaluate(nullptr);
}

void Star::route(const Hub::Outs& outs) {
  for (const Hub::Out& out : outs) route(out);
}

void Star::route(const Hub::Out& out) {
  std::set<NodeIndex> links;
  for (const NodeIndex node : out.to) {
    if (node != 0) {
      // All are connected to us at first.
      links.insert(branches_->has(node) ? node : tree_.branch(0, node));
      continue;
    }
    to_self_.push_back(out.message);
    if (to_self_.size() > 1) continue;
    tasks_.add(kj::evalLater([this] {
      while (!to_self_.empty()) {
        Message message = std::move(to_self_.front());
        to_self_.pop_front();
        deliver(std::move(message));
      }
    }));
  }
  if (links.empty()) return;
  Message message = out.message;
  if (out.to.size() == 1 && *links.begin() != out.to.front()) message.peer = out.to.front();
  branches_->send({links.begin(), links.end()}, message);
  if (message.type == Message::Type::kAttached) branches_->release(out.to.front());
}

void Star::pass(Relay::Onward onward) {
  if (!onward.down.empty()) branches_->send(onward.down, onward.message);
  if (onward.up) return uplink_->send(std::move(onward.message));
  if (onward.here) deliver(std::move(onward.message));
}

void Star::deliver(Message message) {
  if (ended_) return;
  ended_ = message.type == Message::Type::kEnd;
  on_message_(std::move(message));
}

void Star::lost_hub(const std::string& why) {
  if (ended_) return;
  Message message;
  message.type = Message::Type::kEnd;
  message.status = kExitLost;
  message.text = why;
  message.flag = true;
  pass(relay_->from_above(std::move(message)));
}

void Star::fail(const std::string& why) {
  Message message;
  message.type = Message::Type::kFailed;
  message.status = kExitLost;
  message.text = "the connections of node " + spec_.here().name + ": " + why;
  send(std::move(message));
}

void Star::taskFailed(kj::Exception&& exception) {
  if (hub_ == nullptr) return lost_hub(transport::first_line(exception));
  fail(transport::first_line(exception));
}

}  // namespace leat::mpi
