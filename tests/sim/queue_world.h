#pragma once

// queue_world.h - gangs and single tasks that queue for a few nodes: the bare core under a virtual
// clock, where every promise can be held against it to the microsecond.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "scheduler/core/decide.h"

namespace leat::sim {

// What a scheduler might do that ours must not; done to it from outside.
enum class QueueFault : std::uint8_t {
  kNone,
  kIgnoreReservations,  // single tasks are put wherever they fit
  kHoldParts,           // a gang that waits holds the nodes it has already
};

struct QueuePlan {
  std::uint64_t seed = 1;
  QueueFault fault = QueueFault::kNone;
  bool losses = false;     // nodes are lost, and replaced
  bool unlimited = false;  // some tasks have no time limit
  bool versions = false;   // half of the nodes have another Open MPI, and some gangs want one
};

// Watches, while it runs:
//   - a gang starts on just as many nodes as it wants, all different, with the same of what they
//     must have in common, and no attempt at a task starts while another lives;
//   - a gang that is first in the queue starts when it was promised to at the latest, unless a node
//     is lost or work ahead of it comes; what it is promised never becomes later;
//   - promised or not, it is first for no longer than twice the longest run;
//   - everything ends.
class QueueWorld {
 public:
  explicit QueueWorld(const QueuePlan& plan);

  std::vector<std::string> run();
  std::uint64_t gangs_started() const { return gangs_started_; }
  std::uint64_t promises_kept() const { return promises_kept_; }
  std::uint64_t backfilled() const { return backfilled_; }

 private:
  // Runs of a stage on a node, as an agent has them.
  struct Slot {
    std::uint32_t claims = 0;
    std::deque<RunId> queued;
    std::set<RunId> running;
  };
  struct Promise {
    StageRef stage;
    Time from = kNever;
    Time first_since;
  };

  void submit(std::uint64_t n);
  void lose_a_node();
  void add_node(const std::vector<std::string>& labels);
  core::Answer say(const core::Command& command);
  void apply(const core::Facts& facts);
  void carry_out(const core::Effects& effects);
  void start(const core::StartRuns& start);
  void check_alike(const RunId& run, NodeRef node);
  void start_queued(NodeRef node, StageRef stage);
  void end_later(NodeRef node, const RunId& run, Duration delay, Outcome outcome);
  void end(NodeRef node, const RunId& run, Outcome outcome);
  void place();
  void note_placed(const core::Fact& fact);
  void note_reservations(const std::vector<core::Reservation>& reservations);
  void break_rules(const std::vector<core::Reservation>& reservations);
  void ignore_reservations();
  void hold_parts(const core::Reservation& reservation);
  void complain(std::string what) { complaints_.push_back(std::move(what)); }

  QueuePlan plan_;
  Random random_;
  core::State state_;
  Time now_;
  std::multimap<Time, std::function<void()>> events_;
  std::map<std::pair<NodeRef, StageRef>, Slot> slots_;
  std::map<RunId, std::set<NodeRef>> alive_;         // of every run
  std::map<RunId, std::set<NodeRef>> started_;       // of every run of a gang, ever
  std::map<StageRef, std::vector<NodeId>> holding_;  // kHoldParts
  std::optional<Promise> promise_;
  std::uint64_t keys_ = 0;
  std::vector<std::string> complaints_;
  std::uint64_t gangs_started_ = 0;
  std::uint64_t promises_kept_ = 0;
  std::uint64_t backfilled_ = 0;
};

}  // namespace leat::sim
