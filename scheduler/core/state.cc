#include "scheduler/core/state.h"

#include <algorithm>

#include "base/check.h"

namespace leat::core {
namespace {

// What earlier stages have to know of this one.
void tie(std::vector<Stage>& stages, StageId id) {
  const StageSpec& spec = *stages[id].spec;
  if (spec.reduces) stages[spec.reduces->stage].reduced_by = id;
  for (const After& after : spec.after) {
    if (after.job) continue;
    std::vector<StageId>& known = stages[after.stage].awaited_by;
    if (known.empty() || known.back() != id) known.push_back(id);
  }
}

// A restored job's stages to their specs and to each other.
void tie_stages(Job& job) {
  for (Stage& stage : job.stages) stage.awaited_by.clear();
  for (std::size_t n = 0; n < job.stages.size(); ++n) {
    job.stages[n].spec = &job.spec->stages[n];
    tie(job.stages, static_cast<StageId>(n));
  }
}

// What a tied stage holds besides its cells, from them.
void derive(Stage& stage) {
  stage.waiting.clear();
  stage.done.clear();
  stage.counts.fill(0);
  stage.delayed.clear();
  stage.cells.for_each([&stage](Interval where, const TaskCell& cell) {
    if (cell.state == TaskState::kDelayed) stage.delayed[cell.due].insert(where);
    stage.counts[static_cast<std::size_t>(cell.state)] += where.size();
    if (cell.state == TaskState::kWaiting) stage.waiting.insert(where);
    if (stage.reduced_by && is_done(cell.state)) stage.done.insert(where);
  });
}

void count_held(const Stage& stage, std::map<NodeId, Node>& nodes) {
  stage.cells.for_each([&nodes](Interval where, const TaskCell& cell) {
    if (cell.state != TaskState::kHeld) return;
    const auto at = nodes.find(cell.node.id);
    if (at != nodes.end() && at->second.ref == cell.node) at->second.held += where.size();
  });
}

}  // namespace

std::vector<Stage> make_stages(const JobSpec& spec) {
  std::vector<Stage> stages(spec.stages.size());
  for (std::size_t id = 0; id < stages.size(); ++id) {
    Stage& stage = stages[id];
    stage.spec = &spec.stages[id];
    const std::uint64_t size = stage.spec->indices.size();
    const bool blocked = stage.spec->reduces || !stage.spec->after.empty();
    const TaskState first = blocked ? TaskState::kBlocked : TaskState::kWaiting;
    stage.after.resize(stage.spec->after.size());
    stage.cells = IntervalMap<TaskCell>(size, TaskCell::bare(first));
    stage.counts[static_cast<std::size_t>(first)] = size;
    if (first == TaskState::kWaiting) stage.waiting.insert(Interval{0, size - 1});
    tie(stages, static_cast<StageId>(id));
  }
  return stages;
}

std::uint64_t open_tasks(const Stage& stage) {
  const auto count = [&stage](TaskState s) { return stage.counts[static_cast<std::size_t>(s)]; };
  return count(TaskState::kBlocked) + count(TaskState::kWaiting) + count(TaskState::kPlaced) +
         count(TaskState::kEnding) + count(TaskState::kDelayed);
}

std::string text_of(StageId id, const Stage& stage) {
  return "stage " + (stage.spec->name.empty() ? std::to_string(id) : stage.spec->name);
}

std::uint64_t queue_depth(const Stage& stage) {
  if (stage.ended_runs == 0 || stage.spec->gang) return 0;
  const std::uint64_t mean_us = stage.ended_us / stage.ended_runs;
  if (mean_us >= static_cast<std::uint64_t>(kQueueLongest.count())) return 0;
  const std::uint64_t depth = static_cast<std::uint64_t>(kQueueAhead.count()) / (mean_us + 1);
  return std::clamp<std::uint64_t>(depth, 1, kQueueDepthMax);
}

const Job* State::job(JobId id) const {
  const auto at = jobs_.find(id);
  return at == jobs_.end() ? nullptr : &at->second;
}

const Node* State::node(NodeId id) const {
  const auto at = nodes_.find(id);
  return at == nodes_.end() ? nullptr : &at->second;
}

const Node* State::node(NodeRef ref) const {
  const Node* found = node(ref.id);
  return found != nullptr && found->ref == ref ? found : nullptr;
}

const Pool* State::pool(PoolId id) const {
  const auto at = pools_.find(id);
  return at == pools_.end() ? nullptr : &at->second;
}

const Pool* State::pool_named(const std::string& name) const {
  for (const auto& [id, pool] : pools_)
    if (pool.spec.name == name) return &pool;
  return nullptr;
}

const Node* State::node_by_token(const Hash& hash) const {
  const auto at = tokens_.find(hash);
  return at == tokens_.end() ? nullptr : node(at->second);
}

const Pool* State::own_pool(JobId job) const {
  const auto at = own_pools_.find(job);
  return at == own_pools_.end() ? nullptr : pool(at->second);
}

const Stage* State::stage(StageRef ref) const {
  const Job* found = job(ref.job);
  if (found == nullptr || ref.stage >= found->stages.size()) return nullptr;
  return &found->stages[ref.stage];
}

const Gang* State::gang(StageRef stage, std::uint64_t position) const {
  const auto at = gangs_.find({stage, position});
  return at == gangs_.end() ? nullptr : &at->second;
}

bool State::is_on(StageRef ref, std::uint64_t position, Attempt attempt, NodeRef node) const {
  const Stage* its_stage = stage(ref);
  if (its_stage == nullptr || position >= its_stage->cells.size()) return false;
  if (its_stage->spec->gang) {
    const Gang* its_gang = gang(ref, position);
    return its_gang != nullptr && its_gang->attempt == attempt && its_gang->live_on(node);
  }
  const TaskCell& cell = its_stage->cells.at(position);
  return (cell.state == TaskState::kPlaced || cell.state == TaskState::kEnding) &&
         cell.attempt == attempt && cell.node == node;
}

std::int64_t State::wall_us(Time time) const {
  return time == kNever ? 0 : meta_.mapped_wall_us + (time - meta_.mapped).count();
}

void State::restore(Job job) {
  const JobId id = job.id;
  jobs_[id] = std::move(job);
}

void State::restore(Node node) {
  const NodeId id = node.ref.id;
  nodes_[id] = std::move(node);
}

void State::restore(Pool pool) {
  const PoolId id = pool.id;
  pools_[id] = std::move(pool);
}

void State::restore(GangRef ref, Gang gang) {
  gangs_[ref] = std::move(gang);
}

bool State::restore(std::uint64_t number, Granted wish) {
  return granted_.restore(number, std::move(wish));
}

namespace {

std::uint32_t claims_of(const Node& node) {
  std::uint32_t claims = 0;
  for (const auto& [stage, allotment] : node.allotments) claims += allotment.claims;
  return claims;
}

void add_due(const Stage& stage, StageRef ref, std::set<std::pair<Time, StageRef>>& all) {
  for (const auto& [due, positions] : stage.delayed) all.insert({due, ref});
}

void add_start_by(const Job& job, JobId id, std::set<std::pair<Time, JobId>>& all) {
  const Duration within = job.spec->stages[0].start_within;
  if (job.started == kNever && within.count() > 0) all.insert({job.submitted + within, id});
}

}  // namespace

void State::finish_restore() {
  // Rows of before keys were kept by themselves.
  if (granted_.empty())
    for (const auto& [id, job] : jobs_)
      granted_.add({WishKind::kSubmit, job.key, job.submitted, id});
  for (auto& [id, node] : nodes_) {
    tokens_[node.token_hash] = id;
    if (const Pool* its_pool = pool(node.pool)) node.tasks_max = its_pool->spec.tasks_per_node;
    node.claimed = claims_of(node);
    if (node.serves()) capacity_.insert(node);
    node.held = 0;
  }
  for (const auto& [id, pool] : pools_)
    if (pool.spec.for_job) own_pools_[pool.spec.for_job] = id;
  for (auto& [id, job] : jobs_) {
    if (!job.active()) {
      ended_[id] = job.ended;
      continue;
    }
    tie_stages(job);
    for (std::size_t n = 0; n < job.stages.size(); ++n) {
      derive(job.stages[n]);
      count_held(job.stages[n], nodes_);
      const StageRef ref{id, static_cast<StageId>(n)};
      add_due(job.stages[n], ref, due_);
      refresh_ready(job, static_cast<StageId>(n));
    }
    note_end(job);
    add_start_by(job, id, start_by_);
  }
  for (auto& [id, job] : jobs_)
    if (job.active()) relink(job);
  for (const auto& [ref, gang] : gangs_) count_gang_output(ref, gang, true);
  // Better one node too many on this list than one too few.
  for (const auto& [id, node] : nodes_)
    for (const auto& [ref, allotment] : node.allotments)
      if (!stage_of(ref).spec->gang) hungry_[ref].insert(id);
}

}  // namespace leat::core
