#include "mpi-tasks/uplink.h"

#include <utility>

#include "mpi-tasks/branches.h"
#include "mpi-tasks/rank_book.h"
#include "transport/acceptor.h"
#include "transport/listener.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

Message failed(std::string why) {
  Message message;
  message.type = Type::kFailed;
  message.status = kExitLost;
  message.text = std::move(why);
  return message;
}

}  // namespace

Uplink::Uplink(kj::AsyncIoContext& io, kj::TlsContext& context, const GangSpec& spec,
               std::uint64_t seed, Events events)
    : io_(io),
      timer_(io.provider->getTimer()),
      context_(context),
      spec_(spec),
      parent_(spec.tree().parent(spec.node)),
      events_(std::move(events)),
      backoff_(Random(seed)),
      tasks_(*this) {}

Uplink::~Uplink() noexcept(false) = default;

void Uplink::open() {
  const kj::TimePoint until = timer_.now() + transport::to_kj(spec_.registered_limit);
  tasks_.add(
      reach(spec_.hub_address, until)
          .then([this](kj::Own<kj::AsyncIoStream> stream) { return meet_hub(kj::mv(stream)); },
                [this](kj::Exception&& exception) -> kj::Promise<void> {
                  events_.on_lost("cannot reach the hub at " + spec_.hub_address + ": " +
                                  transport::first_line(exception));
                  return kj::READY_NOW;
                }));
}

void Uplink::send(Message message) {
  if (link_ != nullptr) return link_->send(message);
  if (message.type == Type::kFailed && first_ != nullptr) first_->send(message);
  if (unsent_.size() < kUnsentMax) return unsent_.push_back(std::move(message));
  tasks_.add(kj::evalLater([this] { events_.on_lost("too much to say before the start"); }));
}

void Uplink::close() {
  for (GangLink* const link : {first_.get(), link_.get()})
    if (link != nullptr) link->close();
}

kj::Promise<kj::Own<kj::AsyncIoStream>> Uplink::reach(std::string address, kj::TimePoint until) {
  using Stream = kj::Own<kj::AsyncIoStream>;
  const std::string name = transport::server_name(
      transport::Peer::Kind::kAgent, transport::cluster_id_of(spec_.credentials).value());
  auto attempt =
      transport::connect_tls(io_.provider->getNetwork(), timer_, address, context_, name);
  return attempt.then([](Stream stream) -> kj::Promise<Stream> { return kj::mv(stream); },
                      [this, address = std::move(address),
                       until](kj::Exception&& exception) -> kj::Promise<Stream> {
                        if (timer_.now() >= until) return kj::mv(exception);
                        return timer_.afterDelay(patience()).then([this, address, until] {
                          return reach(address, until);
                        });
                      });
}

kj::Duration Uplink::patience() {
  if (quick_ >= kQuickLast) return transport::to_kj(backoff_.next());
  const kj::Duration now = quick_;
  quick_ = quick_ * 2;
  return now;
}

kj::Promise<void> Uplink::meet_hub(kj::Own<kj::AsyncIoStream> stream) {
  const Result<std::string> address = events_.listen(*stream);
  auto link = std::make_unique<GangLink>(kj::mv(stream));
  Message hello = hello_of(spec_);
  if (address.ok() && !address.value().empty()) hello.keys = {address.value()};
  link->send(hello);
  if (!address.ok())
    link->send(failed("node " + name_of(spec_.node) + ": " + address.refusal().message));
  if (is_child_of_hub()) return serve(std::move(link));
  for (const Message& message : unsent_)
    if (message.type == Type::kFailed) link->send(message);
  first_ = std::move(link);
  return first_->run([this](Message message) { take_from_hub(std::move(message)); }).then([this] {
    if (link_ == nullptr)
      events_.on_lost("the connection to the hub on node " + name_of(0) + " is lost");
    tasks_.add(kj::evalLater([this] { first_ = nullptr; }));
  });
}

void Uplink::take_from_hub(Message message) {
  if (message.type == Type::kAttached) return first_->close();
  if (message.type != Type::kAttach) return events_.on_message(std::move(message));
  if (message.node == parent_ && !std::exchange(sent_off_, true)) meet_parent(message.text);
}

void Uplink::meet_parent(const std::string& address) {
  quick_ = kQuickFirst;
  backoff_.reset();
  tasks_.add(reach(address, timer_.now() + kParentDeadline)
                 .then(
                     [this](kj::Own<kj::AsyncIoStream> stream) {
                       auto link = std::make_unique<GangLink>(kj::mv(stream));
                       link->send(hello_of(spec_));
                       return serve(std::move(link));
                     },
                     [this, address](kj::Exception&& exception) -> kj::Promise<void> {
                       send(failed("node " + name_of(spec_.node) +
                                   " cannot reach the launcher of node " + name_of(parent_) +
                                   " at " + address + ": " + transport::first_line(exception)));
                       return kj::READY_NOW;
                     }));
}

kj::Promise<void> Uplink::serve(std::unique_ptr<GangLink> link) {
  link_ = std::move(link);
  for (; !unsent_.empty(); unsent_.pop_front()) link_->send(unsent_.front());
  return link_->run([this](Message message) { events_.on_message(std::move(message)); })
      .then([this] {
        events_.on_lost("the connection to the " +
                        std::string(is_child_of_hub() ? "hub on" : "launcher of") + " node " +
                        name_of(parent_) + " is lost");
        // The other end waits for the end of the connection, not of this process.
        tasks_.add(kj::evalLater([this] { link_ = nullptr; }));
      });
}

void Uplink::taskFailed(kj::Exception&& exception) {
  events_.on_lost(transport::first_line(exception));
}

}  // namespace leat::mpi
