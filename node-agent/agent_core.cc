#include "node-agent/agent_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace leat::agent {
namespace {

// errno of a set that names tasks its stage does not have: the head's bug, and not to be retried
// for ever.
constexpr std::int32_t kInvalidArgument = 22;

RunResult only(Outcome outcome, std::int32_t code = 0) {
  RunResult result;
  result.outcome = outcome;
  result.code = code;
  return result;
}

}  // namespace

AgentCore::AgentCore(std::uint32_t slot_count, std::optional<Resources> capacity)
    : slots_(slot_count), capacity_(std::move(capacity)), free_(capacity_) {
  LEAT_CHECK(slot_count <= kSlotsMax);
}

Allotment* AgentCore::find(const StageRef& stage) {
  const auto found = stages_.find(stage);
  return found == stages_.end() ? nullptr : &found->second;
}

std::shared_ptr<const StageSpec> AgentCore::spec_of(const StageRef& stage) const {
  const auto found = stages_.find(stage);
  return found == stages_.end() ? nullptr : found->second.spec();
}

// --- from the head -------------------------------------------------------------------------------

Verdict AgentCore::on_joined(std::uint64_t session, HeadEpoch head_epoch) {
  if (older(head_epoch)) return Verdict::kOlderHead;
  head_epoch_ = head_epoch;
  session_ = session;
  sequence_seen_.reset();
  connected_ = true;
  reports_.resend();
  // The head sends each spec again with the first set of a session.
  std::erase_if(stages_, [](const auto& entry) { return entry.second.idle(); });
  return Verdict::kTaken;
}

void AgentCore::on_disconnected() {
  connected_ = false;
  reports_.resend();
}

Verdict AgentCore::on_start(const StartBatch& batch, Time now) {
  if (older(batch.head_epoch)) return Verdict::kOlderHead;
  if (batch.session != session_ || !connected_) return Verdict::kOtherSession;
  if (sequence_seen_ && batch.sequence <= *sequence_seen_) return Verdict::kRepeated;
  sequence_seen_ = batch.sequence;
  for (const StartSet& set : batch.sets) take_set(set, now);
  return Verdict::kTaken;
}

void AgentCore::take_set(const StartSet& set, Time now) {
  const StageRef stage = set.runs.stage;
  if (set.runs.indices.empty()) return;
  if (find(stage) == nullptr && set.spec != nullptr) add_stage(stage, set.spec);
  Allotment* allotment = find(stage);
  if (allotment == nullptr || stopping_) {
    if (allotment == nullptr) unlisted_.insert(stage);
    reports_.add_set(set.runs, only(Outcome::kWithdrawn), now);
    return;
  }
  const std::optional<IntervalSet> positions =
      allotment->spec()->indices.positions_of(set.runs.indices);
  if (!positions || set.runs.member != 0 || set.runs.attempt == 0) {
    reports_.add_set(set.runs, only(Outcome::kCouldNotStart, kInvalidArgument), now);
    return;
  }
  allotment->set_claims(set.claims);
  positions->for_each([this, &stage, allotment, &set](Interval interval) {
    for (const auto& [part, known] : allotment->known(interval)) {
      if (known.state == RunState::kUnknown || known.attempt < set.runs.attempt)
        take_part(stage, *allotment, part, set.runs.attempt);
    }
  });
  launch_from(stage, *allotment);
}

// Precondition: all of `positions` are in the same state, with an older attempt or none.
void AgentCore::take_part(const StageRef& stage, Allotment& allotment, Interval positions,
                          Attempt attempt) {
  const Known known = allotment.known(positions.first);
  LEAT_CHECK(known.state == RunState::kUnknown || known.attempt < attempt);
  if (known.state == RunState::kRunning) {
    for (std::uint64_t p = positions.first; p <= positions.last; ++p) {
      const RunId run = run_id(stage, known.attempt, allotment.spec()->indices.at(p));
      Running& running = running_.at(run);
      running.successor = std::max(running.successor, attempt);
      end_running(run, Outcome::kWithdrawn, Duration{0});
    }
    return;
  }
  if (known.state == RunState::kQueued) {
    actions_.dropped.push_back(allotment.to_set(stage, {known.attempt, positions}));
    allotment.remove(positions);
    queued_ -= positions.size();
  }
  allotment.push(positions, attempt);
  queued_ += positions.size();
}

