#pragma once

// facts.h - what the core made of wishes: the only things that change state and are stored.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/result.h"
#include "base/run_columns.h"
#include "base/time.h"
#include "scheduler/core/lifecycles.h"
#include "scheduler/core/spec.h"

namespace leat::core {

using Hash = std::array<std::uint8_t, 32>;  // SHA-256

// Bytes in leat-store, by content.
struct Blob {
  Hash hash{};
  std::uint64_t length = 0;

  friend bool operator==(const Blob&, const Blob&) = default;
};

// Attempts with the same number at several tasks of one stage.
struct RunSet {
  StageRef stage;
  Attempt attempt = 0;
  IndexList indices;

  friend bool operator==(const RunSet&, const RunSet&) = default;
};

// How a stage stands to what it comes after. The numbers are on disk.
enum class AfterState : std::uint8_t { kOpen, kMet, kDead };

// Why tasks were set aside as skipped. The numbers are on disk.
enum class SkipReason : std::uint8_t { kNone, kDependency, kStartWithin };

// What an agent says of its node when it joins.
struct NodeReport {
  NodeRef node;
  Resources capacity;
  std::string host_name;
  std::string data_address;
  std::uint32_t agent_pid = 0;
  std::uint32_t warden_pid = 0;
  Hash topology_hash{};
  std::vector<std::string> labels;

  friend bool operator==(const NodeReport&, const NodeReport&) = default;
};
// Why a node is deleted. The numbers are on disk.
enum class DeleteCause : std::uint8_t {
  kEmpty,     // closed, and nothing is left on it
  kNoJoin,    // it did not join in time
  kNotMade,   // its provider could not make it
  kUnwanted,  // its pool became smaller before it came
  kRemoved,   // by a person, with what ran there
};
inline constexpr unsigned kDeleteCauseCount = 5;

// What people wish for, under a key of their own. The numbers are on disk.
enum class WishKind : std::uint8_t {
  kSubmit,
  kCancel,
  kHold,
  kRelease,
  kSetJob,
  kSetPool,
  kChangePool,
  kDeletePool,
  kPausePool,
  kProbePool,
  kDrainNode,
  kResumeNode,
  kRemoveNode,
};
inline constexpr unsigned kWishKindCount = 13;

// What a command comes to, besides facts.
using Answer = std::variant<Done, JobId, PoolId, NodeRef, std::uint64_t>;

struct HeadStarted {
  HeadEpoch epoch;
  std::int64_t wall_us = 0;
  std::string version;

  friend bool operator==(const HeadStarted&, const HeadStarted&) = default;
};
struct PoolSet {
  PoolId id;
  PoolSpec spec;
  Principal actor;
  std::string key;

  friend bool operator==(const PoolSet&, const PoolSet&) = default;
};
struct NodeRequested {
  NodeRef node;
  PoolId pool;
  Hash token_hash{};
  Time token_expires;

  friend bool operator==(const NodeRequested&, const NodeRequested&) = default;
};
struct NodeEnrolled {
  NodeRef node;

  friend bool operator==(const NodeEnrolled&, const NodeEnrolled&) = default;
};
struct NodeJoined {
  NodeReport report;
  std::uint64_t session = 0;

  friend bool operator==(const NodeJoined&, const NodeJoined&) = default;
};
struct NodeLost {
  NodeRef node;

  friend bool operator==(const NodeLost&, const NodeLost&) = default;
};
struct NodeGone {
  NodeRef node;
  std::string proof;

  friend bool operator==(const NodeGone&, const NodeGone&) = default;
};
struct JobAccepted {
  JobId job;
  std::string key;
  Principal owner;
  std::shared_ptr<const JobSpec> spec;
  std::vector<AfterState> after{};  // of every stage's `after`, in order

  friend bool operator==(const JobAccepted& a, const JobAccepted& b) {
    return a.job == b.job && a.key == b.key && a.owner == b.owner && *a.spec == *b.spec &&
           a.after == b.after;
  }
};
struct RunsPlaced {
  RunSet runs;
  NodeRef node;
  std::uint32_t claims = 0;  // of the stage on the node, from now on

  friend bool operator==(const RunsPlaced&, const RunsPlaced&) = default;
};
// Runs that are over for good: `state` is held, succeeded, failed, cancelled or quarantined.
struct RunsEnded {
  RunSet runs;
  NodeRef node;
  TaskState state = TaskState::kSucceeded;
  RunColumns columns;
  std::optional<Blob> result;

  friend bool operator==(const RunsEnded&, const RunsEnded&) = default;
};
// Runs that are over, but whose tasks wait again. `columns.outcome` says what it costs them.
struct RunsRequeued {
  RunSet runs;
  NodeRef node;
  RunColumns columns;
  // Before they may run again. 0 also in facts from before it was told: then their spec says it.
  Duration delay{0};

  friend bool operator==(const RunsRequeued&, const RunsRequeued&) = default;
};
// Tasks that end without a run: `state` is cancelled or skipped.
struct TasksSetAside {
  StageRef stage;
  IndexList indices;
  TaskState state = TaskState::kCancelled;
  SkipReason reason = SkipReason::kNone;
  JobId cause{};  // with kDependency

  friend bool operator==(const TasksSetAside&, const TasksSetAside&) = default;
};
// Held outputs went with their node: the tasks wait again, which costs no retry.
struct OutputsLost {
  StageRef stage;
  IndexList indices;

