#include "tests/sim/queue_world.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/labels.h"

namespace leat::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kNodes = 8;
constexpr std::uint32_t kCores = 4;
constexpr std::uint64_t kJobs = 50;
// Of any run, its grace included.
constexpr Duration kLongest = seconds(62);
constexpr Duration kGrace = seconds(2);

std::string text_of(StageRef stage) {
  return "job " + std::to_string(stage.job.value);
}

std::string text_of(Time time) {
  return time == kNever ? "never" : std::to_string(time.us()) + " us";
}

RunId run_of(const core::RunSet& runs, Index index) {
  return {runs.stage.job, runs.stage.stage, runs.attempt, index};
}

core::RunSet set_of(const RunId& run) {
  return {{run.job, run.stage}, run.attempt, IndexList(Stride{run.index})};
}

}  // namespace

QueueWorld::QueueWorld(const QueuePlan& plan) : plan_(plan), random_(plan.seed) {
  say(core::StartHead{0, "sim"});
  say(core::SetPool{"pool", {}, core::PoolSpec{"queue", "local", kNodes, std::nullopt, {}}});
  for (std::uint32_t n = 0; n < kNodes; ++n)
    add_node({std::string(kMpiLabel) + (plan_.versions && n % 2 == 1 ? "=50.0.1" : "=40.30.4")});
  for (std::uint64_t n = 0; n < kJobs; ++n) {
    const Duration when(static_cast<std::int64_t>(random_.below(200'000'000)));
    events_.emplace(now_ + when, [this, n] { submit(n); });
  }
  for (std::uint64_t n = plan_.losses ? 6 : 0; n > 0; --n) {
    const Duration when(static_cast<std::int64_t>(random_.below(400'000'000)));
    events_.emplace(now_ + when, [this] { lose_a_node(); });
  }
}

void QueueWorld::add_node(const std::vector<std::string>& labels) {
  core::Hash token{};
  token[0] = static_cast<std::uint8_t>(state_.meta().next_node);
  token[1] = 1;
  const core::Answer answer = say(core::RequestNode{PoolId{1}, token, kNever});
  say(core::EnrolNode{token});
  core::NodeReport report;
  report.node = std::get<NodeRef>(answer);
  report.capacity = {kCores * 1000, 0, 0, {}};
  report.labels = labels;
  say(core::JoinNode{report});
}

// Single tasks, long or very short, and gangs of up to all nodes.
void QueueWorld::submit(std::uint64_t n) {
  core::JobSpec spec;
  spec.priority = random_.chance(15) ? 1 : 0;
  core::StageSpec stage;
  const bool gang = n % 5 < 2;
  const bool quick = n % 5 == 4;
  const std::uint64_t tasks = 1 + random_.below(gang ? 4 : quick ? 300 : 25);
  stage.indices = IndexList(Stride{0, tasks, 1});
  stage.gang = gang;
  if (gang && plan_.versions && random_.chance(50)) stage.in_common = kMpiLabel;
  const std::uint32_t most = stage.in_common.empty() ? kNodes : kNodes / 2;
  if (gang) stage.nodes = 1 + static_cast<std::uint32_t>(random_.below(most));
  stage.resources.millicores = 1000 * (1 + static_cast<std::uint32_t>(random_.below(kCores)));
  stage.retries = 2;
  stage.grace = kGrace;
  stage.exclusive = !quick && random_.chance(10);
  if (!plan_.unlimited || random_.chance(70))
    stage.time_limit = quick ? Duration(seconds(1)) : Duration(seconds(1 + random_.below(60)));
  spec.stages.push_back(stage);
  say(core::Submit{"key-" + std::to_string(++keys_), {}, std::move(spec), {}, {}});
}

void QueueWorld::lose_a_node() {
  auto at = state_.nodes().begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_.below(state_.nodes().size())));
  const NodeRef lost = at->second.ref;
  const std::vector<std::string> labels = at->second.report.labels;
  std::erase_if(slots_, [lost](const auto& entry) { return entry.first.first == lost; });
  for (auto& [run, nodes] : alive_) nodes.erase(lost);
  promise_.reset();
  say(core::ProveGone{lost, "sim"});
  add_node(labels);
}

core::Answer QueueWorld::say(const core::Command& command) {
  core::Facts facts;
  const Result<core::Answer> answer = core::decide(state_, command, now_, facts);
  LEAT_CHECK(answer.ok());
  apply(facts);
  return answer.value();
}

void QueueWorld::apply(const core::Facts& facts) {
  core::Effects effects;
  for (const core::Fact& fact : facts) {
    state_.apply(fact, now_);
    core::effects_of(state_, fact, effects);
  }
  carry_out(effects);
}

