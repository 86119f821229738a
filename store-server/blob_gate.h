#pragma once

// blob_gate.h - leat-store as one peer sees it (schema/data.capnp).

#include <deque>
#include <memory>
#include <set>
#include <string>

#include "store-server/blob_service.h"
#include "transport/turnstile.h"

namespace leat::blobs {

// Cap'n Proto's interfaces have no virtual destructor: kj::Own remembers how to destroy.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// Borrows the service. Thread: the loop.
class BlobGate final : public schema::BlobServer::Server {
 public:
  BlobGate(BlobService& service, const transport::Peer& peer,
           std::shared_ptr<transport::Turnstile> turnstile);

  // NOLINTBEGIN(readability-identifier-naming): the schema names them.
  kj::Promise<void> has(HasContext context) override;
  kj::Promise<void> put(PutContext context) override;
  kj::Promise<void> read(ReadContext context) override;
  kj::Promise<void> usage(UsageContext context) override;
  kj::Promise<void> putOutputs(PutOutputsContext context) override;
  kj::Promise<void> outputs(OutputsContext context) override;
  kj::Promise<void> keepOutputs(KeepOutputsContext context) override;
  kj::Promise<void> readOutput(ReadOutputContext context) override;
  kj::Promise<void> keepInputs(KeepInputsContext context) override;
  // NOLINTEND(readability-identifier-naming)

 private:
  // Hashes that the head may name before its last call.
  static constexpr std::size_t kHashesMax = 4'000'000;

  Result<kj::Own<schema::Upload::Server>> begin(PutParams::Reader params);
  Result<kj::Own<schema::Upload::Server>> begin_output(PutOutputsParams::Reader params);
  Result<Done> read_into(ReadParams::Reader params, ReadContext& context);
  Result<Done> read_output_into(ReadOutputParams::Reader params, ReadOutputContext& context);
  Result<transport::Ticket> check(capnp::Data::Reader data);
  // The node whose spool the peer may bring.
  Result<NodeRef> node_of(capnp::Data::Reader ticket);

  struct Known {
    std::string bytes;
    transport::Ticket ticket;
  };

  BlobService& service_;
  transport::Peer peer_;
  std::string reader_;
  std::shared_ptr<transport::Turnstile> turnstile_;
  std::deque<Known> known_;  // verified for this reader; oldest first
  std::set<Hash> needed_;    // named by the head so far
};

#pragma GCC diagnostic pop

}  // namespace leat::blobs
