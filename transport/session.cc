#include "transport/session.h"

#include <capnp/message.h>
#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>

#include <utility>

#include "transport/coalescing_stream.h"

namespace leat::transport {
namespace {

capnp::rpc::twoparty::Side to_capnp(Session::Side side) {
  return side == Session::Side::kAccepted ? capnp::rpc::twoparty::Side::SERVER
                                          : capnp::rpc::twoparty::Side::CLIENT;
}

capnp::rpc::twoparty::Side other(capnp::rpc::twoparty::Side side) {
  return side == capnp::rpc::twoparty::Side::SERVER ? capnp::rpc::twoparty::Side::CLIENT
                                                    : capnp::rpc::twoparty::Side::SERVER;
}

capnp::ReaderOptions reader_options(const SessionLimits& limits) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = limits.message_words;
  return options;
}

// A null bootstrap would crash us as soon as the peer asked for it (0.9.2); a broken one answers.
capnp::Capability::Client never_null(capnp::Capability::Client bootstrap) {
  if (!capnp::ClientHook::from(bootstrap)->isNull()) return bootstrap;
  return KJ_EXCEPTION(UNIMPLEMENTED, "this side of the session offers nothing");
}

}  // namespace

// Destroyed from the bottom up.
struct Session::Parts {
  Parts(kj::Own<kj::AsyncIoStream> inner, Side side, capnp::Capability::Client bootstrap,
        const SessionLimits& limits)
      : stream(kj::mv(inner), limits.answers_first),
        network(stream, to_capnp(side), reader_options(limits)),
        rpc(capnp::makeRpcServer(network, never_null(kj::mv(bootstrap)))) {
    rpc.setFlowLimit(limits.flow_words);
    // The connecting side reads nothing before it has asked for something, so ask at once: its own
    // bootstrap may be called, and the stream's end must be noticed, before anybody calls peer().
    if (side == Side::kConnected) remote = bootstrap_of_peer();
  }

  capnp::Capability::Client bootstrap_of_peer() {
    capnp::MallocMessageBuilder message(4);
    auto vat = message.initRoot<capnp::rpc::twoparty::VatId>();
    vat.setSide(other(network.getSide()));
    return rpc.bootstrap(vat);
  }

  CoalescingStream stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
  kj::Maybe<capnp::Capability::Client> remote;
};

Session::Session(kj::Own<kj::AsyncIoStream> stream, Side side, capnp::Capability::Client bootstrap,
                 const SessionLimits& limits)
    : parts_(std::make_unique<Parts>(kj::mv(stream), side, kj::mv(bootstrap), limits)) {}

Session::~Session() noexcept(false) {}

capnp::Capability::Client Session::peer() {
  KJ_IF_MAYBE (remote, parts_->remote) {
    return *remote;
  }
  return parts_->remote.emplace(parts_->bootstrap_of_peer());
}

kj::Promise<void> Session::on_disconnect() {
  return parts_->network.onDisconnect()
      .exclusiveJoin(parts_->stream.on_lost())
      .catch_([](kj::Exception&&) {});
}

kj::Promise<void> Session::when_writable() {
  return parts_->stream.when_writable();
}

std::uint64_t Session::bytes_in() const {
  return parts_->stream.bytes_in();
}

std::uint64_t Session::bytes_out() const {
  return parts_->stream.bytes_out();
}

}  // namespace leat::transport
