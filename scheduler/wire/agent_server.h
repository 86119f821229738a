#pragma once

// agent_server.h - the door for agents: joins and reports (schema/agent.capnp).

#include <kj/async-io.h>
#include <kj/timer.h>

#include <cstdint>
#include <map>

#include "scheduler/wire/services.h"
#include "scheduler/wire/sessions.h"
#include "schema/agent.capnp.h"
#include "transport/identity.h"

namespace leat::wire {

// Takes the streams of the agent port. Whoever has shown an agent's certificate may join as that
// very life of that node, nothing else.
//
// Borrows services and timer. Thread: engine loop.
class AgentDoor final : private kj::TaskSet::ErrorHandler {
 public:
  static constexpr std::size_t kSessionsMax = 16'384;
  // Connections of one node at once: the old one may not know yet that it is dead.
  static constexpr std::size_t kSessionsPerNode = 4;
  // From connection to join.
  static constexpr kj::Duration kJoinDeadline = 30 * kj::SECONDS;

  AgentDoor(Services& services, kj::Timer& timer);

  void accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream);

  std::uint64_t bytes_in() const { return sessions_.bytes_in(); }
  std::uint64_t bytes_out() const { return sessions_.bytes_out(); }
  std::size_t sessions() const { return sessions_.size(); }

 private:
  class Gate;
  class Reports;
  struct Visitor {
    NodeRef node;
    std::uint64_t session = 0;  // 0 until it has joined
  };

  // Whether the connection has not ended; then it is in session `session` of its node.
  bool joined(Sessions::Id id, std::uint64_t session);
  void closed(Sessions::Id id);
  void taskFailed(kj::Exception&& exception) override;

  Services& services_;
  kj::Timer& timer_;
  std::map<Sessions::Id, Visitor> visitors_;
  std::map<NodeRef, std::size_t> per_node_;
  Sessions sessions_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::wire