void QueueWorld::carry_out(const core::Effects& effects) {
  for (const core::Effect& effect : effects) {
    if (const auto* starts = std::get_if<core::StartRuns>(&effect)) start(*starts);
    const auto* order = std::get_if<core::EndRuns>(&effect);
    if (order == nullptr) continue;
    const RunId run = run_of(order->runs, order->runs.indices.at(0));
    end_later(order->node, run, Duration(static_cast<std::int64_t>(random_.below(1'000'000))),
              order->why);
  }
}

void QueueWorld::start(const core::StartRuns& start) {
  Slot& slot = slots_[{start.node, start.runs.stage}];
  slot.claims = start.claims;
  start.runs.indices.for_each([&](Index index) {
    const RunId run = run_of(start.runs, index);
    slot.queued.push_back(run);
    alive_[run].insert(start.node);
    if (start.gang != nullptr) check_alike(run, start.node);
    for (Attempt before = 1; before < run.attempt; ++before) {
      const auto at = alive_.find({run.job, run.stage, before, index});
      if (at != alive_.end() && !at->second.empty())
        complain(text_of(start.runs.stage) + ": an attempt starts while another lives");
    }
  });
  start_queued(start.node, start.runs.stage);
}

void QueueWorld::check_alike(const RunId& run, NodeRef node) {
  const StageRef stage{run.job, run.stage};
  std::set<NodeRef>& nodes = started_[run];
  const std::string& in_common = state_.stage(stage)->spec->in_common;
  const core::Node* first = nodes.empty() ? nullptr : state_.node(*nodes.begin());
  if (first != nullptr && label_value(first->report.labels, in_common) !=
                              label_value(state_.node(node)->report.labels, in_common))
    complain(text_of(stage) + ": a gang is on nodes with unlike Open MPI");
  nodes.insert(node);
}

void QueueWorld::start_queued(NodeRef node, StageRef stage) {
  Slot& slot = slots_[{node, stage}];
  const core::StageSpec& spec = *state_.stage(stage)->spec;
  while (slot.running.size() < slot.claims && !slot.queued.empty()) {
    const RunId run = slot.queued.front();
    slot.queued.pop_front();
    slot.running.insert(run);
    Duration length = spec.time_limit.count() > 0 ? spec.time_limit : Duration(seconds(60));
    // Most end well before their limit; now and then one needs its grace too.
    length = random_.chance(10) ? length + kGrace
                                : Duration(1 + static_cast<std::int64_t>(random_.below(
                                                   static_cast<std::uint64_t>(length.count()))));
    if (spec.time_limit == seconds(1)) length = std::min(length, Duration(milliseconds(80)));
    end_later(node, run, length, random_.chance(4) ? Outcome::kSignal : Outcome::kExit);
  }
}

void QueueWorld::end_later(NodeRef node, const RunId& run, Duration delay, Outcome outcome) {
  events_.emplace(now_ + delay, [this, node, run, outcome] { end(node, run, outcome); });
}

void QueueWorld::end(NodeRef node, const RunId& run, Outcome outcome) {
  const StageRef stage{run.job, run.stage};
  const auto slot = slots_.find({node, stage});
  if (slot == slots_.end() || !alive_[run].contains(node)) return;
  slot->second.running.erase(run);
  std::erase(slot->second.queued, run);
  alive_[run].erase(node);
  RunRow row;
  row.outcome = outcome;
  row.code = outcome == Outcome::kExit ? 0 : 9;
  row.duration_us = state_.stage(stage)->spec->time_limit == seconds(1) ? 40'000 : 5'000'000;
  const bool gang = state_.stage(stage)->spec->gang;
  const std::size_t nodes = state_.stage(stage)->spec->nodes;
  say(core::ReportEnded{node, state_.node(node)->session, {{set_of(run), to_columns({row}), {}}}});
  if (gang && started_[run].size() != nodes)
    complain(text_of(stage) + ": a gang started on " + std::to_string(started_[run].size()) +
             " of " + std::to_string(nodes) + " nodes");
  if (state_.stage(stage) != nullptr) start_queued(node, stage);
}

void QueueWorld::place() {
  std::vector<core::Reservation> reservations;
  for (bool again = true; again;) {
    core::Placer placer(now_);
    core::Facts facts;
    again = false;
    while (placer.next(state_, facts)) {
      for (const core::Fact& fact : facts) note_placed(fact);
      apply(facts);
      facts.clear();
      // What follows from it is part of this turn.
      again = true;
    }
    reservations = placer.reservations();
  }
  note_reservations(reservations);
  break_rules(reservations);
}

