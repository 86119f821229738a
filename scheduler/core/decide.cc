#include "scheduler/core/decide.h"

#include <algorithm>
#include <type_traits>

#include "scheduler/core/decide_parts.h"

namespace leat::core {
namespace {

constexpr std::size_t kActiveJobsMax = 100'000;
// Summaries that one submit may push out of memory.
constexpr std::size_t kForgottenPerSubmit = 4;

// Refuses a requirement that the definitions of all pools rule out. What they do not say, an agent
// may yet say of its node.
std::optional<Refusal> check_requirements(const JobSpec& spec,
                                          const std::vector<const Pool*>& pools) {
  for (const Requirement& wanted : spec.labels) {
    // Other pools may be made; of those that it asks for, what they cannot have is known.
    const bool only_these = !spec.pools.empty() || pools.front()->spec.for_job;
    const bool nowhere =
        only_these && std::none_of(pools.begin(), pools.end(), [&wanted](const Pool* pool) {
          return could_have(pool->spec, {wanted});
        });
    if (nowhere && !wanted.negated && wanted.label != kMemoryLimitLabel)
      return Refusal{Reason::kConflict, "no node of pool \"" + pools.front()->spec.name +
                                            "\" has the label " + wanted.label +
                                            ": see its labels with leat pool show"};
    const bool is_limits = !wanted.negated && wanted.label == kMemoryLimitLabel;
    const bool never = std::all_of(pools.begin(), pools.end(), [&](const Pool* pool) {
      if (is_limits) return !pool->spec.keeps_memory_limits;
      return wanted.negated && !wanted.met_by(pool->spec.labels);
    });
    if (!never) continue;
    const std::string name = '"' + pools.front()->spec.name + '"';
    if (is_limits)
      return Refusal{Reason::kConflict, "pool " + name +
                                            " keeps no memory limits (memory_limits = \"off\"): "
                                            "leave --memory-enforce out, or use another pool"};
    return Refusal{Reason::kConflict, "every node of pool " + name + " has the label " +
                                          wanted.label + ", which the job must not meet"};
  }
  return std::nullopt;
}

// Refuses pools that are not there, or not for everybody, or not for long.
std::optional<Refusal> check_pools(const State& state, const JobSpec& spec) {
  for (const std::string& name : spec.pools) {
    const Pool* pool = state.pool_named(name);
    if (pool == nullptr)
      return Refusal{Reason::kNotFound, "no pool is named \"" + name + "\"; see: leat status"};
    if (pool->spec.for_job)
      return Refusal{Reason::kConflict, "pool \"" + name + "\" is for job " +
                                            std::to_string(pool->spec.for_job.value) + " alone"};
    if (pool->state == PoolState::kDeleting)
      return Refusal{Reason::kConflict, "pool \"" + name + "\" is being deleted"};
  }
  return std::nullopt;
}

// Refuses gangs of more nodes than any pool the job may use can ever have.
std::optional<Refusal> check_size(const JobSpec& spec, const std::vector<const Pool*>& pools) {
  const auto larger = [](const Pool* a, const Pool* b) {
    return a->spec.nodes.max < b->spec.nodes.max;
  };
  const Pool& largest = **std::max_element(pools.begin(), pools.end(), larger);
  for (const StageSpec& stage : spec.stages)
    if (stage.gang && stage.nodes > largest.spec.nodes.max)
      return Refusal{Reason::kConflict,
                     "a task needs " + std::to_string(stage.nodes) + " nodes at once; pool \"" +
                         largest.spec.name + "\" has " + std::to_string(largest.spec.nodes.max) +
                         " at most: ask for fewer, or make it larger with leat pool resize"};
  return std::nullopt;
}

// Refuses what no node of any pool the job may use can ever hold, where that is known.
std::optional<Refusal> check_fit(const JobSpec& spec, const std::vector<const Pool*>& pools) {
  if (pools.empty()) return std::nullopt;
  if (auto refusal = check_size(spec, pools)) return refusal;
  for (const StageSpec& stage : spec.stages) {
    const bool fits = std::any_of(pools.begin(), pools.end(), [&stage](const Pool* pool) {
      return !pool->spec.shape || pool->spec.shape->holds(stage.resources);
    });
    if (fits) continue;
    return Refusal{Reason::kConflict, "a task needs " + to_text(stage.resources) +
                                          "; the largest node of pool \"" +
                                          pools.front()->spec.name + "\" has " +
                                          to_text(*pools.front()->spec.shape) + ": ask for less"};
  }
  return check_requirements(spec, pools);
}

// The pool that is made for the next job.
Pool own_pool(const State& state, const PoolSpec& spec) {
  Pool pool;
  pool.id = PoolId{state.meta().next_pool};
  pool.spec = spec;
  pool.spec.for_job = JobId{state.meta().next_job};
  pool.spec.name += "-" + std::to_string(pool.spec.for_job.value);
  return pool;
}

void cancel_waiting(const Stage& stage, StageRef ref, const IntervalSet& where, Facts& out) {
  IntervalSet waiting;
  where.for_each([&](Interval part) { waiting.insert_all(waiting_tasks(stage, part)); });
  set_aside(stage, {ref, {}, TaskState::kCancelled, SkipReason::kNone, {}}, waiting, out);
}

template <typename Command>
concept KeyedWish = requires {
  Command::kKind;
};

template <typename Other>
Result<Answer> decide_any(const State& state, const Other& c, Time now, Facts& out) {
  return decide_on(state, c, now, out);
}

// Of a person: once for each key.
template <KeyedWish Wish>
Result<Answer> decide_any(const State& state, const Wish& c, Time now, Facts& out) {
  if (c.key.empty() || c.key.size() > kKeyBytesMax)
    return invalid("a key has 1 to " + std::to_string(kKeyBytesMax) + " bytes");
  if (const Granted* known = state.granted().find(Wish::kKind, c.key, now)) return known->answer;
  Result<Answer> answer = decide_on(state, c, now, out);
  // Also of what has changed nothing: repeated later, it might.
  if constexpr (!std::is_same_v<Wish, Submit>)
    if (answer.ok()) out.emplace_back(WishGranted{Wish::kKind, c.key, c.actor, answer.value()});
  return answer;
}

}  // namespace

Result<Answer> decide(const State& state, const Command& command, Time now, Facts& out) {
  return std::visit([&](const auto& c) { return decide_any(state, c, now, out); }, command);
}

std::vector<const Pool*> pools_of(const State& state, const JobSpec& spec) {
  std::vector<const Pool*> pools;
  visit_pools(state, spec, [&pools](const Pool& pool) {
    pools.push_back(&pool);
    return true;
  });
  return pools;
}

std::vector<const Pool*> pools_of(const State& state, const Job& job) {
  if (const Pool* own = state.own_pool(job.id)) return {own};
  return pools_of(state, *job.spec);
}

Result<Answer> decide_on(const State& state, const Submit& c, Time, Facts& out) {
  if (auto refusal = check(c.spec)) return *refusal;
  std::vector<const Pool*> pools;
  Pool own;
  if (c.pool) {
    if (auto refusal = check(*c.pool)) return *refusal;
    if (!c.spec.pools.empty())
      return invalid("a job with a pool of its own cannot ask for other pools");
    own = own_pool(state, *c.pool);
    if (state.pool_named(own.spec.name) != nullptr)
      return Refusal{Reason::kConflict, "a pool is named \"" + own.spec.name +
                                            "\" already: give the job's pool another name"};
    pools = {&own};
  } else {
    if (auto refusal = check_pools(state, c.spec)) return *refusal;
    pools = pools_of(state, c.spec);
  }
  if (auto refusal = check_fit(c.spec, pools)) return *refusal;
  if (state.jobs().size() - state.ended_jobs().size() >= kActiveJobsMax)
    return Refusal{Reason::kOverloaded, "100000 jobs are active; wait for some to end"};
  const JobId id{state.meta().next_job};
  Facts dead;
  Result<std::vector<AfterState>> after = judge_after(state, c, id, dead);
  if (!after.ok()) return after.refusal();
  if (c.pool) out.emplace_back(PoolSet{own.id, own.spec, c.owner, c.key});
  out.emplace_back(JobAccepted{id, c.key, c.owner, std::make_shared<const JobSpec>(c.spec),
                               std::move(after).value()});
  for (Fact& fact : dead) out.push_back(std::move(fact));
  std::size_t surplus = state.ended_jobs().size();
  for (auto oldest = state.ended_jobs().begin();
       surplus > kEndedJobsKept && oldest != state.ended_jobs().end() &&
       state.ended_jobs().size() - surplus < kForgottenPerSubmit;
       ++oldest, --surplus)
    out.emplace_back(JobForgotten{oldest->first});
  return Answer{id};
}

Result<Answer> decide_on(const State& state, const Cancel& c, Time, Facts& out) {
  const Job* job = state.job(c.job);
  if (job == nullptr)
    return Refusal{Reason::kNotFound,
                   "no job " + std::to_string(c.job.value) + "; see: leat job list"};
  if (!job->active())
    return Refusal{Reason::kConflict, "job " + std::to_string(c.job.value) +
                                          " has already ended: " + name_of(job->state)};
  if (c.indices.empty()) {
    if (job->state == JobState::kCancelling) return Answer{Done{}};
    out.emplace_back(CancelRequested{{c.job, 0}, {}, c.actor});
    // Reduces first, or setting their inputs aside would already have skipped them.
    for (std::size_t n = job->stages.size(); n-- > 0;)
      cancel_waiting(job->stages[n], {c.job, static_cast<StageId>(n)},
                     IntervalSet(0, job->stages[n].cells.size() - 1), out);
    return Answer{Done{}};
  }
  const StageRef ref{c.job, c.stage};
  const Stage* stage = state.stage(ref);
  if (stage == nullptr)
    return Refusal{Reason::kNotFound, "job " + std::to_string(c.job.value) + " has no stage " +
                                          std::to_string(c.stage)};
  const auto where = stage->spec->indices.positions_of(c.indices);
  if (!where)
    return Refusal{Reason::kNotFound, "job " + std::to_string(c.job.value) +
                                          " does not have all of the tasks " +
                                          c.indices.to_string().substr(0, 80)};
  out.emplace_back(CancelRequested{ref, c.indices, c.actor});
  cancel_waiting(*stage, ref, *where, out);
  return Answer{Done{}};
}

}  // namespace leat::core
