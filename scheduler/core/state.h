#pragma once

// state.h - the scheduler's memory, and the one function that changes it.

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/interval_map.h"
#include "base/interval_set.h"
#include "scheduler/core/capacity_index.h"
#include "scheduler/core/granted_wishes.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/ready_queue.h"

namespace leat::core {

// Everything that is known of one task; equal neighbours are one entry.
struct TaskCell {
  TaskState state = TaskState::kWaiting;
  Attempt attempt = 0;         // of the newest run; 0 before the first
  std::uint16_t failures = 0;  // runs that used a retry
  std::uint16_t losses = 0;    // runs lost with a node
  NodeRef node;                // placed, ending: where it is; held: where its output is
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
  std::map<Time, IntervalSet> delayed;  // by when they are due
};

struct Failure {
  StageId stage = 0;
  Index index = 0;
  Outcome outcome = Outcome::kExit;
  std::int32_t code = 0;
  NodeRef node;

  friend bool operator==(const Failure&, const Failure&) = default;
};

// What history keeps of the first stage of a job that has ended.
struct PastTasks {
  // Unsuccessful tasks that are more scattered than this are not kept.
  static constexpr std::size_t kStridesMax = 65'536;

  bool known = false;  // the next two are
  IndexList indices;
  IndexList unsuccessful;
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
  std::vector<StateCounts> final_counts;  // per stage, once ended
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

// What one node has of one stage: `claims` runs at once, the rest queued there.
struct Allotment {
  std::uint32_t claims = 0;
  IntervalSet runs;  // positions; placed or ending

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

  // For accounting, and for the idle timeout.
  Time requested;
  Time joined = kNever;                 // for the first time
  Time idle_since = kNever;             // since when nothing is placed there; kNever: something is
  Time counted;                         // up to when the following are
  std::uint64_t used_millicore_us = 0;  // by claims
  std::uint64_t busy_us = 0;            // with at least one claim

  // Derived: tasks whose output is here and may yet be read.
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

// Holds no clock, no lock, no handle. Rebuilt from facts, or from snapshot rows and later facts.
//
// Thread: one at a time. Invariants: see Node, Stage; checked whole by check_invariants().
class State {
 public:
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Folds one fact in. Live traffic, recovery and simulation all come through here, so a fact
  // that does not fit the state is a bug or a damaged store: CHECK.
  void apply(const Fact& fact, Time at);

  const Meta& meta() const { return meta_; }
  const std::map<JobId, Job>& jobs() const { return jobs_; }
  const std::map<NodeId, Node>& nodes() const { return nodes_; }
  const std::map<PoolId, Pool>& pools() const { return pools_; }
  const ReadyQueue& ready() const { return ready_; }
  const CapacityIndex& capacity() const { return capacity_; }
  const GrantedWishes& granted() const { return granted_; }

  // Nothing if there is no such thing.
  const Job* job(JobId id) const;
  const Node* node(NodeId id) const;
  const Node* node(NodeRef ref) const;  // of this very life
  const Pool* pool(PoolId id) const;
  const Pool* pool_named(const std::string& name) const;
  const Node* node_by_token(const Hash& hash) const;
  // The pool that was made for this job alone.
  const Pool* own_pool(JobId job) const;
  const Stage* stage(StageRef ref) const;
  JobId newest_job() const { return JobId{meta_.next_job - 1}; }
  // Ended jobs whose summary is kept.
  const std::map<JobId, Time>& ended_jobs() const { return ended_; }
  // Active jobs in which no task can come to anything any more.
  const std::set<JobId>& finished_jobs() const { return finished_; }
  // Nodes whose queue of a stage runs low, while the stage has tasks waiting. A superset.
  const std::map<StageRef, std::set<NodeId>>& hungry() const { return hungry_; }
  // Stages of active jobs that wait for this one; nullptr if there are none.
  const std::set<StageRef>* dependants(JobId job) const;
  // Those among them that wait task by task, so that an end of a task costs nothing for the others.
  const std::set<StageRef>* followers(JobId job) const;
  // Stages with tasks that can never run, because of what they come after.
  const std::set<StageRef>& doomed() const { return doomed_; }
  // When delayed tasks may run again, and when jobs must have started: the earliest first.
  const std::set<std::pair<Time, StageRef>>& due() const { return due_; }
  const std::set<std::pair<Time, JobId>>& start_by() const { return start_by_; }

  // Wall-clock microseconds since 1970 of an instant; 0 for kNever.
  std::int64_t wall_us(Time time) const;

  // Equal states have equal digests; the replay tests lean on it.
  std::uint64_t digest() const;
  // Dies if a derived structure and its source have parted. For tests and the simulation.
  void check_invariants() const;

  // Recovery from snapshot rows: any order, then finish_restore() once, then later facts.
  void restore(const Meta& meta) { meta_ = meta; }
  void restore(Job job);
  void restore(Node node);
  void restore(Pool pool);
  bool restore(std::uint64_t number, Granted wish);  // in order; false if it does not follow
  void finish_restore();