void QueueWorld::note_placed(const core::Fact& fact) {
  const auto* single = std::get_if<core::RunsPlaced>(&fact);
  const auto* gang = std::get_if<core::GangPlaced>(&fact);
  if (single == nullptr && gang == nullptr) return;
  gangs_started_ += gang != nullptr ? 1 : 0;
  if (!promise_) return;
  const StageRef stage = gang != nullptr ? gang->stage : single->runs.stage;
  const auto entry_of = [this](StageRef ref) {
    return core::ReadyQueue::entry(state_.job(ref.job)->priority, ref);
  };
  if (stage == promise_->stage) {
    if (now_ > promise_->from)
      complain(text_of(stage) + " was promised a start at " + text_of(promise_->from) +
               " and had it at " + text_of(now_));
    if (now_ - promise_->first_since > 2 * kLongest)
      complain(text_of(stage) + " was first in the queue for more than two of the longest runs");
    ++promises_kept_;
    promise_.reset();
  } else if (entry_of(stage) < entry_of(promise_->stage)) {
    promise_.reset();  // work that is ahead
  } else {
    ++backfilled_;
  }
}

void QueueWorld::note_reservations(const std::vector<core::Reservation>& reservations) {
  // What waits ahead of a gang keeps nodes, too.
  const auto& queue = state_.ready().entries();
  if (reservations.empty() || queue.begin()->ref() != reservations.front().stage) {
    promise_.reset();
    return;
  }
  const core::Reservation& first = reservations.front();
  if (!promise_ || promise_->stage != first.stage) {
    promise_ = Promise{first.stage, first.from, now_};
    return;
  }
  if (first.from > promise_->from)
    complain(text_of(first.stage) + " was promised a start at " + text_of(promise_->from) +
             ", and now at " + text_of(first.from));
  promise_->from = std::min(promise_->from, first.from);
}

void QueueWorld::break_rules(const std::vector<core::Reservation>& reservations) {
  if (plan_.fault == QueueFault::kIgnoreReservations) ignore_reservations();
  if (plan_.fault == QueueFault::kHoldParts)
    for (const core::Reservation& reservation : reservations) hold_parts(reservation);
}

void QueueWorld::ignore_reservations() {
  const core::Pool& pool = state_.pools().begin()->second;
  std::vector<StageRef> stages;
  for (const auto& entry : state_.ready().entries()) stages.push_back(entry.ref());
  for (const StageRef ref : stages) {
    const core::Stage& stage = *state_.stage(ref);
    if (stage.spec->gang) continue;
    while (!stage.waiting.empty()) {
      core::Reserved none;
      const core::Want want{stage.spec->resources, {}, stage.spec->exclusive, false, kNever};
      const auto found = state_.capacity().best(pool.id, want, none);
      if (!found) break;
      const core::Node& node = *state_.node(*found);
      const std::uint64_t p = stage.waiting.front().first;
      const auto has = node.allotments.find(ref);
      const std::uint32_t claims = has == node.allotments.end() ? 0 : has->second.claims;
      const core::RunSet run{ref, stage.cells.at(p).attempt + 1,
                             IndexList(Stride{stage.spec->indices.at(p)})};
      apply({core::RunsPlaced{run, node.ref, claims + 1}});
    }
  }
}

// Nodes that are free are drained for the gang, and given to it when they are enough.
void QueueWorld::hold_parts(const core::Reservation& reservation) {
  std::vector<NodeId>& held = holding_[reservation.stage];
  const core::StageSpec& spec = *state_.stage(reservation.stage)->spec;
  std::vector<NodeId> free;
  for (const auto& [id, node] : state_.nodes())
    if (node.serves() && node.allotments.empty()) free.push_back(id);
  for (const NodeId id : free) {
    if (held.size() == spec.nodes) break;
    say(core::DrainNode{"key-" + std::to_string(++keys_), {}, id, {core::Running::kComplete, {}}});
    held.push_back(id);
  }
  if (held.size() < spec.nodes) return;
  for (const NodeId id : held) say(core::ResumeNode{"key-" + std::to_string(++keys_), {}, id});
  held.clear();
}

std::vector<std::string> QueueWorld::run() {
  while (!events_.empty() && complaints_.empty()) {
    const auto next = events_.begin();
    now_ = std::max(now_, next->first);
    const std::function<void()> event = std::move(next->second);
    events_.erase(next);
    event();
    // All that happens at one instant is one turn.
    if (!events_.empty() && events_.begin()->first <= now_) continue;
    place();
    state_.check_invariants();
  }
  const bool active = std::any_of(state_.jobs().begin(), state_.jobs().end(),
                                  [](const auto& entry) { return entry.second.active(); });
  if (active && complaints_.empty()) complain("jobs wait, and nothing happens any more");
  return complaints_;
}

}  // namespace leat::sim
