#pragma once

// enrolment_desk.h - turns a join token into a certificate, once.

#include <kj/async.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "scheduler/core/messages.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/log.h"
#include "scheduler/engine/tickets.h"
#include "transport/authority.h"

namespace leat::wire {

// Answers the enrolment port. A token is spent durably before its certificate leaves. The same
// request again (its answer may have been lost) gets the same certificate while this life of the
// head remembers it; after that the node is taken for dead and another takes its place.
//
// Borrows engine and authority. Thread: engine loop.
class EnrolmentDesk {
 public:
  static constexpr std::size_t kAnswersKept = 1'024;

  EnrolmentDesk(engine::Engine& engine, const transport::ClusterAuthority& authority,
                engine::WallClock wall_clock, engine::Log log);

  // See transport::EnrolHandler.
  kj::Promise<Result<std::string>> enrol(std::span<const std::byte> secret,
                                         std::span<const std::byte> request_der);

 private:
  struct Given {
    transport::Bytes request;
    std::string certificate;
  };

  void remember(const core::Hash& token, Given given);

  engine::Engine& engine_;
  const transport::ClusterAuthority& authority_;
  engine::WallClock wall_clock_;
  engine::Log log_;
  std::map<core::Hash, Given> given_;
  std::deque<core::Hash> order_;  // of given_, oldest first
};

}  // namespace leat::wire
