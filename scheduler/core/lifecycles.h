#pragma once

// lifecycles.h - the lives of task, job, node and pool, as tables. docs/states.md is printed
// from them.

#include <array>
#include <cstdint>

#include "scheduler/core/state_table.h"

namespace leat::core {

// ---- task ---------------------------------------------------------------------------------
// The numbers are on disk (schema/facts.capnp).

enum class TaskState : std::uint8_t {
  kBlocked,      // waits for outputs that it reduces, or for what it comes after
  kWaiting,      // could run; waits for room
  kPlaced,       // a node has it, queued there or running
  kEnding,       // a node has it and has been told to end it
  kHeld,         // succeeded; a reduce still needs its output
  kSucceeded,    // terminal
  kFailed,       // terminal
  kCancelled,    // terminal
  kQuarantined,  // terminal: set aside after kLossesMax lost nodes
  kSkipped,      // terminal: what it depends on failed, or its job did not start in time
  kDelayed,      // failed, and waits until it is tried again
};
inline constexpr unsigned kTaskStateCount = 11;

enum class TaskStep : std::uint8_t {
  kUnblock,  // all its inputs are there
  kBlock,    // an input went with its node
  kPlace,
  kEnd,   // cancelled while placed
  kHold,  // succeeded, output needed
  kSucceed,
  kFail,
  kRequeue,  // the run is over, the task is not
  kDelay,    // the same, but not at once
  kWake,     // its delay is over
  kLoseOutput,
  kRelease,  // nobody needs the output any more
  kCancel,
  kQuarantine,
  kSkip,
};

constexpr bool is_terminal(TaskState s) {
  return s >= TaskState::kSucceeded && s <= TaskState::kSkipped;
}

// Its output is there: what a reduce step waits for.
constexpr bool is_done(TaskState s) {
  return s == TaskState::kHeld || s == TaskState::kSucceeded;
}

inline constexpr auto kTaskTransitions = std::to_array<Transition<TaskState, TaskStep>>({
    {TaskState::kBlocked, TaskStep::kUnblock, TaskState::kWaiting},
    {TaskState::kBlocked, TaskStep::kSkip, TaskState::kSkipped},
    {TaskState::kBlocked, TaskStep::kCancel, TaskState::kCancelled},
    {TaskState::kWaiting, TaskStep::kBlock, TaskState::kBlocked},
    {TaskState::kWaiting, TaskStep::kPlace, TaskState::kPlaced},
    {TaskState::kWaiting, TaskStep::kCancel, TaskState::kCancelled},
    {TaskState::kWaiting, TaskStep::kSkip, TaskState::kSkipped},
    {TaskState::kPlaced, TaskStep::kHold, TaskState::kHeld},
    {TaskState::kPlaced, TaskStep::kSucceed, TaskState::kSucceeded},
    {TaskState::kPlaced, TaskStep::kFail, TaskState::kFailed},
    {TaskState::kPlaced, TaskStep::kQuarantine, TaskState::kQuarantined},
    {TaskState::kPlaced, TaskStep::kRequeue, TaskState::kWaiting},
    {TaskState::kPlaced, TaskStep::kDelay, TaskState::kDelayed},
    {TaskState::kPlaced, TaskStep::kEnd, TaskState::kEnding},
    {TaskState::kEnding, TaskStep::kCancel, TaskState::kCancelled},
    {TaskState::kEnding, TaskStep::kSucceed, TaskState::kSucceeded},
    {TaskState::kHeld, TaskStep::kLoseOutput, TaskState::kWaiting},
    {TaskState::kHeld, TaskStep::kRelease, TaskState::kSucceeded},
    {TaskState::kDelayed, TaskStep::kWake, TaskState::kWaiting},
    {TaskState::kDelayed, TaskStep::kCancel, TaskState::kCancelled},
});
static_assert(is_sound(kTaskTransitions, TaskState::kBlocked, kTaskStateCount,
                       [](TaskState s) { return is_terminal(s); }));

// ---- job ----------------------------------------------------------------------------------

enum class JobState : std::uint8_t {
  kWaiting,  // nothing placed yet
  kRunning,
  kCancelling,  // no task starts any more
  kSucceeded,   // terminal
  kFailed,      // terminal
  kCancelled,   // terminal
  kSkipped,     // terminal: tasks of it were never to run
  kHeld,        // a person wants nothing of it to start; what runs goes on
};
inline constexpr unsigned kJobStateCount = 8;

enum class JobStep : std::uint8_t {
  kStart,
  kCancel,
  kSucceed,
  kFail,
  kEndCancelled,
  kSkip,
  kHold,
  kRelease,  // of one that has not started
  kResume,   // of one that has
};

constexpr bool is_terminal(JobState s) {
  return s >= JobState::kSucceeded && s <= JobState::kSkipped;
}

inline constexpr auto kJobTransitions = std::to_array<Transition<JobState, JobStep>>({
    {JobState::kWaiting, JobStep::kStart, JobState::kRunning},
    {JobState::kWaiting, JobStep::kCancel, JobState::kCancelling},
    {JobState::kWaiting, JobStep::kEndCancelled, JobState::kCancelled},
    {JobState::kWaiting, JobStep::kSkip, JobState::kSkipped},
    {JobState::kWaiting, JobStep::kHold, JobState::kHeld},
    {JobState::kRunning, JobStep::kCancel, JobState::kCancelling},
    {JobState::kRunning, JobStep::kSucceed, JobState::kSucceeded},
    {JobState::kRunning, JobStep::kFail, JobState::kFailed},
    {JobState::kRunning, JobStep::kEndCancelled, JobState::kCancelled},
    {JobState::kRunning, JobStep::kSkip, JobState::kSkipped},
    {JobState::kRunning, JobStep::kHold, JobState::kHeld},
    {JobState::kCancelling, JobStep::kEndCancelled, JobState::kCancelled},
    {JobState::kCancelling, JobStep::kSucceed, JobState::kSucceeded},
    {JobState::kCancelling, JobStep::kFail, JobState::kFailed},
    {JobState::kCancelling, JobStep::kSkip, JobState::kSkipped},
    {JobState::kHeld, JobStep::kRelease, JobState::kWaiting},
    {JobState::kHeld, JobStep::kResume, JobState::kRunning},
    {JobState::kHeld, JobStep::kCancel, JobState::kCancelling},
    {JobState::kHeld, JobStep::kSucceed, JobState::kSucceeded},
    {JobState::kHeld, JobStep::kFail, JobState::kFailed},
    {JobState::kHeld, JobStep::kEndCancelled, JobState::kCancelled},
    {JobState::kHeld, JobStep::kSkip, JobState::kSkipped},
});
static_assert(is_sound(kJobTransitions, JobState::kWaiting, kJobStateCount,
                       [](JobState s) { return is_terminal(s); }));

// ---- node ---------------------------------------------------------------------------------

enum class NodeState : std::uint8_t {
  kRequested,  // the provider has been, or will be, asked for it
  kEnrolled,   // its token has been used
  kUp,
  kLost,      // nothing heard from it; its runs keep their lease
  kGone,      // terminal: it cannot come back
  kDeleting,  // given up: its provider has been, or will be, asked to end it; nobody joins as it
};
inline constexpr unsigned kNodeStateCount = 6;

enum class NodeStep : std::uint8_t { kEnrol, kJoin, kLose, kProveGone, kDelete };

constexpr bool is_terminal(NodeState s) {
  return s == NodeState::kGone;
}

inline constexpr auto kNodeTransitions = std::to_array<Transition<NodeState, NodeStep>>({
    {NodeState::kRequested, NodeStep::kEnrol, NodeState::kEnrolled},
    {NodeState::kRequested, NodeStep::kProveGone, NodeState::kGone},
    {NodeState::kEnrolled, NodeStep::kJoin, NodeState::kUp},
    {NodeState::kEnrolled, NodeStep::kProveGone, NodeState::kGone},
    {NodeState::kUp, NodeStep::kJoin, NodeState::kUp},
    {NodeState::kUp, NodeStep::kLose, NodeState::kLost},
    {NodeState::kUp, NodeStep::kProveGone, NodeState::kGone},
    {NodeState::kLost, NodeStep::kJoin, NodeState::kUp},
    {NodeState::kLost, NodeStep::kProveGone, NodeState::kGone},
    {NodeState::kRequested, NodeStep::kDelete, NodeState::kDeleting},
    {NodeState::kEnrolled, NodeStep::kDelete, NodeState::kDeleting},
    {NodeState::kUp, NodeStep::kDelete, NodeState::kDeleting},
    {NodeState::kLost, NodeStep::kDelete, NodeState::kDeleting},
    {NodeState::kDeleting, NodeStep::kProveGone, NodeState::kGone},
});
static_assert(is_sound(kNodeTransitions, NodeState::kRequested, kNodeStateCount,
                       [](NodeState s) { return is_terminal(s); }));

// ---- what a node is for -------------------------------------------------------------------
// Whether a node is there is one question (NodeState), what it is for is another: a node that is
// closed goes on being closed when it is lost and comes back.

enum class NodeDuty : std::uint8_t {
  kServing,   // takes work
  kDraining,  // closed to new work by a person, until a person resumes or removes it
  kClosing,   // closed by its pool, which has too many: deleted when empty; or opened again
  kLeaving,   // closed for good, by a person or with its pool: deleted when empty
};
inline constexpr unsigned kNodeDutyCount = 4;

enum class DutyStep : std::uint8_t {
  kDrain,
  kResume,
  kClose,
  kReopen,  // work has come that it can take
  kLeave,
};

inline constexpr auto kDutyTransitions = std::to_array<Transition<NodeDuty, DutyStep>>({
    {NodeDuty::kServing, DutyStep::kDrain, NodeDuty::kDraining},
    {NodeDuty::kServing, DutyStep::kClose, NodeDuty::kClosing},
    {NodeDuty::kServing, DutyStep::kLeave, NodeDuty::kLeaving},
    {NodeDuty::kDraining, DutyStep::kDrain, NodeDuty::kDraining},
    {NodeDuty::kDraining, DutyStep::kResume, NodeDuty::kServing},
    {NodeDuty::kDraining, DutyStep::kClose, NodeDuty::kClosing},
    {NodeDuty::kDraining, DutyStep::kLeave, NodeDuty::kLeaving},
    {NodeDuty::kClosing, DutyStep::kDrain, NodeDuty::kDraining},
    {NodeDuty::kClosing, DutyStep::kResume, NodeDuty::kServing},
    {NodeDuty::kClosing, DutyStep::kReopen, NodeDuty::kServing},
    {NodeDuty::kClosing, DutyStep::kLeave, NodeDuty::kLeaving},
    {NodeDuty::kLeaving, DutyStep::kResume, NodeDuty::kServing},
    {NodeDuty::kLeaving, DutyStep::kLeave, NodeDuty::kLeaving},
});
// None is terminal: a duty ends with its node.
static_assert(is_sound(kDutyTransitions, NodeDuty::kServing, kNodeDutyCount,
                       [](NodeDuty) { return false; }));

// ---- pool ---------------------------------------------------------------------------------

enum class PoolState : std::uint8_t {
  kOpen,
  kRemoved,   // terminal
  kPaused,    // its nodes fail: no more are bought, but for one probe at a time; or by a person
  kDeleting,  // its nodes are being closed and deleted; it is removed with the last
};
inline constexpr unsigned kPoolStateCount = 4;

enum class PoolStep : std::uint8_t { kRemove, kPause, kReopen, kDelete };

constexpr bool is_terminal(PoolState s) {
  return s == PoolState::kRemoved;
}

inline constexpr auto kPoolTransitions = std::to_array<Transition<PoolState, PoolStep>>({
    {PoolState::kOpen, PoolStep::kPause, PoolState::kPaused},
    {PoolState::kOpen, PoolStep::kDelete, PoolState::kDeleting},
    {PoolState::kPaused, PoolStep::kPause, PoolState::kPaused},
    {PoolState::kPaused, PoolStep::kReopen, PoolState::kOpen},
    {PoolState::kPaused, PoolStep::kDelete, PoolState::kDeleting},
    {PoolState::kDeleting, PoolStep::kDelete, PoolState::kDeleting},
    {PoolState::kDeleting, PoolStep::kRemove, PoolState::kRemoved},
});
static_assert(is_sound(kPoolTransitions, PoolState::kOpen, kPoolStateCount,
                       [](PoolState s) { return is_terminal(s); }));

// The names users see; stable.
const char* name_of(TaskState state);
const char* name_of(JobState state);
const char* name_of(NodeState state);
const char* name_of(NodeDuty duty);
const char* name_of(PoolState state);
const char* name_of(TaskStep step);
const char* name_of(JobStep step);
const char* name_of(NodeStep step);
const char* name_of(DutyStep step);
const char* name_of(PoolStep step);

}  // namespace leat::core
