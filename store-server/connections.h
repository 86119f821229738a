#pragma once

// connections.h - the sessions of leat-store, as long as they last.

#include <kj/async-io.h>

#include <cstddef>

#include "store-server/blob_service.h"
#include "transport/identity.h"

namespace leat::blobs {

// Owns a session per connected peer. Borrows service; destroy it before. Thread: the loop.
class Connections final : private kj::TaskSet::ErrorHandler {
 public:
  // Connections at once; further ones are closed.
  static constexpr std::size_t kConnectionsMax = 4096;

  explicit Connections(BlobService& service) : service_(service), tasks_(*this) {}

  // For TlsListener. Stores serve agents, users and the head; another store is turned away.
  void accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream);

  std::size_t count() const { return count_; }

 private:
  void taskFailed(kj::Exception&& exception) override;

  BlobService& service_;
  std::size_t count_ = 0;
  kj::TaskSet tasks_;  // last: its sessions go first
};

}  // namespace leat::blobs
