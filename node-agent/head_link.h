#pragma once

// head_link.h - the agent's connection to its head: joins, obeys, reports, and comes back.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "node-agent/node.h"
#include "node-agent/progress_desk.h"
#include "schema/agent.capnp.h"
#include "transport/liveness.h"
#include "transport/ticket.h"

namespace kj {
class TlsContext;
}

namespace leat::agent {

// A head that has not pinged for so long is not there any more, whatever the socket says.
inline constexpr kj::Duration kHeadSilence = 15 * kj::SECONDS;
inline constexpr kj::Duration kJoinDeadline = 20 * kj::SECONDS;
// How long outputs are tried to be brought to leat-store when the head asks for it. It waits a
// little longer than that, and meanwhile hears of progress so often.
inline constexpr Patience kEvacuationPatience{60 * kj::MINUTES, 2 * kj::MINUTES};
inline constexpr kj::Duration kProgressInterval = 10 * kj::SECONDS;
// Between SIGTERM and SIGKILL when the head ends the node.
inline constexpr Duration kStopGrace{5'000'000};

// What does not change in the life of an agent.
struct AgentFacts {
  NodeRef node;
  std::string cluster_id;
  std::string host_name;
  std::string data_address;
  Resources capacity;
  std::uint32_t agent_pid = 0;
  std::uint32_t warden_pid = 0;
  std::array<std::byte, 32> topology_hash{};
  std::vector<std::string> labels;
};

struct HeadLinkParts {
  kj::Network& network;
  kj::Timer& timer;
  kj::TlsContext& context;
  Node& node;
  ProgressDesk& progress;
  LogLine say;
  // Where the head is now: it may come back at another port.
  std::function<Result<std::string>()> head_address;
  // Told at each join.
  std::function<void(const transport::PublicKey&)> on_ticket_key;
  // The head wants the node to stop.
  std::function<void()> on_stop;
};

// Owns the session. Thread: the loop's.
class HeadLink final : private kj::TaskSet::ErrorHandler {
 public:
  HeadLink(HeadLinkParts parts, AgentFacts facts, transport::Backoff backoff);
  ~HeadLink() noexcept(false);

  // Joins and stays joined, through any number of lost connections. Resolves only when the head
  // refuses this node for good.
  kj::Promise<Refusal> run();

  // Tells the head that nothing runs here any more, if there is a head. Never rejects.
  kj::Promise<void> leave();

 private:
  class Server;
  struct Connection;

  kj::Promise<kj::Maybe<Refusal>> connect_once();
  kj::Promise<kj::Maybe<Refusal>> join(kj::Own<kj::AsyncIoStream> stream);
  bool take_welcome(schema::Welcome::Reader welcome);
  void write_hello(schema::Hello::Builder hello) const;
  kj::Promise<void> silence(Connection& connection);
  void report(const ReportBatch& batch);
  kj::Promise<void> tell_progress(const std::vector<TaskProgress>& tasks);
  void evacuate(std::string ticket);
  void tell_evacuating(std::uint64_t bytes);
  void tell_evacuated(const Result<std::uint64_t>& done);
  void lose();
  void taskFailed(kj::Exception&& exception) override;

  HeadLinkParts parts_;
  AgentFacts facts_;
  transport::Backoff backoff_;
  bool evacuating_ = false;
  kj::TimePoint progress_told_ = kj::origin<kj::TimePoint>();
  kj::Own<Connection> connection_;  // null while there is none
  kj::TaskSet tasks_;               // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
