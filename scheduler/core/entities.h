#pragma once

// entities.h - jobs, stages, tasks, gangs, nodes and pools, as State remembers them.

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/interval_map.h"
#include "base/interval_set.h"
#include "scheduler/core/capacity_index.h"
#include "scheduler/core/messages.h"

namespace leat::core {

// Everything that is known of one task; equal neighbours are one entry.
struct TaskCell {
  TaskState state = TaskState::kWaiting;
  Attempt attempt = 0;         // of the newest run; 0 before the first
  std::uint16_t failures = 0;  // runs that used a retry
  std::uint16_t losses = 0;    // runs lost with a node
  NodeRef node;                // placed, ending: where it is; held: where its output is.
                               // Of a gang: its primary, which may be gone already
  Time due{};                  // delayed: when it may run again

  // A task of which nothing but its state is known.
  static TaskCell bare(TaskState state) {
    TaskCell cell;
    cell.state = state;
    return cell;
  }

  friend bool operator==(const TaskCell&, const TaskCell&) = default;
};

using StateCounts = std::array<std::uint64_t, kTaskStateCount>;

// How a stage stands to one thing it comes after; beside spec->after.
struct Dependency {
  AfterState state = AfterState::kOpen;
  IntervalSet dead;  // derived: blocked positions that can never run because of it
};

// One stage of an active job. Numbers inside are positions in spec->indices, not indices.
struct Stage {
  const StageSpec* spec = nullptr;  // in the job's spec
  IntervalMap<TaskCell> cells;
  std::uint64_t ended_runs = 0;  // whose durations are known,
  std::uint64_t ended_us = 0;    // and their sum
  std::vector<Dependency> after;

  // Derived from cells and specs.
  IntervalSet waiting;
  IntervalSet done;  // held or succeeded; kept where a reduce step reads it, else empty
  StateCounts counts{};
  std::optional<StageId> reduced_by;
  std::vector<StageId> awaited_by;      // stages of the job that come after this one
  std::map<Time, IntervalSet> delayed;  // by when they are due
};

// Its tasks that run, or are to run. None: it is over.
std::uint64_t open_tasks(const Stage& stage);
// "stage 2", or by its name.
std::string text_of(StageId id, const Stage& stage);

struct Failure {
  StageId stage = 0;
  Index index = 0;
  Outcome outcome = Outcome::kExit;
  std::int32_t code = 0;
  NodeRef node;

  friend bool operator==(const Failure&, const Failure&) = default;
};

// What history keeps of the tasks of a job that has ended.
struct PastTasks {
  // Unsuccessful tasks that are more scattered than this are not kept.
  static constexpr std::size_t kStridesMax = 65'536;

  bool known = false;  // the next two, of the first stage, are
  IndexList indices;
  IndexList unsuccessful;
  std::vector<IndexList> later;  // the unsuccessful ones of each later stage; none: not known
  std::shared_ptr<const std::string> encoded;  // the spec (JobSpec::encoded), unless all succeeded
};

// An active job has its spec and its stages; an ended one only the summary.
struct Job {
  static constexpr std::size_t kFailuresKept = 8;

  JobId id;
  std::string key;
  std::string name;
  Principal owner;
  std::int32_t priority = 0;
  JobState state = JobState::kWaiting;
  bool cancel_requested = false;  // of the whole job, by a person
  Time submitted;
  Time started = kNever;
  Time ended = kNever;
  std::uint64_t retried = 0;
  std::uint64_t lost = 0;
  std::vector<Failure> failures;  // the first few
  std::optional<Blob> result;
  std::vector<StateCounts> final_counts;  // per stage, once ended,
  std::vector<std::string> stage_names;   // and what they are called, if any has a name
  JobId retry_of;
  SkipReason skip_reason = SkipReason::kNone;  // of the first tasks that were skipped,
  JobId skip_cause;                            // and the job that is to blame
  Principal held_by;                           // with kHeld
  Time held_since;
  std::shared_ptr<const PastTasks> past;  // only in jobs that history gave

  std::shared_ptr<const JobSpec> spec;
  std::vector<Stage> stages;

  bool active() const { return !is_terminal(state); }
};

// One run of a gang, from its placement to the end of its last member.
struct Gang {
  Attempt attempt = 0;
  Time placed;
  std::vector<NodeRef> nodes;  // by member; the first is the primary
  IntervalSet live;            // members that have not ended
  // What those that have ended come to as one run. Its outcome and code are those of the member
  // that is to blame, if the gang is broken.
  RunRow sum;
  bool broken = false;        // a member did not end well: nobody wants the others any more
  std::uint32_t culprit = 0;  // that member
  std::optional<Blob> result;