// What ran or ended before the spec was known counts in the new allotment.
void AgentCore::add_stage(const StageRef& stage, std::shared_ptr<const StageSpec> spec) {
  if (spec->indices.empty()) return;
  Allotment& allotment = stages_.emplace(stage, Allotment(std::move(spec))).first->second;
  // Only few reports, if any, are of stages that are not in the table.
  if (unlisted_.erase(stage) == 0) return;
  const auto mark = [&allotment](Index index, Known known) {
    const std::optional<std::uint64_t> position = allotment.position_of(index);
    if (position && allotment.known(*position).attempt < known.attempt)
      allotment.mark({*position, *position}, known);
  };
  for (auto i = running_.lower_bound(run_id(stage, 0, 0));
       i != running_.end() && stage_of(i->first) == stage; ++i)
    mark(i->first.index, {RunState::kRunning, i->first.attempt});
  for (const Ended& ended : reports_.content()) {
    if (ended.runs.stage != stage) continue;
    ended.runs.indices.for_each([&mark, &ended](Index index) {
      mark(index, {RunState::kEnded, ended.runs.attempt});
    });
  }
}

void AgentCore::end_running(const RunId& run, Outcome why, Duration grace) {
  running_.at(run).ordered = why;
  actions_.ends.push_back({run, grace});
}

Verdict AgentCore::on_end(HeadEpoch head_epoch, std::span<const EndOrder> orders, Time now) {
  if (older(head_epoch)) return Verdict::kOlderHead;
  for (const EndOrder& order : orders) {
    Allotment* allotment = find(order.runs.stage);
    std::optional<IntervalSet> positions;
    if (allotment != nullptr)
      positions = allotment->spec()->indices.positions_of(order.runs.indices);
    if (!positions) {
      end_unlisted(order, now);
      continue;
    }
    positions->for_each([this, allotment, &order, now](Interval interval) {
      for (const auto& [part, known] : allotment->known(interval))
        end_part(order, *allotment, part, known, now);
    });
    settle(order.runs.stage);
  }
  return Verdict::kTaken;
}

// An order about a stage that is not in the table: what runs is ended, the rest is over.
void AgentCore::end_unlisted(const EndOrder& order, Time now) {
  IntervalSet rest;
  if (order.runs.indices.empty()) return;
  rest.insert({0, order.runs.indices.size() - 1});
  for (auto i = running_.lower_bound(run_id(order.runs.stage, order.runs.attempt, 0));
       i != running_.end() && stage_of(i->first) == order.runs.stage &&
       i->first.attempt == order.runs.attempt;
       ++i) {
    const std::optional<std::uint64_t> position = order.runs.indices.position_of(i->first.index);
    if (!position) continue;
    rest.erase({*position, *position});
    end_running(i->first, order.why, order.grace);
  }
  if (rest.empty()) return;
  RunSet over = order.runs;
  over.indices = order.runs.indices.select(rest);
  unlisted_.insert(order.runs.stage);
  reports_.add_set(over, only(order.why), now);
}

void AgentCore::end_part(const EndOrder& order, Allotment& allotment, Interval part,
                         const Known& known, Time now) {
  const Attempt attempt = order.runs.attempt;
  const StageRef stage = order.runs.stage;
  if (known.state != RunState::kUnknown && known.attempt > attempt) return;
  if (known.state == RunState::kRunning) {
    for (std::uint64_t p = part.first; p <= part.last; ++p) {
      const RunId run = run_id(stage, known.attempt, allotment.spec()->indices.at(p));
      if (known.attempt == attempt) {
        end_running(run, order.why, order.grace);
        continue;
      }
      Running& running = running_.at(run);
      if (running.successor == attempt) running.successor = 0;
      reports_.add_set(allotment.to_set(stage, {attempt, {p, p}}), only(order.why), now);
    }
    return;
  }
  if (known.state == RunState::kEnded && known.attempt == attempt) return;
  if (known.state == RunState::kQueued && known.attempt == attempt) {
    allotment.remove(part);
    queued_ -= part.size();
    give_back(stage, allotment, {attempt, part}, order.why, now);
    return;
  }
  // Never heard of, or of an older attempt only: whoever asks must hear that it is over.
  reports_.add_set(allotment.to_set(stage, {attempt, part}), only(order.why), now);
  if (known.state == RunState::kUnknown) allotment.mark(part, {RunState::kEnded, attempt});
}

// Reports runs that have left the queue without starting.
void AgentCore::give_back(const StageRef& stage, Allotment& allotment, const QueuedPart& part,
                          Outcome why, Time now) {
  const RunSet set = allotment.to_set(stage, part);
  allotment.mark(part.positions, {RunState::kEnded, part.attempt});
  reports_.add_set(set, only(why), now);
  actions_.dropped.push_back(set);
}

