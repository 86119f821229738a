#pragma once

// state.h - the scheduler's memory, and the one function that changes it.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/core/capacity_index.h"
#include "scheduler/core/entities.h"
#include "scheduler/core/granted_wishes.h"
#include "scheduler/core/ready_queue.h"

namespace leat::core {

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

  // Every run of a gang of which a member has not ended.
  const std::map<GangRef, Gang>& gangs() const { return gangs_; }
  const Gang* gang(StageRef stage, std::uint64_t position) const;
  // Whether this attempt at the task at `position` is on `node`: it, or a member of it, has been
  // placed there and has not ended.
  bool is_on(StageRef ref, std::uint64_t position, Attempt attempt, NodeRef node) const;

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
  void restore(GangRef ref, Gang gang);
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
  void on(const GangPlaced& f, Time at);
  void on(const MemberEnded& f, Time at);
  void on(const WishGranted& f, Time at);

  void check_waits(StageRef ref, const Stage& stage) const;
  void check_tasks(const Job& job, StageId id, std::map<NodeRef, std::uint64_t>& held) const;
  void check_node(const Node& node) const;
  void check_gangs(std::map<NodeRef, std::uint64_t>& held) const;

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
  const Stage& target_of(const Job& job, const After& after);
  void find_dead(const Job& job, StageId id);
  void refresh_doomed(const Job& job, StageId id);
  void unblock_met(Job& job, StageId id, Interval where);
  void tell_dependants(StageRef target, Interval where, TaskState now);
  void tell(StageRef waiter, const After& target, Interval where, TaskState now);
  void end_stage(Job& job, StageId id);
  void settle(Job& job, StageId id, std::size_t dependency, AfterState state);
  void end_dependencies(JobId target, JobState end);
  void delay(Job& job, StageId id, Interval where, bool delayed);
  // The first of a job's tasks has been placed.
  void note_start(Job& job, Time at);
  // apply_gangs.cc: the runs of the gangs at `positions` are over; `kept` if their output is held.
  void settle_gangs(StageRef ref, const IntervalSet& positions, bool kept);
  void count_gang_output(const GangRef& ref, const Gang& gang, bool more);
  // Takes runs off a node and gives back the claims that are over.
  void leave_node(const RunSet& runs, NodeRef ref, const IntervalSet& left, Time at);
  void note_failures(Job& job, const RunsEnded& f);
  void note_runs(Stage& stage, const RunColumns& columns, std::size_t count);
  // Gives `fewer` claims of a stage back and takes `more`.
  void change_claims(Node& node, const StageSpec& stage, std::uint32_t fewer, std::uint32_t more);

  Meta meta_;
  std::map<JobId, Job> jobs_;
  std::map<NodeId, Node> nodes_;
  std::map<PoolId, Pool> pools_;
  GrantedWishes granted_;

  std::map<GangRef, Gang> gangs_;

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
// Indices of the tasks of a stage of an active job that ended without success.
IndexList unsuccessful_tasks(const Stage& stage);

// What an end means for something that comes after it: kOpen while there is none.
AfterState fate_of(TaskState state, Condition on);
AfterState fate_of(JobState state, Condition on);
AfterState fate_of(const Stage& stage, Condition on);

// The inputs of the reduce task at `position`: positions in the stage it reduces.
Interval inputs_of(const Stage& reduced, const ReduceInput& input, std::uint64_t position);

}  // namespace leat::core
