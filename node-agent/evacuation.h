#pragma once

// evacuation.h - what runs have written here, brought to leat-store before the node goes.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node-agent/line_source.h"
#include "node-agent/outputs.h"
#include "node-agent/peer_links.h"

namespace leat::agent {

// Uploads the spool as it is: its index and the files that outputs lie in, one after the other.
// What has come already, also in an earlier try, does not travel again.
//
// Borrows links, timer and outputs. Thread: the loop's. Precondition of run(): no run writes.
class Evacuation {
 public:
  Evacuation(PeerLinks& links, kj::Timer& timer, Outputs& outputs, std::string spool_directory)
      : links_(links), timer_(timer), outputs_(outputs), directory_(std::move(spool_directory)) {}

  void set_store(StoreAddress store) { store_ = std::move(store); }
  // The right to do it, for whoever has none at hand.
  void set_ticket(std::string ticket) { ticket_ = std::move(ticket); }
  const std::string& ticket() const { return ticket_; }

  // How many bytes were kept; with none written, nothing is brought. Tried again while the store
  // is away or has no room, until `patience` is over. Never rejects.
  kj::Promise<Result<std::uint64_t>> run(std::string ticket, kj::Duration patience);

 private:
  struct File {
    std::string name;
    std::uint64_t length = 0;
  };
  struct Order {
    std::string ticket;
    kj::TimePoint deadline = kj::origin<kj::TimePoint>();
    kj::Duration wait = 0 * kj::SECONDS;
    std::vector<File> files;
    std::size_t next = 0;
  };
  using OrderPtr = std::shared_ptr<Order>;

  kj::Promise<Result<std::uint64_t>> try_until(const OrderPtr& order);
  kj::Promise<Result<std::uint64_t>> try_once(const OrderPtr& order);
  Result<std::vector<File>> list_files();
  kj::Promise<Result<Done>> send_all(const OrderPtr& order, schema::BlobServer::Client store,
                                     std::shared_ptr<std::vector<File>> there);
  kj::Promise<Result<Done>> send_one(const Order& order, schema::BlobServer::Client store);

  PeerLinks& links_;
  kj::Timer& timer_;
  Outputs& outputs_;
  std::string directory_;
  StoreAddress store_;
  std::string ticket_;
};

}  // namespace leat::agent