  friend bool operator==(const OutputsLost&, const OutputsLost&) = default;
};
// Placed tasks in question are being ended; TasksSetAside facts take care of the waiting ones.
struct CancelRequested {
  StageRef stage;
  IndexList indices;  // empty: the whole job
  Principal actor;

  friend bool operator==(const CancelRequested&, const CancelRequested&) = default;
};
struct JobEnded {
  JobId job;
  JobState state = JobState::kSucceeded;

  friend bool operator==(const JobEnded&, const JobEnded&) = default;
};
// The job's summary leaves memory; history has it.
struct JobForgotten {
  JobId job;

  friend bool operator==(const JobForgotten&, const JobForgotten&) = default;
};
// Nodes first, first + 1, … of the pool, one for each token, wished for in one go.
struct NodesRequested {
  NodeRef first;
  PoolId pool;
  std::vector<Hash> tokens;
  Time token_expires;

  friend bool operator==(const NodesRequested&, const NodesRequested&) = default;
};
// What these nodes are for from now on. At `recall_at` what still runs there is recalled.
struct DutyChanged {
  std::vector<NodeRef> nodes;
  DutyStep step = DutyStep::kDrain;
  std::string reason;
  Time recall_at = kNever;
  Principal actor;  // nobody: Leat itself
  std::string key;

  friend bool operator==(const DutyChanged&, const DutyChanged&) = default;
};
// All that runs on the node is being ended, to run elsewhere.
struct RunsRecalled {
  NodeRef node;

  friend bool operator==(const RunsRecalled&, const RunsRecalled&) = default;
};
// These nodes are given up; what holds of them ends when they are proved gone.
struct NodesDeleting {
  std::vector<NodeRef> nodes;
  DeleteCause cause = DeleteCause::kEmpty;
  std::string reason;
  Principal actor;
  std::string key;

  friend bool operator==(const NodesDeleting&, const NodesDeleting&) = default;
};
// No more nodes are bought, but for one at `probe_at` and later.
struct PoolPaused {
  PoolId pool;
  std::string reason;
  Time probe_at = kNever;
  Principal actor;
  std::string key;

  friend bool operator==(const PoolPaused&, const PoolPaused&) = default;
};
struct PoolReopened {
  PoolId pool;
  Principal actor;
  std::string key;

  friend bool operator==(const PoolReopened&, const PoolReopened&) = default;
};
// What still runs there at `recall_at` is recalled.
struct PoolDeleting {
  PoolId pool;
  std::string reason;
  Time recall_at = kNever;
  Principal actor;
  std::string key;

  friend bool operator==(const PoolDeleting&, const PoolDeleting&) = default;
};
// The last of its nodes is gone, and so is the pool.
struct PoolRemoved {
  PoolId pool;

  friend bool operator==(const PoolRemoved&, const PoolRemoved&) = default;
};
// The delay before the next try of these tasks is over.
struct TasksDue {
  StageRef stage;
  IndexList indices;

  friend bool operator==(const TasksDue&, const TasksDue&) = default;
};
struct JobHeld {
  JobId job;
  Principal actor;

  friend bool operator==(const JobHeld&, const JobHeld&) = default;
};
struct JobReleased {
  JobId job;
  Principal actor;

  friend bool operator==(const JobReleased&, const JobReleased&) = default;
};
// From now on the job has this priority and this name.
struct JobSet {
  JobId job;
  Principal actor;
  std::int32_t priority = 0;
  std::string name;

  friend bool operator==(const JobSet&, const JobSet&) = default;
};
// One run of a gang: all its members, each on a node of its own.
struct GangPlaced {
  StageRef stage;
  Attempt attempt = 0;
  Index index = 0;
  std::vector<NodeRef> nodes;  // by member; the first is the primary

  friend bool operator==(const GangPlaced&, const GangPlaced&) = default;
};
// One member of a gang is over, as `columns` say of it alone. When it is the last, another fact
// says what the run has come to; when it is the first that did not end well, the others are being
// ended.
struct MemberEnded {
  StageRef stage;
  Attempt attempt = 0;
  Index index = 0;
  NodeRef node;
  RunColumns columns;
  std::optional<Blob> result;

  friend bool operator==(const MemberEnded&, const MemberEnded&) = default;
};
// A wish was not refused, whether or not it changed anything. JobAccepted says so itself.
struct WishGranted {
  WishKind kind = WishKind::kSubmit;
  std::string key;
  Principal actor;
  Answer answer;

  friend bool operator==(const WishGranted&, const WishGranted&) = default;
};
using Fact =
    std::variant<HeadStarted, PoolSet, NodeRequested, NodeEnrolled, NodeJoined, NodeLost, NodeGone,
                 JobAccepted, RunsPlaced, RunsEnded, RunsRequeued, TasksSetAside, OutputsLost,
                 CancelRequested, JobEnded, JobForgotten, PoolRemoved, NodesRequested, DutyChanged,
                 RunsRecalled, NodesDeleting, PoolPaused, PoolReopened, PoolDeleting, TasksDue,
                 JobHeld, JobReleased, JobSet, WishGranted, GangPlaced, MemberEnded>;
using Facts = std::vector<Fact>;

}  // namespace leat::core
