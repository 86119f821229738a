// placement.cc - which waiting tasks go where, and when a job is over.

#include <algorithm>

#include "base/check.h"
#include "scheduler/core/decide_parts.h"

namespace leat::core {
namespace {

// The first waiting tasks, at most `limit`, that share an attempt number.
IntervalSet next_runs(const Stage& stage, std::uint64_t limit, Attempt& attempt) {
  IntervalSet chosen;
  bool open = true;
  stage.waiting.lowest(limit).for_each([&](Interval where) {
    stage.cells.for_each(where, [&](Interval part, const TaskCell& cell) {
      if (chosen.empty()) attempt = cell.attempt + 1;
      open = open && cell.attempt + 1 == attempt;
      if (open) chosen.insert(part);
    });
  });
  return chosen;
}

// Guided self-scheduling (Polychronopoulos, Kuck 1987): nobody gets more than a share of what is
// left, so that all nodes end together.
std::uint64_t fair_share(const State& state, const Node& node, const Stage& stage) {
  const std::uint64_t nodes = std::max<std::uint64_t>(state.capacity().size(node.pool), 1);
  return (stage.waiting.size() - 1) / (2 * nodes) + 1;
}

const Allotment& allotment_of(const Node& node, StageRef ref) {
  static const Allotment kNone;
  const auto at = node.allotments.find(ref);
  return at == node.allotments.end() ? kNone : at->second;
}

bool emit(const Stage& stage, StageRef ref, const Node& node, std::uint64_t limit,
          std::uint64_t claims, Facts& out) {
  Attempt attempt = 0;
  const IntervalSet runs = next_runs(stage, std::min(limit, kRunsPerPlacement), attempt);
  const Allotment& has = allotment_of(node, ref);
  // Tasks tried again come in small groups: never claim more than there is to run.
  const std::uint64_t claimed = std::min(claims, has.runs.size() + runs.size());
  out.emplace_back(RunsPlaced{{ref, attempt, stage.spec->indices.select(runs)},
                              node.ref,
                              static_cast<std::uint32_t>(claimed)});
  return true;
}

// As evenly as it goes: what waits, over the nodes there are.
std::uint64_t even_share(const State& state, const Node& node, const Stage& stage) {
  const std::uint64_t nodes = std::max<std::uint64_t>(state.capacity().size(node.pool), 1);
  return (stage.waiting.size() - 1) / nodes + 1;
}

// When so many runs that take turns at `claims` are over at the latest.
Time all_over_by(const Stage& stage, Time now, std::uint64_t runs, std::uint64_t claims) {
  return stage.spec->over_by(now, (runs - 1) / claims + 1);
}

}  // namespace

bool Placer::refill(const State& state, const Node& node, StageRef ref, Facts& out) {
  const Stage& stage = *state.stage(ref);
  if (!node.serves() || reserved_.has_kind(node.kind)) return false;
  const Allotment& has = allotment_of(node, ref);
  const std::uint64_t full = has.claims + has.claims * queue_depth(stage);
  if (has.runs.size() >= full) return false;
  const std::uint64_t wanted = std::min(full - has.runs.size(), fair_share(state, node, stage));
  const Time over = all_over_by(stage, now_, has.runs.size() + wanted, has.claims);
  if (reserved_.contains(node.ref.id, over)) return false;
  return emit(stage, ref, node, wanted, has.claims, out);
}

bool Placer::claim(const State& state, const Node& node, StageRef ref, bool spread, Facts& out) {
  const Stage& stage = *state.stage(ref);
  const Allotment& has = allotment_of(node, ref);
  std::uint64_t more = std::min(node.fit_count(*stage.spec), stage.waiting.size());
  LEAT_CHECK(more > 0);
  if (spread) more = std::min(more, even_share(state, node, stage));
  const std::uint64_t claims = has.claims + more;
  if (reserved_.is_kept_from(node.ref.id)) {
    // What queues behind may be over too late.
    const Time over = all_over_by(stage, now_, has.runs.size() + more, claims);
    if (reserved_.contains(node.ref.id, over)) return false;
    return emit(stage, ref, node, more, claims, out);
  }
  const std::uint64_t full = claims + claims * queue_depth(stage);
  const std::uint64_t room = full > has.runs.size() ? full - has.runs.size() : 0;
  const std::uint64_t queued = std::min(room, fair_share(state, node, stage));
  return emit(stage, ref, node, std::max(more, queued), claims, out);
}

bool Placer::next(const State& state, Facts& out) {
  // Before jobs end: what waits for them task by task is settled by then.
  if (set_doomed_aside(state, out)) return true;
  if (!state.finished_jobs().empty()) {
    const Job* job = state.job(*state.finished_jobs().begin());
    LEAT_CHECK(job != nullptr);
    out.emplace_back(JobEnded{job->id, end_of(*job)});
    return true;
  }
  const auto& entries = state.ready().entries();
  auto at = at_ ? entries.lower_bound(*at_) : entries.begin();
  if (at != entries.end() && at_ && *at == *at_ && at_blocked_) ++at;
  for (; at != entries.end() && blocked_ < kBlockedMax && passed_ < kPassedMax; ++at) {
    at_ = *at;
    at_blocked_ = true;
    if (is_hopeless(state, at->ref())) {
      if (++hopeless_ > kHopelessMax) return false;
      continue;
    }
    at_blocked_ = false;
    const bool gang = state.stage(at->ref())->spec->gang;
    if (gang ? place_gang(state, at->ref(), out) : place_stage(state, at->ref(), out)) return true;
    at_blocked_ = true;
  }
  return false;
}

bool Placer::is_hopeless(const State& state, StageRef ref) const {
  bool hopeless = true;
  const Job& job = *state.job(ref.job);
  visit_pools(state, job, [&](const Pool& pool) {
    const StageSpec& spec = *state.stage(ref)->spec;
    const Want want = want_of(*job.spec, spec, pool, now_);
    hopeless = state.capacity().able_count(pool.id, want, spec.nodes, reserved_) < spec.nodes;
    return hopeless;
  });
  return hopeless;
}

bool Placer::place_stage(const State& state, StageRef ref, Facts& out) {
  const Job* job = state.job(ref.job);
  const Stage* stage = state.stage(ref);
  LEAT_CHECK(job != nullptr && stage != nullptr && !stage->waiting.empty());
  // A node that idles comes before a queue that runs low.
  std::optional<NodeId> found;
  bool spread = false;
  visit_pools(state, *job, [&](const Pool& pool) {
    const Want want = want_of(*job->spec, *stage->spec, pool, now_);
    spread = want.spread;
    found = state.capacity().best(pool.id, want, reserved_);
    while (found && !claim(state, *state.node(*found), ref, spread, out)) {
      reserved_.add_from(*found, Time{});
      found = state.capacity().best(pool.id, want, reserved_);
    }
    return !found;
  });
  if (found) return true;
  const auto hungry = state.hungry().find(ref);
  if (hungry != state.hungry().end()) {
    for (const NodeId id : hungry->second) {
      const Node* node = state.node(id);
      if (node != nullptr && refill(state, *node, ref, out)) return true;
    }
  }
  ++(reserve(state, *job, *stage) ? blocked_ : passed_);
  return false;
}

bool Placer::place_gang(const State& state, StageRef ref, Facts& out) {
  const Job& job = *state.job(ref.job);
  const Stage& stage = *state.stage(ref);
  std::vector<NodeId> nodes;
  visit_pools(state, job, [&](const Pool& pool) {
    const Want want = want_of(*job.spec, *stage.spec, pool, now_);
    nodes = state.capacity().collect(pool.id, want, stage.spec->nodes, reserved_);
    return nodes.size() < stage.spec->nodes;
  });
  if (nodes.size() == stage.spec->nodes) {
    Attempt attempt = 0;
    const IntervalSet next = next_runs(stage, 1, attempt);
    GangPlaced fact{ref, attempt, stage.spec->indices.at(next.front().first), {}};
    for (const NodeId id : nodes) fact.nodes.push_back(state.node(id)->ref);
    out.emplace_back(std::move(fact));
    return true;
  }
  std::optional<Reservation> reservation;
  if (reservations_.size() < kReservationsMax)
    reservation = reserve_gang(state, ref, now_, reserved_);
  ++(reservation ? blocked_ : passed_);
  if (reservation) reservations_.push_back(std::move(*reservation));
  return false;
}

bool Placer::reserve(const State& state, const Job& job, const Stage& stage) {
  const std::uint64_t waiting = stage.waiting.size();
  std::uint64_t wanted = waiting;
  visit_pools(state, job, [&](const Pool& pool) {
    const Want want = want_of(*job.spec, *stage.spec, pool, now_);
    wanted = state.capacity().reserve(pool.id, want, wanted, reserved_);
    return wanted > 0;
  });
  return wanted < waiting;
}

bool could_have(const PoolSpec& pool, const std::vector<Requirement>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&pool](const Requirement& wanted) {
    if (wanted.label == kMemoryLimitLabel && !wanted.negated) return pool.keeps_memory_limits;
    // What agents find out, and what somebody says of nodes that are started by hand.
    const bool others_say =
        wanted.label.starts_with(kOwnLabelPrefix) || pool.provider == kStaticProvider;
    if (others_say && !wanted.negated) return true;
    return wanted.label.starts_with(kOwnLabelPrefix) || wanted.met_by(pool.labels);
  });
}

