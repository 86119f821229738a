#pragma once

// messages.h - everything that goes into the core and everything that comes out of it.
//
// A Command is a wish from outside. A Fact is what the core made of it: the only thing that
// changes state and the only thing that is stored. An Effect is what a shell has to do once its
// fact is on disk.

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

// ---- commands -----------------------------------------------------------------------------

// The first command of every life of the head.
struct StartHead {
  std::int64_t wall_us = 0;  // since 1970
  std::string version;
};
struct SetPool {
  std::string key;
  Principal actor;
  PoolSpec spec;
};
// The pool's driver wants one more node. Answered with its NodeRef.
struct RequestNode {
  PoolId pool;
  Hash token_hash{};
  Time token_expires;
};
// Somebody shows a join token. Answered with the NodeRef it is for.
struct EnrolNode {
  Hash token_hash{};
};
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
// Answered with the session's number.
struct JoinNode {
  NodeReport report;
};
// Nothing has been heard from the node; it may yet live.
struct LoseNode {
  NodeRef node;
};
// The node cannot come back, and this is why.
struct ProveGone {
  NodeRef node;
  std::string proof;
};
// Answered with the JobId.
struct Submit {
  std::string key;
  Principal owner;
  JobSpec spec;
};
struct Cancel {
  std::string key;
  Principal actor;
  JobId job;
  StageId stage = 0;
  IndexList indices;  // empty: the whole job
};
// Runs of a node have ended. What is stale in it is ignored.
struct EndedSet {
  RunSet runs;
  RunColumns columns;
  std::optional<Blob> result;
};
struct ReportEnded {
  NodeRef node;
  std::uint64_t session = 0;
  std::vector<EndedSet> ended;
};
// Time has passed: leases and keys end.
struct Tick {};

using Command = std::variant<StartHead, SetPool, RequestNode, EnrolNode, JoinNode, LoseNode,
                             ProveGone, Submit, Cancel, ReportEnded, Tick>;

// What a command comes to, besides facts.
using Answer = std::variant<Done, JobId, PoolId, NodeRef, std::uint64_t>;

// ---- facts --------------------------------------------------------------------------------

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

  friend bool operator==(const JobAccepted& a, const JobAccepted& b) {
    return a.job == b.job && a.key == b.key && a.owner == b.owner && *a.spec == *b.spec;
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

  friend bool operator==(const RunsRequeued&, const RunsRequeued&) = default;
};
// Tasks that end without a run: `state` is cancelled or skipped.
struct TasksSetAside {
  StageRef stage;
  IndexList indices;
  TaskState state = TaskState::kCancelled;

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
using Fact = std::variant<HeadStarted, PoolSet, NodeRequested, NodeEnrolled, NodeJoined, NodeLost,
                          NodeGone, JobAccepted, RunsPlaced, RunsEnded, RunsRequeued, TasksSetAside,
                          OutputsLost, CancelRequested, JobEnded, JobForgotten>;
using Facts = std::vector<Fact>;

// ---- effects ------------------------------------------------------------------------------

// Give these runs to the node's agent. Idempotent: runs it knows, it ignores.
struct StartRuns {
  NodeRef node;
  RunSet runs;
  std::uint32_t claims = 0;
};
// End these runs on the node; `why` is kCancelled, or kWithdrawn for runs nobody wants.
struct EndRuns {
  NodeRef node;
  RunSet runs;
  Outcome why = Outcome::kCancelled;
  Duration grace{0};
};
// Have the provider make this node. Idempotent by NodeRef.
struct CreateNode {
  NodeRef node;
  PoolId pool;
};
// The node is out of the pool: remove what is left of it.
struct DeleteNode {
  NodeRef node;
};
// No reduce needs the outputs of this job any more: tell every node.
struct ReleaseOutputs {
  JobId job;
};
// Somebody may be watching.
struct JobChanged {
  JobId job;
};

using Effect = std::variant<StartRuns, EndRuns, CreateNode, DeleteNode, ReleaseOutputs, JobChanged>;
using Effects = std::vector<Effect>;

// Ask a node to give back up to `count` runs that have not started.
struct Withdrawal {
  NodeRef node;
  StageRef stage;
  std::uint64_t count = 0;
};

}  // namespace leat::core
