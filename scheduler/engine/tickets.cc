#include "scheduler/engine/tickets.h"

#include <utility>

#include "base/check.h"

namespace leat::engine {

using transport::Ticket;

TicketOffice::TicketOffice(const transport::TicketSigner& signer, WallClock wall_clock)
    : signer_(signer), wall_clock_(std::move(wall_clock)) {}

std::string TicketOffice::sign(const Ticket& ticket) const {
  Result<std::string> bytes = signer_.sign(ticket);
  LEAT_CHECK(bytes.ok());  // we never sign for more than one stride
  return std::move(bytes).value();
}

const std::string& TicketOffice::kept(Ticket::Right right, StageRef stage,
                                      const std::string& reader) {
  const transport::WallSeconds now = wall_clock_();
  if (kept_.size() >= kKeptMax) kept_.clear();
  Kept& entry = kept_[Key{right, stage, reader}];
  if (entry.bytes.empty() || now >= entry.renew_at) {
    entry.renew_at = now + kAgentTicketSeconds / 2;
    entry.bytes = sign({.right = right,
                        .job = stage.job,
                        .stage = stage.stage,
                        .indices = {},
                        .blob_hash = {},
                        .reader = reader,
                        .expires_wall_s = now + kAgentTicketSeconds});
  }
  return entry.bytes;
}

std::string TicketOffice::outputs_for_agent(StageRef stage, const std::string& reader) {
  return kept(Ticket::Right::kRead, stage, reader);
}

std::string TicketOffice::inputs_for_agent(StageRef stage, const std::string& reader) {
  return kept(Ticket::Right::kRead, stage, reader);
}

std::string TicketOffice::result_for_agent(StageRef stage, const std::string& reader) {
  return kept(Ticket::Right::kWrite, stage, reader);
}

std::string TicketOffice::evacuation_for_agent(const std::string& reader) {
  return kept(Ticket::Right::kWrite, {}, reader);
}

std::string TicketOffice::output_for_user(const RunId& run, const std::string& reader) {
  return sign({.right = Ticket::Right::kRead,
               .job = run.job,
               .stage = run.stage,
               .indices = {Stride{run.index, 1, 1}},
               .blob_hash = {},
               .reader = reader,
               .expires_wall_s = wall_clock_() + kUserTicketSeconds});
}

std::string TicketOffice::blob_for_user(JobId job, const transport::Hash& blob,
                                        const std::string& reader) {
  return sign({.right = Ticket::Right::kRead,
               .job = job,
               .stage = 0,
               .indices = {},
               .blob_hash = blob,
               .reader = reader,
               .expires_wall_s = wall_clock_() + kUserTicketSeconds});
}

std::string TicketOffice::upload_for_user(const std::string& reader) {
  return sign({.right = Ticket::Right::kWrite,
               .job = {},
               .stage = 0,
               .indices = {},
               .blob_hash = {},
               .reader = reader,
               .expires_wall_s = wall_clock_() + kUserTicketSeconds});
}

}  // namespace leat::engine