 private:
  void on(const HeadStarted& f, Time at);
  void on(const PoolSet& f, Time at);
  void on(const NodeRequested& f, Time at);
  void on(const NodeEnrolled& f, Time at);
  void on(const NodeJoined& f, Time at);
  void on(const NodeLost& f, Time at);
  void on(const NodeGone& f, Time at);
  void on(const JobAccepted& f, Time at);
  void on(const RunsPlaced& f, Time at);
  void on(const RunsEnded& f, Time at);
  void on(const RunsRequeued& f, Time at);
  void on(const TasksSetAside& f, Time at);
  void on(const OutputsLost& f, Time at);
  void on(const CancelRequested& f, Time at);
  void on(const JobEnded& f, Time at);
  void on(const JobForgotten& f, Time at);
  void on(const PoolRemoved& f, Time at);
  void on(const NodesRequested& f, Time at);
  void on(const DutyChanged& f, Time at);
  void on(const RunsRecalled& f, Time at);
  void on(const NodesDeleting& f, Time at);
  void on(const PoolPaused& f, Time at);
  void on(const PoolReopened& f, Time at);
  void on(const PoolDeleting& f, Time at);
  void on(const TasksDue& f, Time at);
  void on(const JobHeld& f, Time at);
  void on(const JobReleased& f, Time at);
  void on(const JobSet& f, Time at);
  void on(const WishGranted& f, Time at);

  void check_waits(StageRef ref, const Stage& stage) const;

  Job& job_of(JobId id);
  Node& node_of(NodeRef ref);
  Stage& stage_of(StageRef ref);
  Pool& pool_of(PoolId id);

  void add_node(NodeRef ref, PoolId pool, const Hash& token, Time expires, Time at);
  void step_pool(Pool& pool, PoolStep step);
  // A node of the pool did not join, or did not stay.
  void note_failure(const Node& node, const std::string& trouble, Time at);
  // Adds what the node did since it was counted last. Before its allotments or claims change.
  void count_use(Node& node, Time at);
  // Held outputs at these positions are not needed any more, or are lost.
  void release_held(const Stage& stage, Interval where);
  // Changes what decides whether, and where, the node is in the capacity index.
  template <typename Change>
  void reindex(Node& node, Change change);

  void step_node(Node& node, NodeStep step, Time at);
  void step_job(Job& job, JobStep step);
  // The one place where tasks change state. `change` adjusts the rest of the cell.
  void step_tasks(Job& job, StageId id, Interval where, TaskStep step,
                  const std::function<void(TaskCell&)>& change);
  void refresh_ready(const Job& job, StageId id);
  // After positions of a stage became done, or stopped being so: its reduce steps (un)block.
  void unblock_reducers(Job& job, StageId id, Interval done);
  void block_reducers(Job& job, StageId id, Interval lost);
  void skip_reducers(Job& job, StageId id, Interval failed);
  // Of a reduce stage: sends tasks whose inputs are not all there from waiting to blocked.
  void block_incomplete(Job& job, StageId id, Interval where);
  void note_end(Job& job);
  // apply_waits.cc: what a job comes after, and what comes after it.
  void link(Job& job, const std::vector<AfterState>& states);
  void relink(Job& job);
  void unlink(const Job& job);
  void find_dead(const Job& job, StageId id);
  void refresh_doomed(const Job& job, StageId id);
  void unblock_met(Job& job, StageId id, Interval where);
  void tell_dependants(JobId target, Interval where, TaskState now);
  void end_dependencies(JobId target, JobState end);
  void delay(Job& job, StageId id, Interval where, bool delayed);
  // Takes runs off a node and gives back the claims that are over.
  void leave_node(const RunSet& runs, NodeRef ref, const IntervalSet& left, Time at);
  void note_runs(Stage& stage, const RunColumns& columns, std::size_t count);
  // Gives `fewer` claims of a stage back and takes `more`.
  void change_claims(Node& node, const StageSpec& stage, std::uint32_t fewer, std::uint32_t more);

  Meta meta_;
  std::map<JobId, Job> jobs_;
  std::map<NodeId, Node> nodes_;
  std::map<PoolId, Pool> pools_;
  GrantedWishes granted_;

  // Derived.
  std::map<Hash, NodeId> tokens_;
  std::map<JobId, PoolId> own_pools_;
  std::map<JobId, Time> ended_;
  std::set<JobId> finished_;
  std::map<StageRef, std::set<NodeId>> hungry_;
  std::map<JobId, std::set<StageRef>> dependants_;
  std::map<JobId, std::set<StageRef>> followers_;
  std::set<StageRef> doomed_;
  std::set<std::pair<Time, StageRef>> due_;
  std::set<std::pair<Time, JobId>> start_by_;
  ReadyQueue ready_;
  CapacityIndex capacity_;
};

// A job's stages as they are when the job is accepted; used by apply and by recovery.
std::vector<Stage> make_stages(const JobSpec& spec);

// How many runs of a stage may be queued at a node for each that runs there, so that the next one
// starts without a round trip: as many as kQueueAhead's worth, by their measured mean duration.
std::uint64_t queue_depth(const Stage& stage);
inline constexpr Duration kQueueAhead{200'000};
inline constexpr std::uint64_t kQueueDepthMax = 2048;
// Longer runs than this are never queued ahead: they would wait while other nodes idle.
inline constexpr Duration kQueueLongest{1'000'000};

// What history shall keep of an active job whose tasks are all over.
PastTasks past_tasks(const Job& job);
// Indices of the first stage of an active job whose tasks ended without success.
IndexList unsuccessful_tasks(const Job& job);

// What an end means for something that comes after it: kOpen while there is none.
AfterState fate_of(TaskState state, Condition on);
AfterState fate_of(JobState state, Condition on);

// The inputs of the reduce task at `position`: positions in the stage it reduces.
Interval inputs_of(const Stage& reduced, const ReduceInput& input, std::uint64_t position);

}  // namespace leat::core
