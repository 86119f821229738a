#include "scheduler/engine/engine.h"

#include <kj/debug.h>

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace leat::engine {
namespace {

// The head's own words about time and nodes: few (bounded by nodes), and nobody could repeat them
// if they were refused.
bool is_our_own(const core::Command& command) {
  return std::holds_alternative<core::StartHead>(command) ||
         std::holds_alternative<core::LoseNode>(command) ||
         std::holds_alternative<core::ProveGone>(command) ||
         std::holds_alternative<core::FailNode>(command) ||
         std::holds_alternative<core::Tick>(command);
}

std::uint64_t reported_runs(const core::Command& command) {
  const auto* report = std::get_if<core::ReportEnded>(&command);
  if (report == nullptr) return 0;
  std::uint64_t runs = 0;
  for (const core::EndedSet& set : report->ended) runs += set.runs.indices.size();
  return runs;
}

}  // namespace

store::Recovered nothing_recovered() {
  return {.state = std::make_unique<core::State>(),
          .recorder = store::Recorder(store::Snapshotter{}, 1),
          .last = {},
          .turns = 0};
}

Engine::Engine(store::Recovered recovered, store::Store& store, EffectSink& effects)
    : store_(store),
      effects_(effects),
      state_(std::move(recovered.state)),
      recorder_(std::move(recovered.recorder)),
      durable_(recorder_.next_sequence() - 1),
      last_(recovered.last),
      commits_(*this) {
  loop_.bind();
  auto paf = kj::newPromiseAndFulfiller<void>();
  broke_ = kj::mv(paf.fulfiller);
  on_broken_ = kj::mv(paf.promise);
}

kj::Promise<Result<core::Answer>> Engine::post(core::Command command) {
  loop_.assert_held();
  if (inbox_.size() >= kInboxMax && !is_our_own(command))
    return Result<core::Answer>(
        Refusal{Reason::kOverloaded, "the head is busy: try again in a moment"});
  auto paf = kj::newPromiseAndFulfiller<Result<core::Answer>>();
  inbox_.push_back(Waiting{std::move(command), kj::mv(paf.fulfiller)});
  wake();
  return kj::mv(paf.promise);
}

bool Engine::wants_turn() const {
  loop_.assert_held();
  return !committing_ && !broken_ && (!inbox_.empty() || more_to_place_);
}

bool Engine::turn(Time now) {
  if (!wants_turn()) return false;
  LEAT_CHECK(now >= last_);
  last_ = now;
  Turn turn;
  take_commands(turn);
  place(turn);
  if (turn.facts.empty()) {
    // Nothing changed, and all that was known is on disk already.
    committed(std::move(turn));
    return true;
  }
  for (const core::Fact& fact : turn.facts) core::effects_of(*state_, fact, turn.effects);
  commit(std::move(turn));
  return true;
}

void Engine::take_commands(Turn& turn) {
  std::uint64_t runs = 0;
  for (std::size_t taken = 0; taken < kCommandsPerTurn && !inbox_.empty(); ++taken) {
    runs += reported_runs(inbox_.front().command);
    if (taken > 0 && runs > kReportedRunsPerTurn) break;
    Waiting waiting = std::move(inbox_.front());
    inbox_.pop_front();
    Result<core::Answer> answer = core::decide(*state_, waiting.command, last_, turn.facts);
    apply_new(turn);
    turn.answers.push_back(Answered{kj::mv(waiting.reply), std::move(answer)});
  }
}

void Engine::place(Turn& turn) {
  core::Placer placer(last_);
  std::size_t placed = 0;
  while (placed < kPlacementsPerTurn && placer.next(*state_, turn.facts)) {
    apply_new(turn);
    ++placed;
  }
  more_to_place_ = placed == kPlacementsPerTurn;
}

void Engine::apply_new(Turn& turn) {
  for (; turn.applied < turn.facts.size(); ++turn.applied) {
    const core::Fact& fact = turn.facts[turn.applied];
    recorder_.before(fact, *state_, last_);
    state_->apply(fact, last_);
    recorder_.after(fact, *state_, last_);
  }
}

void Engine::commit(Turn turn) {
  store::TurnRecord record = recorder_.finish(turn.facts, *state_, last_);
  facts_written_ += turn.facts.size();
  fact_bytes_written_ += record.facts.size();
  turn.facts.clear();
  // Kept here, not in the promise: should the append fail, nobody may be told, not even that.
  under_way_ = std::move(turn);
  committing_ = true;
  commits_.add(store_.append(std::move(record)).then([this] {
    ++durable_;
    committing_ = false;
    committed(std::exchange(under_way_, {}));
    if (heard_) heard_(durable_);
  }));
}

void Engine::committed(Turn turn) {
  for (const core::Effect& effect : turn.effects) effects_.carry_out(effect);
  for (Answered& answered : turn.answers) answered.reply->fulfill(std::move(answered.answer));
  for (Query& query : std::exchange(queries_, {})) {
    KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { query.read(*state_); }))
      query.done->reject(kj::mv(*exception));
    else
      query.done->fulfill();
  }
  if (wants_turn()) wake();
}

void Engine::on_work(std::function<void()> wake) {
  wake_ = std::move(wake);
  if (wants_turn() && wake_) wake_();
}

void Engine::wake() {
  if (wake_ && wants_turn()) wake_();
}

kj::Promise<void> Engine::query(kj::Function<void(const core::State&)> read) {
  loop_.assert_held();
  if (!committing_ && !broken_) {
    read(*state_);
    return kj::READY_NOW;
  }
  if (queries_.size() >= kQueriesMax)
    return KJ_EXCEPTION(OVERLOADED, "too many readers wait for the store");
  auto paf = kj::newPromiseAndFulfiller<void>();
  queries_.push_back(Query{kj::mv(read), kj::mv(paf.fulfiller)});
  return kj::mv(paf.promise);
}

kj::Promise<void> Engine::on_broken() {
  return kj::mv(on_broken_);
}

void Engine::taskFailed(kj::Exception&& exception) {
  // The facts may or may not be on disk. Nobody is told anything; recovery will find out.
  broken_ = true;
  broke_->reject(kj::mv(exception));
}

}  // namespace leat::engine
