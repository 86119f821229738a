#pragma once

// evacuation.h - what runs have written here, brought to leat-store before the node goes.

#include <kj/async.h>
#include <kj/timer.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node-agent/line_source.h"
#include "node-agent/outputs.h"
#include "node-agent/peer_links.h"

namespace leat::agent {

// How long outputs are worth being tried to be brought away.
struct Patience {
  kj::Duration whole;
  kj::Duration idle;  // without more being there than ever before
};

// Until when that is. A node that waits for this is paid for and holds the place of another, but
// what has come a good part of the way shall arrive.
class PatienceLeft {
 public:
  PatienceLeft(kj::TimePoint now, Patience patience)
      : patience_(patience), last_(now + patience.whole), advanced_(now) {}

  // So much has been brought by now, in this try. Whether that is more than ever before.
  bool brought(std::uint64_t bytes, kj::TimePoint now) {
    if (bytes <= most_) return false;
    most_ = bytes;
    advanced_ = now;
    return true;
  }
  kj::TimePoint ends() const { return std::min(last_, advanced_ + patience_.idle); }

 private:
  Patience patience_;
  kj::TimePoint last_;
  kj::TimePoint advanced_;
  std::uint64_t most_ = 0;
};

// Hears how much has been brought, whenever that is more than before.
using BroughtSoFar = std::function<void(std::uint64_t bytes)>;

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
  // is away or has no room, until the patience is over. Never rejects.
  kj::Promise<Result<std::uint64_t>> run(std::string ticket, Patience patience, BroughtSoFar tell);

 private:
  struct File {
    std::string name;
    std::uint64_t length = 0;
  };
  struct Order {
    std::string ticket;
    PatienceLeft left;
    BroughtSoFar tell;
    kj::Duration wait;
    std::vector<File> files = {};
    std::size_t next = 0;
  };
  using OrderPtr = std::shared_ptr<Order>;

  kj::Promise<Result<std::uint64_t>> try_until(const OrderPtr& order);
  kj::Promise<Result<std::uint64_t>> try_once(const OrderPtr& order);
  Result<std::vector<File>> list_files();
  kj::Promise<Result<Done>> send_all(const OrderPtr& order, schema::BlobServer::Client store,
                                     std::shared_ptr<std::vector<File>> there);
  kj::Promise<Result<Done>> send_one(const OrderPtr& order, schema::BlobServer::Client store);
  kj::Promise<Result<std::uint64_t>> run_out(const OrderPtr& order);
  void note(Order& order, std::uint64_t of_next);

  PeerLinks& links_;
  kj::Timer& timer_;
  Outputs& outputs_;
  std::string directory_;
  StoreAddress store_;
  std::string ticket_;
};

}  // namespace leat::agent
