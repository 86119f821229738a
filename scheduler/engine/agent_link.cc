#include "scheduler/engine/agent_link.h"

#include <kj/debug.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "scheduler/store/value_codec.h"
#include "transport/identity.h"
#include "transport/liveness.h"

namespace leat::engine {
namespace {

// The runs of `set` that the state does not have on `node`; all of them if it does not even know
// the stage.
IndexList strangers(const core::State& state, const core::RunSet& set, NodeRef node) {
  const core::Stage* stage = state.stage(set.stage);
  // Nothing shall run on a node that is only there to bring its outputs away.
  const bool deleting = state.node(node)->state == core::NodeState::kDeleting;
  if (stage == nullptr || deleting) return set.indices;
  const auto positions = stage->spec->indices.positions_of(set.indices);
  if (!positions) return set.indices;
  IntervalSet unknown;
  positions->for_each([&](Interval where) {
    if (stage->spec->gang) {
      for (std::uint64_t p = where.first; p <= where.last; ++p)
        if (!state.is_on(set.stage, p, set.attempt, node)) unknown.insert({p, p});
      return;
    }
    stage->cells.for_each(where, [&](Interval part, const core::TaskCell& cell) {
      const bool here =
          (cell.state == core::TaskState::kPlaced || cell.state == core::TaskState::kEnding) &&
          cell.node == node && cell.attempt == set.attempt;
      if (!here) unknown.insert(part);
    });
  });
  return stage->spec->indices.select(unknown);
}

}  // namespace

AgentLink::AgentLink(LinkServices services, NodeRef node, kj::TimePoint back_until, AgentLinks& all)
    : services_(std::move(services)),
      all_(all),
      node_(node),
      reader_(
          transport::common_name({.kind = transport::Peer::Kind::kAgent, .node = node, .uid = 0})),
      back_until_(back_until),
      tasks_(*this) {}

std::uint64_t AgentLink::newest_session() const {
  const core::Node* node = services_.engine.state().node(node_);
  return node == nullptr ? 0 : node->session;
}

void AgentLink::drop_older() {
  const std::uint64_t newest = newest_session();
  if (newest == queued_for_) return;
  // The effects of the join, which come next, say everything again.
  queue_.clear();
  queued_for_ = newest;
}

void AgentLink::order(Order order) {
  drop_older();
  queue_.push_back(std::move(order));
  schedule_flush();
}

bool AgentLink::open(std::uint64_t session, schema::Agent::Client agent,
                     const std::vector<core::RunSet>& live, std::function<void()> hang_up) {
  if (session != newest_session()) return false;
  drop_older();
  close();
  session_ = session;
  ++connection_;
  agent_ = std::make_unique<schema::Agent::Client>(kj::mv(agent));
  hang_up_ = std::move(hang_up);
  heard_ = services_.timer.now();
  sequence_ = 0;
  unanswered_ = 0;
  specs_sent_.clear();
  const core::State& state = services_.engine.state();
  for (const core::RunSet& set : live) {
    IndexList unknown = strangers(state, set, node_);
    if (unknown.empty()) continue;
    queue_.emplace_back(core::EndRuns{
        node_, {set.stage, set.attempt, std::move(unknown)}, Outcome::kWithdrawn, Duration{0}});
  }
  const auto& ended = state.ended_jobs();
  std::size_t released = 0;
  for (auto at = ended.rbegin(); at != ended.rend() && released < kReleasesAtJoin; ++at, ++released)
    queue_.emplace_back(at->first);
  if (evacuated_.get() != nullptr) {
    evacuation_heard_ = services_.timer.now();
    queue_.emplace_back(Evacuate{});
  }
  tasks_.add(ping());
  schedule_flush();
  return true;
}

kj::Promise<void> AgentLink::ping() {
  const std::uint64_t connection = connection_;
  const auto call = [this, connection]() -> kj::Promise<void> {
    if (connection != connection_ || agent_ == nullptr)
      return KJ_EXCEPTION(DISCONNECTED, "the session is over");
    auto request = agent_->pingRequest();
    request.setHeadEpoch(services_.engine.state().meta().epoch.value);
    return request.send().then([this, connection](auto&&) {
      if (connection == connection_) heard_ = services_.timer.now();
    });
  };
  return transport::ping_forever(services_.timer, call,
                                 std::chrono::microseconds(kPingInterval / kj::MICROSECONDS),
                                 std::chrono::microseconds(kPingDeadline / kj::MICROSECONDS))
      .catch_([this, connection](kj::Exception&&) {
        if (connection != connection_ || agent_ == nullptr) return;
        // A broken connection gets its time to come back; silence has had it.
        const bool silent = services_.timer.now() - heard_ >= kPingDeadline;
        disconnected(session_);
        if (silent) lose("it does not answer");
      });
}

void AgentLink::disconnected(std::uint64_t session) {
  if (session != session_ || agent_ == nullptr) return;
  close();
  expect_return(session);
}

void AgentLink::missed(std::uint64_t session) {
  if (session == newest_session() && agent_ == nullptr) expect_return(session);
}

void AgentLink::expect_return(std::uint64_t session) {
  back_until_ = services_.timer.now() + kRejoinDeadline;
  tasks_.add(wait_for_return().then([this, session] {
    if (session == newest_session() && agent_ == nullptr) lose("it has not come back");
  }));
}

// It may be away again by then, for another while.
kj::Promise<void> AgentLink::wait_for_return() {
  return services_.timer.atTime(back_until_).then([this] {
    if (agent_ == nullptr && services_.timer.now() >= back_until_) conclude_evacuation();
  });
}

void AgentLink::close() {
  agent_ = nullptr;
  if (auto hang_up = std::exchange(hang_up_, nullptr)) hang_up();
}

kj::Promise<void> AgentLink::evacuate() {
  const bool here = agent_ != nullptr && session_ == newest_session();
  if (!here && services_.timer.now() >= back_until_) return kj::READY_NOW;
  if (evacuated_.get() == nullptr) {
    auto paf = kj::newPromiseAndFulfiller<void>();
    evacuated_ = kj::mv(paf.fulfiller);
    evacuation_heard_ = services_.timer.now();
    evacuation_ends_ = evacuation_heard_ + kEvacuationDeadline;
    evacuation_ = paf.promise.exclusiveJoin(evacuation_silence()).fork();
    if (here) {
      order(Evacuate{});
    } else {
      tasks_.add(wait_for_return());
    }
  }
  return evacuation_.addBranch();
}

// Resolves when it has been silent for too long, or it has taken too long altogether.
kj::Promise<void> AgentLink::evacuation_silence() {
  const kj::TimePoint until = std::min(evacuation_ends_, evacuation_heard_ + kEvacuationSilence);
  if (services_.timer.now() >= until) return kj::READY_NOW;
  return services_.timer.atTime(until).then([this] { return evacuation_silence(); });
}

void AgentLink::evacuating(std::uint64_t session) {
  if (session == session_) evacuation_heard_ = services_.timer.now();
}

void AgentLink::evacuated(std::uint64_t session, const std::string& what) {
  if (session != session_ || evacuated_.get() == nullptr) return;
  services_.log(text_of(node_) + ": " + what);
  conclude_evacuation();
}

void AgentLink::conclude_evacuation() {
  if (evacuated_.get() != nullptr) evacuated_->fulfill();
  evacuated_ = nullptr;
}

kj::Promise<void> AgentLink::stop() {
  if (agent_ == nullptr) return kj::READY_NOW;
  auto request = agent_->stopRequest();
  request.setHeadEpoch(services_.engine.state().meta().epoch.value);
  return request.send().ignoreResult().catch_([](kj::Exception&&) {});
}

void AgentLink::lose(const char* why) {
  services_.log(text_of(node_) + " is lost: " + why);
  tasks_.add(services_.engine.post(core::LoseNode{node_}).ignoreResult());
}

void AgentLink::schedule_flush() {
  if (std::exchange(flush_scheduled_, true)) return;
  // Later, so that all orders of a turn share calls.
  tasks_.add(kj::evalLater([this] {
    flush_scheduled_ = false;
    flush();
  }));
}

void AgentLink::flush() {
  while (agent_ != nullptr && session_ == queued_for_ && !queue_.empty() &&
         unanswered_ < kCallsUnanswered) {
    const Order& next = queue_.front();
    if (std::holds_alternative<core::StartRuns>(next)) {
      send_starts();
    } else if (std::holds_alternative<core::EndRuns>(next)) {
      send_ends();
    } else if (std::holds_alternative<core::Withdrawal>(next)) {
      send_withdrawal();
    } else if (std::holds_alternative<Evacuate>(next)) {
      send_evacuate();
    } else {
      send_releases();
    }
  }
}

void AgentLink::send_starts() {
  const core::State& state = services_.engine.state();
  OutgoingBatch batch;
  while (!queue_.empty() && !batch.full()) {
    auto* start = std::get_if<core::StartRuns>(&queue_.front());
    if (start == nullptr) break;
    take_runs(state, specs_sent_, *start, batch);
    if (!start->runs.indices.empty()) break;
    queue_.pop_front();
  }
  if (!batch.too_scattered.empty()) refuse(batch.too_scattered);
  if (batch.sets.empty()) return;
  auto request = agent_->startRequest();
  auto to = request.initBatch();
  to.setHeadEpoch(state.meta().epoch.value);
  to.setSession(session_);
  to.setSequence(++sequence_);
  write_sets(state, batch, {reader_, services_.tickets, all_.gangs()}, specs_sent_, to);
  track(request.send().then([this](auto&& answer) {
    for (const auto begun : answer.getHubs()) {
      const auto run = begun.getRun();
      all_.gang_begun({JobId{run.getJob()}, run.getStage(), run.getAttempt(), run.getIndex()},
                      read_hub(begun.getHub()));
    }
  }));
}

void AgentLink::send_ends() {
  std::vector<core::EndRuns> ends;
  while (!queue_.empty() && ends.size() < kEndsPerCall) {
    auto* end = std::get_if<core::EndRuns>(&queue_.front());
    if (end == nullptr) break;
    ends.push_back(std::move(*end));
    queue_.pop_front();
  }
  auto request = agent_->endRequest();
  request.setHeadEpoch(services_.engine.state().meta().epoch.value);
  auto orders = request.initOrders(static_cast<unsigned>(ends.size()));
  for (unsigned n = 0; n < orders.size(); ++n) {
    store::write_run_set(ends[n].runs, orders[n].initRuns());
    orders[n].setWhy(static_cast<schema::Outcome>(ends[n].why));
    orders[n].setGraceUs(ends[n].grace.count());
  }
  track(request.send().ignoreResult());
}

void AgentLink::send_releases() {
  std::vector<std::uint64_t> jobs;
  while (!queue_.empty() && jobs.size() < kReleasesPerCall) {
    const auto* job = std::get_if<JobId>(&queue_.front());
    if (job == nullptr) break;
    jobs.push_back(job->value);
    specs_sent_.erase(specs_sent_.lower_bound(StageRef{*job, 0}),
                      specs_sent_.lower_bound(StageRef{JobId{job->value + 1}, 0}));
    queue_.pop_front();
  }
  auto request = agent_->releaseRequest();
  request.setHeadEpoch(services_.engine.state().meta().epoch.value);
  request.setJobs(kj::arrayPtr(jobs.data(), jobs.size()));
  track(request.send().ignoreResult());
}

void AgentLink::send_withdrawal() {
  const core::Withdrawal withdrawal = std::get<core::Withdrawal>(queue_.front());
  queue_.pop_front();
  auto request = agent_->withdrawRequest();
  request.setHeadEpoch(services_.engine.state().meta().epoch.value);
  request.setJob(withdrawal.stage.job.value);
  request.setStage(withdrawal.stage.stage);
  request.setCount(withdrawal.count);
  track(request.send().ignoreResult());
}

void AgentLink::send_evacuate() {
  queue_.pop_front();
  auto request = agent_->evacuateRequest();
  request.setHeadEpoch(services_.engine.state().meta().epoch.value);
  const std::string ticket = services_.tickets.evacuation_for_agent(reader_);
  request.setTicket(store::data_of(ticket));
  track(request.send().ignoreResult());
}

void AgentLink::track(kj::Promise<void> answer) {
  ++unanswered_;
  const std::uint64_t connection = connection_;
  tasks_.add(answer.then(
      [this, connection] {
        if (connection != connection_ || agent_ == nullptr) return;
        --unanswered_;
        flush();
      },
      [this, connection](kj::Exception&& exception) {
        if (connection != connection_ || agent_ == nullptr) return;
        // The agent did not take an order: only a new session, which repeats all, puts it right.
        services_.log(text_of(node_) + " refuses an order: " + exception.getDescription().cStr());
        disconnected(session_);
      }));
}

void AgentLink::refuse(const std::vector<core::RunSet>& runs) {
  core::ReportEnded report{node_, session_, {}};
  for (const core::RunSet& set : runs) {
    services_.log("job " + std::to_string(set.stage.job.value) +
                  ": a reduce step's input lies in too many pieces; use --reduce-width");
    RunColumns columns;
    columns.outcome = Column<Outcome>(Outcome::kCouldNotStart);
    columns.code = Column<std::int32_t>(E2BIG);
    report.ended.push_back({set, std::move(columns), std::nullopt});
  }
  tasks_.add(services_.engine.post(std::move(report)).ignoreResult());
}

void AgentLink::taskFailed(kj::Exception&& exception) {
  services_.log(text_of(node_) + ": " + exception.getDescription().cStr());
}

}  // namespace leat::engine