  // The member on `node`, unless it has ended.
  std::optional<std::uint32_t> live_on(NodeRef node) const;
  // Member `member` has ended so.
  void end(std::uint32_t member, const RunRow& row);
  // The primary's output is there and may yet be read.
  bool keeps_output() const { return !broken && !live.contains(0); }

  friend bool operator==(const Gang&, const Gang&) = default;
};
// By stage and position.
using GangRef = std::pair<StageRef, std::uint64_t>;

// What one node has of one stage: `claims` runs at once, the rest queued there. Of a gang, `runs`
// are those of which a member is here and has not ended; none is queued.
struct Allotment {
  std::uint32_t claims = 0;
  IntervalSet runs;     // positions; placed or ending
  Time until = kNever;  // when all are over at the latest, as their time limits go

  friend bool operator==(const Allotment&, const Allotment&) = default;
};

// Invariant: free + sum over allotments of claims * what a task takes = report.capacity; a task
// takes what its stage needs, or all of the node if the stage is exclusive.
struct Node {
  NodeRef ref;
  PoolId pool;
  NodeState state = NodeState::kRequested;
  Time since;  // when it came into this state
  NodeDuty duty = NodeDuty::kServing;
  std::string reason;       // of its duty, or why it is being deleted
  Time recall_at = kNever;  // when what still runs there is ended, to run elsewhere
  Hash token_hash{};
  Time token_expires;
  std::uint64_t session = 0;
  NodeReport report;
  Resources free;
  std::uint32_t tasks_max = 0;  // at once, as its pool says; 0: as many as fit
  std::map<StageRef, Allotment> allotments;

  Time placed;  // when anything was last placed there

  // For accounting, and for the idle timeout.
  Time requested;
  Time joined = kNever;                 // for the first time
  Time idle_since = kNever;             // since when nothing is placed there; kNever: something is
  Time counted;                         // up to when the following are
  std::uint64_t used_millicore_us = 0;  // by claims
  std::uint64_t busy_us = 0;            // with at least one claim

  // Derived: tasks whose output is here and may yet be read, those of gangs included whose primary
  // has ended before the others.
  std::uint64_t held = 0;

  // Up, and takes work.
  bool serves() const { return state == NodeState::kUp && duty == NodeDuty::kServing; }
  // Requested or enrolled.
  bool coming() const { return state == NodeState::kRequested || state == NodeState::kEnrolled; }
  // Derived.
  std::uint32_t claimed = 0;  // claims of all allotments
  KindId kind = 0;            // in the capacity index, while it is there

  // How many more tasks the pool allows here at once.
  std::uint32_t room() const {
    if (tasks_max == 0) return std::numeric_limits<std::uint32_t>::max() - claimed;
    return tasks_max > claimed ? tasks_max - claimed : 0;
  }
  // What a task of `stage` takes here.
  const Resources& taken_by(const StageSpec& stage) const {
    return stage.exclusive ? report.capacity : stage.resources;
  }
  // How many more tasks of `stage` could have claims here now.
  std::uint64_t fit_count(const StageSpec& stage) const {
    if (!report.capacity.holds(stage.resources)) return 0;
    return std::min<std::uint64_t>(free.fit_count(taken_by(stage)), room());
  }
};

struct Pool {
  PoolId id;
  PoolState state = PoolState::kOpen;
  PoolSpec spec;
  std::string key;
  // In a row: nodes that did not join, or did not stay.
  std::uint32_t failures = 0;
  Time failed_at = kNever;  // the newest
  std::string trouble;      // what was wrong with it; why the pool is paused or deleted
  Time probe_at = kNever;   // paused: when the next node is tried; kNever: when a person says so
  Duration probe_pause{0};
  Time recall_at = kNever;               // deleting: when what still runs there is ended
  std::optional<Resources> seen;         // what the newest node that joined has
  std::vector<std::string> seen_labels;  // of the same node
};

// The numbers that are in nobody's row.
struct Meta {
  HeadEpoch epoch;
  std::uint64_t next_job = 1;
  std::uint32_t next_node = 1;
  std::uint64_t next_node_epoch = 1;
  std::uint32_t next_pool = 1;
  // The newest tie of Time to the wall clock.
  Time mapped;
  std::int64_t mapped_wall_us = 0;

  friend bool operator==(const Meta&, const Meta&) = default;
};

}  // namespace leat::core
