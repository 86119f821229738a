#include "transport/session.h"

#include <capnp/message.h>
#include <capnp/rpc-twoparty.h>

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

}  // namespace

// Destroyed from the bottom up.
struct Session::Parts {
  Parts(kj::Own<kj::AsyncIoStream> inner, Side side, capnp::Capability::Client bootstrap,
        const SessionLimits& limits)
      : stream(kj::mv(inner)),
        network(stream, to_capnp(side), reader_options(limits)),
        rpc(capnp::makeRpcServer(network, kj::mv(bootstrap))) {
    rpc.setFlowLimit(limits.flow_words);
  }

  CoalescingStream stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
};

Session::Session(kj::Own<kj::AsyncIoStream> stream, Side side, capnp::Capability::Client bootstrap,
                 const SessionLimits& limits)
    : parts_(std::make_unique<Parts>(kj::mv(stream), side, kj::mv(bootstrap), limits)) {}

Session::~Session() noexcept(false) {}

capnp::Capability::Client Session::peer() {
  capnp::MallocMessageBuilder message(4);
  auto vat = message.initRoot<capnp::rpc::twoparty::VatId>();
  vat.setSide(other(parts_->network.getSide()));
  return parts_->rpc.bootstrap(vat);
}

kj::Promise<void> Session::on_disconnect() {
  return parts_->network.onDisconnect()
      .exclusiveJoin(parts_->stream.on_lost())
      .catch_([](kj::Exception&&) {});
}

std::uint64_t Session::bytes_in() const {
  return parts_->stream.bytes_in();
}

std::uint64_t Session::bytes_out() const {
  return parts_->stream.bytes_out();
}

}  // namespace leat::transport
