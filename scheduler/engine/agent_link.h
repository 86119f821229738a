#pragma once

// agent_link.h - the head's side of one node: what it is told, in order, and whether it lives.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "scheduler/core/messages.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/gang_desk.h"
#include "scheduler/engine/log.h"
#include "scheduler/engine/start_batch.h"
#include "scheduler/engine/tickets.h"
#include "schema/agent.capnp.h"

namespace leat::engine {

inline constexpr kj::Duration kPingInterval = 2 * kj::SECONDS;
// A ping unanswered for so long, or so long without a session, and the node is lost.
inline constexpr kj::Duration kPingDeadline = 10 * kj::SECONDS;
inline constexpr kj::Duration kRejoinDeadline = 10 * kj::SECONDS;
// Calls with orders that may be unanswered: the credit window.
inline constexpr unsigned kCallsUnanswered = 8;
// Jobs named as released to a node that joins: the newest that have ended.
inline constexpr std::size_t kReleasesAtJoin = 4'096;
inline constexpr std::size_t kReleasesPerCall = 4'096;
inline constexpr std::size_t kEndsPerCall = 1'024;
// A node has so long to bring what its runs have written to leat-store, and no longer than that
// without a word of progress. An agent gives up sooner, and says so.
inline constexpr kj::Duration kEvacuationDeadline = 65 * kj::MINUTES;
inline constexpr kj::Duration kEvacuationSilence = 5 * kj::MINUTES;
// For an agent that is told to stop, to end its runs and hang up; then we do.
inline constexpr kj::Duration kPartingDeadline = 30 * kj::SECONDS;

// What every link uses. All is borrowed.
struct LinkServices {
  Engine& engine;
  kj::Timer& timer;
  TicketOffice& tickets;
  Log log;
};

class AgentLinks;

// Orders to one node leave in the order they were given, as few calls as possible, and only to
// the session that the state knows as the newest. A join repeats everything that is placed there,
// so what waited for an older session is dropped.
//
// Thread: engine loop. Not to be destroyed from within one of its own promises.
class AgentLink final : private kj::TaskSet::ErrorHandler {
 public:
  struct Evacuate {};
  using Order = std::variant<core::StartRuns, core::EndRuns, core::Withdrawal, JobId, Evacuate>;

  // `back_until`: until when the agent may still come by itself.
  AgentLink(LinkServices services, NodeRef node, kj::TimePoint back_until, AgentLinks& all);

  // A JobId: its outputs are released. The queue is bounded by what the core has placed.
  void order(Order order);

  // The node has joined. `live` is what it says it has: what is not placed there is ended.
  // `hang_up` must close the connection, later than within the call. False, and nothing done, if
  // the node has joined again meanwhile.
  bool open(std::uint64_t session, schema::Agent::Client agent,
            const std::vector<core::RunSet>& live, std::function<void()> hang_up);

  // The connection of this session is gone. Harmless for an older session.
  void disconnected(std::uint64_t session);

  // The node has joined with this session, and its connection was over before it could be opened.
  // It has its time to come back. Harmless for an older session.
  void missed(std::uint64_t session);

  // Has the node bring its outputs to leat-store; resolves when it says what came of it, or does
  // not come back to say so. At once if it has been away for long. Never rejects.
  kj::Promise<void> evacuate();
  void evacuating(std::uint64_t session);
  void evacuated(std::uint64_t session, const std::string& what);

  // Hangs up, if there is a session. Not done by the destructor: the other end may be gone first.
  void close();

  // Tells the agent to end every run and to leave. Resolves when it has heard; never rejects.
  kj::Promise<void> stop();

  bool connected() const { return agent_ != nullptr; }
  std::size_t queue_length() const { return queue_.size(); }

 private:
  std::uint64_t newest_session() const;
  void drop_older();
  void schedule_flush();
  void flush();
  void send_starts();
  void send_ends();
  void send_releases();
  void send_withdrawal();
  void send_evacuate();
  void track(kj::Promise<void> answer);
  void refuse(const std::vector<core::RunSet>& runs);
  kj::Promise<void> ping();
  void lose(const char* why);
  kj::Promise<void> evacuation_silence();
  void conclude_evacuation();
  void expect_return(std::uint64_t session);
  kj::Promise<void> wait_for_return();
  void taskFailed(kj::Exception&& exception) override;

  LinkServices services_;
  AgentLinks& all_;  // owns this one
  NodeRef node_;
  std::string reader_;                            // the agent's common name
  std::uint64_t session_ = 0;                     // the open one, or the last that was
  std::uint64_t connection_ = 0;                  // counts them: a session may have several
  std::uint64_t queued_for_ = 0;                  // the session that queue_ is meant for
  std::unique_ptr<schema::Agent::Client> agent_;  // null while there is no session
  std::function<void()> hang_up_;
  kj::TimePoint back_until_;  // while there is no session
  kj::TimePoint heard_ = kj::origin<kj::TimePoint>();
  std::uint64_t sequence_ = 0;
  unsigned unanswered_ = 0;
  bool flush_scheduled_ = false;
  std::deque<Order> queue_;
  std::set<StageRef> specs_sent_;
  kj::Own<kj::PromiseFulfiller<void>> evacuated_;  // null unless it has been asked for
  kj::ForkedPromise<void> evacuation_ = nullptr;   // while evacuated_ is there
  kj::TimePoint evacuation_ends_ = kj::origin<kj::TimePoint>();   // whatever is heard
  kj::TimePoint evacuation_heard_ = kj::origin<kj::TimePoint>();  // asked for, or progress
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

// The links of all nodes.
//
// Thread: engine loop.
class AgentLinks final : private kj::TaskSet::ErrorHandler {
 public:
  // Made as the head starts, when every agent is on its way back.
  explicit AgentLinks(LinkServices services)
      : services_(std::move(services)),
        back_until_(services_.timer.now() + kRejoinDeadline),
        tasks_(*this) {}

  // What of effects concerns agents; the rest is left alone.
  void carry_out(const core::Effect& effect);
  void withdraw(const core::Withdrawal& withdrawal);

  // See AgentLink. open() is false also when the node is gone.
  bool open(NodeRef node, std::uint64_t session, schema::Agent::Client agent,
            const std::vector<core::RunSet>& live, std::function<void()> hang_up);
  void disconnected(NodeRef node, std::uint64_t session);
  void missed(NodeRef node, std::uint64_t session);
  // The first member of a gang is on its node: the others may be started.
  void gang_begun(const RunId& run, GangHub hub);
  const GangDesk& gangs() const { return gangs_; }

  kj::Promise<void> evacuate(NodeRef node);
  void evacuating(NodeRef node, std::uint64_t session);
  void evacuated(NodeRef node, std::uint64_t session, const std::string& what);

  // Tells the agent of a node that is being deleted to stop. Resolves when its session is over, at
  // once if it has none; after kPartingDeadline we hang up. No order reaches it any more.
  kj::Promise<void> part(NodeRef node);

  // Nothing if there is none.
  const AgentLink* find(NodeRef node) const;

 private:
  // A link that only waits for the other end to hang up.
  struct Parting {
    std::unique_ptr<AgentLink> link;
    kj::Own<kj::PromiseFulfiller<void>> hung_up;
    kj::ForkedPromise<void> over;
  };

  AgentLink& link(NodeRef node);
  void taskFailed(kj::Exception&& exception) override;

  LinkServices services_;
  kj::TimePoint back_until_;
  GangDesk gangs_;
  std::map<NodeRef, std::unique_ptr<AgentLink>> links_;
  std::map<NodeRef, Parting> parting_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
