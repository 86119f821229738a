#pragma once

// tickets.h - which tickets the head signs, for whom and for how long.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>

#include "base/ids.h"
#include "base/result.h"
#include "transport/ticket.h"

namespace leat::engine {

// Seconds since 1970, passed in by main.
using WallClock = std::function<transport::WallSeconds()>;

// Signs tickets, and keeps those that many runs share.
//
// Borrows: signer. Thread: engine loop.
class TicketOffice {
 public:
  // For users, who ask just before they read.
  static constexpr transport::WallSeconds kUserTicketSeconds = 3'600;
  // For agents: a run may wait at its node and then take weeks before it stores its result. The
  // ticket is of use only with the certificate of that one life of the node.
  static constexpr transport::WallSeconds kAgentTicketSeconds = 30 * 24 * 3'600;
  static constexpr std::size_t kKeptMax = 4'096;

  TicketOffice(const transport::TicketSigner& signer, WallClock wall_clock);

  // Reads the outputs of all tasks of a stage, at any agent. `reader` is a common name.
  std::string outputs_for_agent(StageRef stage, const std::string& reader);
  // Reads the job's input blobs at leat-store.
  std::string inputs_for_agent(StageRef stage, const std::string& reader);
  // Stores the job's result.
  std::string result_for_agent(StageRef stage, const std::string& reader);

  // Brings the outputs of its own node to leat-store.
  std::string evacuation_for_agent(const std::string& reader);

  std::string output_for_user(const RunId& run, const std::string& reader);
  std::string blob_for_user(JobId job, const transport::Hash& blob, const std::string& reader);
  std::string upload_for_user(const std::string& reader);

  transport::PublicKey public_key() const { return signer_.public_key(); }

 private:
  using Key = std::tuple<transport::Ticket::Right, StageRef, std::string>;
  struct Kept {
    transport::WallSeconds renew_at = 0;
    std::string bytes;
  };

  const std::string& kept(transport::Ticket::Right right, StageRef stage,
                          const std::string& reader);
  std::string sign(const transport::Ticket& ticket) const;

  const transport::TicketSigner& signer_;
  WallClock wall_clock_;
  std::map<Key, Kept> kept_;
};

}  // namespace leat::engine
