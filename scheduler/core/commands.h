#pragma once

// commands.h - wishes from outside.
//
// Those with a WishKind are people's: they carry a key of 1 to kKeyBytesMax bytes, under which they
// may be repeated.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "scheduler/core/facts.h"

namespace leat::core {

// A job that is over, as history knows it.
struct PastJob {
  JobId job;
  JobState state = JobState::kSucceeded;
  // Of its first stage: all indices, and those that did not succeed. None if it is not known.
  std::optional<IndexList> indices;
  IndexList unsuccessful;
};

// The first command of every life of the head.
struct StartHead {
  std::int64_t wall_us = 0;  // since 1970
  std::string version;
};
struct SetPool {
  static constexpr WishKind kKind = WishKind::kSetPool;

  std::string key;
  Principal actor;
  PoolSpec spec;
};
// What becomes of tasks that run on nodes that are to go.
enum class Running : std::uint8_t {
  kRefuse,    // there are none, or nothing is changed
  kComplete,  // they are let complete
  kRequeue,   // after `within` they are ended and wait again, which costs no retry
};
struct Farewell {
  Running running = Running::kRefuse;
  Duration within{0};

  friend bool operator==(const Farewell&, const Farewell&) = default;
};
// What is not given stays as it is. A smaller maximum closes nodes at once, `farewell` says how.
// A paused pool is opened again. Answered with the PoolId.
struct ChangePool {
  static constexpr WishKind kKind = WishKind::kChangePool;

  std::string key;
  Principal actor;
  std::string pool;
  std::optional<std::uint32_t> min;
  std::optional<std::uint32_t> max;
  std::optional<Duration> idle_timeout;
  std::optional<Duration> join_deadline;
  Farewell farewell;
};
// The pool, with its nodes. Jobs that name it stay, and wait. kRefuse: only if nothing runs there
// and no active job names it.
struct DeletePool {
  static constexpr WishKind kKind = WishKind::kDeletePool;

  std::string key;
  Principal actor;
  std::string pool;
  Farewell farewell;
};
// No node is bought there until ProbePool or ChangePool.
struct PausePool {
  static constexpr WishKind kKind = WishKind::kPausePool;

  std::string key;
  Principal actor;
  std::string pool;
  std::string reason;
};
// Tries one node now in a pool that is paused; if it joins, the pool is open again.
struct ProbePool {
  static constexpr WishKind kKind = WishKind::kProbePool;

  std::string key;
  Principal actor;
  std::string pool;
};
// One more node, whatever the pool wants. Answered with its NodeRef. It has until `token_expires`
// to join.
struct RequestNode {
  PoolId pool;
  Hash token_hash{};
  Time token_expires;
};
// The pool's driver offers tokens for as many nodes as the pool may want. Answered with the number
// of tokens that were taken, the first ones.
struct RequestNodes {
  PoolId pool;
  std::vector<Hash> tokens;
};
// The provider has said for sure that it will not make this node (kNotMade), or nobody can make it
// any more (kUnwanted).
struct FailNode {
  NodeRef node;
  std::string reason;
  DeleteCause cause = DeleteCause::kNotMade;
};
// Takes no new work until it is resumed or removed. kComplete, or kRequeue.
struct DrainNode {
  static constexpr WishKind kKind = WishKind::kDrainNode;

  std::string key;
  Principal actor;
  NodeId node;
  Farewell farewell{Running::kComplete, {}};
};
struct ResumeNode {
  static constexpr WishKind kKind = WishKind::kResumeNode;

  std::string key;
  Principal actor;
  NodeId node;
};
// Closed, and deleted when it is empty. The pool replaces it if it is below its size.
struct RemoveNode {
  static constexpr WishKind kKind = WishKind::kRemoveNode;

  std::string key;
  Principal actor;
  NodeId node;
  Farewell farewell{Running::kComplete, {}};
};
// Somebody shows a join token. Answered with the NodeRef it is for.
struct EnrolNode {
  Hash token_hash{};
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
// Answered with the JobId. `pool`: made for this job alone, under its name and the job's number,
// and deleted when the job has ended.
struct Submit {
  static constexpr WishKind kKind = WishKind::kSubmit;

  std::string key;
  Principal owner;
  JobSpec spec;
  std::optional<PoolSpec> pool = {};
  // What history has of jobs that the new one comes after, and that are over.
  std::vector<PastJob> past{};
};
struct Cancel {
  static constexpr WishKind kKind = WishKind::kCancel;

  std::string key;
  Principal actor;
  JobId job;
  StageId stage = 0;
  IndexList indices;  // empty: the whole job
};
// A person's wish about a whole job.
struct HoldJob {
  static constexpr WishKind kKind = WishKind::kHold;

  std::string key;
  Principal actor;
  JobId job;
};
struct ReleaseJob {
  static constexpr WishKind kKind = WishKind::kRelease;

  std::string key;
  Principal actor;
  JobId job;
};
struct SetJob {
  static constexpr WishKind kKind = WishKind::kSetJob;

  std::string key;
  Principal actor;
  JobId job;
  std::optional<std::int32_t> priority;
  std::optional<std::string> name;
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
// Time has passed: leases end.
struct Tick {};

using Command = std::variant<StartHead, SetPool, RequestNode, EnrolNode, JoinNode, LoseNode,
                             ProveGone, Submit, Cancel, ReportEnded, Tick, ChangePool, DeletePool,
                             PausePool, ProbePool, RequestNodes, FailNode, DrainNode, ResumeNode,
                             RemoveNode, HoldJob, ReleaseJob, SetJob>;

}  // namespace leat::core