Verdict AgentCore::on_withdraw(HeadEpoch head_epoch, const StageRef& stage, std::uint64_t count,
                               Time now) {
  if (older(head_epoch)) return Verdict::kOlderHead;
  Allotment* allotment = find(stage);
  if (allotment == nullptr) return Verdict::kTaken;
  for (const QueuedPart& part : allotment->take_last(count)) {
    queued_ -= part.positions.size();
    give_back(stage, *allotment, part, Outcome::kWithdrawn, now);
  }
  settle(stage);
  return Verdict::kTaken;
}

Verdict AgentCore::on_release(HeadEpoch head_epoch, std::span<const JobId> jobs) {
  if (older(head_epoch)) return Verdict::kOlderHead;
  for (const JobId job : jobs) {
    released_.insert(job);
    forget_if_done(job);
  }
  return Verdict::kTaken;
}

void AgentCore::on_stop(Duration grace, Time now) {
  stopping_ = true;
  for (auto& [stage, allotment] : stages_) {
    for (const QueuedPart& part : allotment.take_last(allotment.queued())) {
      queued_ -= part.positions.size();
      give_back(stage, allotment, part, Outcome::kWithdrawn, now);
    }
  }
  for (auto& [run, running] : running_) {
    if (running.successor != 0) {
      reports_.add_set({stage_of(run), running.successor, IndexList(Stride{run.index}), 0},
                       only(Outcome::kWithdrawn), now);
      running.successor = 0;
    }
    end_running(run, Outcome::kWithdrawn, grace);
  }
}

// --- from the node -------------------------------------------------------------------------------

std::optional<RunResult> AgentCore::on_exit(const RunId& run, const RunResult& result,
                                            bool by_order, Time now,
                                            std::optional<BlobRef> stored) {
  const StageRef stage = stage_of(run);
  Allotment* allotment = find(stage);
  std::optional<std::uint64_t> position;
  if (allotment != nullptr) position = allotment->position_of(run.index);

  const auto found = running_.find(run);
  if (found == running_.end() && position &&
      allotment->known(*position) == Known{RunState::kEnded, run.attempt})
    return std::nullopt;

  RunResult reported = result;
  Attempt successor = 0;
  if (found != running_.end()) {
    // Nobody alive remembers why it was ended: the task is to be run again, if it is still wanted.
    if (by_order) reported.outcome = found->second.ordered.value_or(Outcome::kWithdrawn);
    if (found->second.slot) slots_.give_back(*found->second.slot);
    if (found->second.taken) free_->give(*found->second.taken);
    successor = found->second.successor;
    running_.erase(found);
  }
  reports_.add(run, reported, stored, now);
  if (allotment == nullptr) unlisted_.insert(stage);
  if (position) {
    const Known known = allotment->known(*position);
    const bool is_this = known == Known{RunState::kRunning, run.attempt};
    if (is_this || known.state == RunState::kUnknown)
      allotment->mark({*position, *position}, {RunState::kEnded, run.attempt});
    if (is_this && successor != 0) {
      allotment->push({*position, *position}, successor);
      ++queued_;
    }
  }
  settle(stage);
  launch_starved();
  return reported;
}

void AgentCore::on_recovered_stage(const StageRef& stage, std::shared_ptr<const StageSpec> spec) {
  if (find(stage) == nullptr) add_stage(stage, std::move(spec));
}

void AgentCore::on_recovered_end(const RunId& run, const RunResult& result,
                                 const std::optional<BlobRef>& stored, Time now) {
  on_exit(run, result, false, now, stored);
}

void AgentCore::on_adopted(std::span<const AdoptedRun> runs) {
  for (const AdoptedRun& adopted : runs) {
    Allotment* allotment = find(stage_of(adopted.run));
    if (allotment == nullptr) unlisted_.insert(stage_of(adopted.run));
    if (allotment != nullptr) {
      const auto position = allotment->position_of(adopted.run.index);
      // Ended according to the log, which is written only after the warden's word.
      if (position && allotment->known(*position) == Known{RunState::kEnded, adopted.run.attempt})
        continue;
      if (position)
        allotment->mark({*position, *position}, {RunState::kRunning, adopted.run.attempt});
    }
    Running running;
    if (allotment != nullptr) take_room(*allotment->spec(), running);
    if (slots_.claim(adopted.slot)) running.slot = adopted.slot;
    running_.emplace(adopted.run, running);
  }
}

}  // namespace leat::agent
