#pragma once

// data_server.h - the node's data port: outputs of its runs, against tickets.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "node-agent/outputs.h"
#include "transport/listener.h"
#include "transport/ticket.h"

namespace leat::agent {

// Calls being answered at once, on all connections; further ones are refused with `overloaded`.
inline constexpr std::size_t kReadsMax = 128;
// Connections at once; further ones are closed.
inline constexpr std::size_t kDataSessionsMax = 256;

using WallClock = std::function<transport::WallSeconds()>;

// Owns port and sessions. Borrows network, timer, context and outputs. Thread: the loop's.
class DataServer {
 public:
  static Result<kj::Own<DataServer>> open(kj::Network& network, kj::Timer& timer,
                                          const std::string& address, kj::TlsContext& context,
                                          Outputs& outputs, WallClock clock,
                                          transport::OnComplaint on_complaint);
  ~DataServer() noexcept(false);

  std::uint16_t port() const;
  // Tickets are refused until the first of the head's keys is known.
  void set_ticket_key(const transport::PublicKey& key);
  std::uint64_t bytes_out() const;

 private:
  struct Parts;
  explicit DataServer(kj::Own<Parts> parts);
  template <typename T, typename... Params>
  friend kj::Own<T> kj::heap(Params&&... params);

  kj::Own<Parts> parts_;
};

}  // namespace leat::agent