bool could_have(const Pool& pool, const std::vector<Requirement>& labels) {
  if (!could_have(pool.spec, labels)) return false;
  if (!pool.seen || pool.spec.provider == kStaticProvider) return true;
  // Nodes that one provider makes are alike in what agents find out.
  return std::all_of(labels.begin(), labels.end(), [&pool](const Requirement& wanted) {
    return !wanted.label.starts_with(kOwnLabelPrefix) || wanted.met_by(pool.seen_labels);
  });
}

Want want_of(const JobSpec& job, const StageSpec& stage, const Pool& pool, Time now) {
  const Packing packing = job.packing.value_or(pool.spec.packing);
  return {stage.resources,    job.labels,     stage.exclusive, packing == Packing::kSpread,
          stage.over_by(now), stage.in_common};
}

namespace {

// Stages that run only if an earlier one fails, and what needs those: that they are skipped is how
// it should be.
std::vector<bool> in_reserve(const Job& job) {
  std::vector<bool> found(job.stages.size());
  for (std::size_t id = 0; id < job.stages.size(); ++id) {
    const StageSpec& spec = *job.stages[id].spec;
    found[id] = std::any_of(spec.after.begin(), spec.after.end(), [&found](const After& after) {
      return !after.job && (after.on == Condition::kFailure ||
                            (after.on == Condition::kSuccess && found[after.stage]));
    });
    if (spec.reduces && found[spec.reduces->stage]) found[id] = true;
  }
  return found;
}

}  // namespace

