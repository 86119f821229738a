#pragma once

// decide.h - from a wish and what is known to what now holds.

#include <set>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/reservation.h"
#include "scheduler/core/state.h"

namespace leat::core {

// Summaries of ended jobs in memory; beyond that the oldest go (history keeps them).
inline constexpr std::size_t kEndedJobsKept = 20'000;
// What one Tick may requeue or forget.
inline constexpr std::size_t kFactsPerTick = 256;
// Jobs that may wait for one job.
inline constexpr std::size_t kDependantsMax = 10'000;
// Tasks that one fact wakes or skips, in so many intervals.
inline constexpr std::uint64_t kTasksPerWait = 65'536;
inline constexpr std::size_t kIntervalsPerWait = 4'096;
// Delays that are over and are looked at in one Tick; the others wait for the next.
inline constexpr std::size_t kDelaysPerTick = 4'096;
// Runs placed by one fact at most.
inline constexpr std::uint64_t kRunsPerPlacement = 4096;

// Turns one command into facts, appended to `out`, and an answer. Reads `state`, changes nothing:
// the caller applies the facts. Same state, same command, same time: same facts, always. A wish
// whose key was used for one of its kind gets that one's answer, and makes no facts.
Result<Answer> decide(const State& state, const Command& command, Time now, Facts& out);

// Stages that nodes are kept for in one turn; what is behind them waits for the next.
inline constexpr std::size_t kBlockedMax = 16;

// Ends jobs whose tasks are all over, and places waiting tasks, one fact at a time. One Placer
// serves one turn; it remembers which nodes wait for a stage that is ahead in the queue.
//
// Strict order within reason: a stage that does not fit now, but would on an emptier node, keeps
// nodes enough for its waiting tasks free of work that is behind it. The first gangs that do not
// fit reserve nodes from the time on at which they will: work behind them that is over by then may
// use them. A gang never holds a part of its nodes, so no two can wait for each other's.
class Placer {
 public:
  explicit Placer(Time now) : now_(now) {}

  // The next placement, appended to `out`; false if there is none. The caller applies the fact
  // before it asks again.
  bool next(const State& state, Facts& out);

  // When next() has returned false: what is reserved for gangs, the first in the queue first.
  const std::vector<Reservation>& reservations() const { return reservations_; }

 private:
  // Stages that were passed over: no node could ever hold their tasks, or all that could are kept
  // for stages ahead of them. They stand in the way of nobody.
  static constexpr std::size_t kPassedMax = 256;
  // The same, where a look at the pools is enough to say so.
  static constexpr std::size_t kHopelessMax = 4096;

  // Whether every pool of the stage's job has no node that serves, or is kept for who is ahead.
  // Many jobs that wait for one pool to grow must not hold up the jobs of another.
  bool is_hopeless(const State& state, StageRef ref) const;
  bool place_stage(const State& state, StageRef ref, Facts& out);
  bool place_gang(const State& state, StageRef ref, Facts& out);
  // New claims on a node that has room, and a queue behind them; false if what is reserved there
  // leaves no time for all that would be on it then.
  bool claim(const State& state, const Node& node, StageRef ref, bool spread, Facts& out);
  bool refill(const State& state, const Node& node, StageRef ref, Facts& out);
  // True if something is kept for the stage now that was not kept for anybody.
  bool reserve(const State& state, const Job& job, const Stage& stage);

  Time now_;
  std::optional<ReadyQueue::Entry> at_;
  bool at_blocked_ = false;  // *at_ has been tried in vain
  std::size_t blocked_ = 0;
  std::size_t passed_ = 0;
  std::size_t hopeless_ = 0;
  Reserved reserved_;
  std::vector<Reservation> reservations_;
};

// What a shell has to do for a fact that is on disk. `state` has the fact applied, and no later
// turn's.
void effects_of(const State& state, const Fact& fact, Effects& out);

// How a job ends whose tasks are all over.
JobState end_of(const Job& job);

// Runs queued at busy nodes while others idle: whom to ask for how many, kWithdrawalsMax at most.
inline constexpr std::size_t kWithdrawalsMax = 256;
std::vector<Withdrawal> rebalance(const State& state);

// Whether a Tick could do something: leases or tokens may end.
bool wants_tick(const State& state, Time now);

// A reason why something waits, for people.
struct Cause {
  const char* reason = "";  // pool, nodes, resources, busy, priority, …: see why.cc
  std::string message;
  std::string remedy;
  std::uint64_t tasks = 0;
};

// Every blocking cause of a stage's waiting tasks, or of one of them.
std::vector<Cause> why(const State& state, StageRef ref, std::optional<Index> index, Time now);

}  // namespace leat::core