JobState end_of(const Job& job) {
  std::uint64_t cancelled = 0;
  std::uint64_t failed = 0;
  std::uint64_t skipped = 0;
  const std::vector<bool> reserve = in_reserve(job);
  for (std::size_t id = 0; id < job.stages.size(); ++id) {
    const Stage& stage = job.stages[id];
    const auto count = [&stage](TaskState s) { return stage.counts[static_cast<std::size_t>(s)]; };
    cancelled += count(TaskState::kCancelled);
    failed += count(TaskState::kFailed) + count(TaskState::kQuarantined);
    if (!reserve[id]) skipped += count(TaskState::kSkipped);
  }
  if (job.cancel_requested && cancelled > 0) return JobState::kCancelled;
  if (failed > 0) return JobState::kFailed;
  if (cancelled > 0) return JobState::kCancelled;
  return skipped > 0 ? JobState::kSkipped : JobState::kSucceeded;
}

std::vector<Withdrawal> rebalance(const State& state) {
  // The fullest queue of each stage that has nothing waiting.
  std::map<StageRef, Withdrawal> fullest;
  for (const auto& [id, node] : state.nodes()) {
    if (node.state != NodeState::kUp) continue;
    for (const auto& [ref, allotment] : node.allotments) {
      const std::uint64_t queued = allotment.runs.size() - allotment.claims;
      if (queued == 0 || !state.stage(ref)->waiting.empty()) continue;
      Withdrawal& best = fullest[ref];
      if (queued > best.count) best = {node.ref, ref, queued};
    }
  }
  std::vector<Withdrawal> result;
  for (auto& [ref, withdrawal] : fullest) {
    const Stage* stage = state.stage(ref);
    const std::uint64_t mean_us = stage->ended_us / std::max<std::uint64_t>(stage->ended_runs, 1);
    // Not worth a round trip.
    if (withdrawal.count * mean_us < static_cast<std::uint64_t>(kQueueAhead.count()) / 4) continue;
    const Pool* pool = state.pool(state.node(withdrawal.node)->pool);
    const Want want = want_of(*state.job(ref.job)->spec, *stage->spec, *pool, kNever);
    Reserved none;
    if (!state.capacity().best(pool->id, want, none)) continue;
    withdrawal.count = (withdrawal.count + 1) / 2;
    result.push_back(withdrawal);
    if (result.size() == kWithdrawalsMax) break;
  }
  return result;
}

}  // namespace leat::core
