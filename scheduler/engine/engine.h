#pragma once

// engine.h - the loop around the core: commands in, facts to disk, then answers and effects out.

#include <kj/async.h>
#include <kj/function.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/thread.h"
#include "base/time.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"
#include "scheduler/store/recovery.h"
#include "scheduler/store/store.h"

namespace leat::engine {

// Who carries out what the core decided. Called only for facts that are on disk, in their order;
// the engine's state is then exactly the stored one. Must not throw.
class EffectSink {
 public:
  virtual ~EffectSink() = default;
  virtual void carry_out(const core::Effect& effect) = 0;
};

// An empty state, for a store in which nothing is yet.
store::Recovered nothing_recovered();

// Drives the core. A turn takes waiting commands, decides and applies them one after the other,
// places what now fits, and hands the facts to the store as one record. Answers and effects are
// held back until that record is on disk, so nobody ever hears of what a crash could undo. While a
// record is being written there is no turn; commands gather and share the next one.
//
// Owns: the core state. Borrows: store, effects (both must outlive the engine).
// Thread: engine loop, all members. Nothing here blocks, sleeps or reads a clock.
//
// Invariants:
//   - State::apply sees facts in exactly the order the store keeps them.
//   - An effect leaves only after its fact is durable; recovery may repeat effects, so agents and
//     providers treat them as idempotent.
//   - After a failed append nothing leaves any more: what is believed and what is stored have
//     parted, and the process must end.
class Engine final : private kj::TaskSet::ErrorHandler {
 public:
  // Commands that may wait; more are refused with kOverloaded, but for the head's own.
  static constexpr std::size_t kInboxMax = 16'384;
  // Bounds of one turn, so that a long queue cannot starve the sockets.
  static constexpr std::size_t kCommandsPerTurn = 1'024;
  static constexpr std::uint64_t kReportedRunsPerTurn = 65'536;
  static constexpr std::size_t kPlacementsPerTurn = 2'048;
  // Readers that may wait for the record being written.
  static constexpr std::size_t kQueriesMax = 4'096;

  Engine(store::Recovered recovered, store::Store& store, EffectSink& effects);

  // Queues `command` for the next turn. Resolves once its facts are durable. Dropping the promise
  // does not take the command back. Never rejects; after a failed append it never resolves.
  kj::Promise<Result<core::Answer>> post(core::Command command);

  // Whether turn() would do something now: work waits and no record is being written.
  bool wants_turn() const;

  // Runs one turn at instant `now`, never earlier than the one before. False, and nothing done,
  // unless wants_turn(). The driver and the simulation call this.
  bool turn(Time now);

  // `wake` is called whenever wants_turn() becomes true. It must not call turn() itself.
  void on_work(std::function<void()> wake);

  // Calls `read` when everything in the state is on disk: now, or as the record being written
  // is. Never waits for more than one turn. Rejects with OVERLOADED when kQueriesMax wait.
  kj::Promise<void> query(kj::Function<void(const core::State&)> read);

  // `heard` is called with sequence() whenever a turn is on disk and its effects are carried out.
  void on_commit(std::function<void(std::uint64_t sequence)> heard) { heard_ = std::move(heard); }

  // Rejects when the store has failed; until then, pending. One caller.
  kj::Promise<void> on_broken();

  // May hold facts that are not on disk yet: not for what leaves the process (see query()).
  const core::State& state() const { return *state_; }
  // Of the last turn that is on disk.
  std::uint64_t sequence() const { return durable_; }
  // Of the last turn begun.
  Time last() const { return last_; }
  bool committing() const { return committing_; }
  // Since this engine was made.
  std::uint64_t facts_written() const { return facts_written_; }
  std::uint64_t fact_bytes_written() const { return fact_bytes_written_; }

 private:
  using Reply = kj::Own<kj::PromiseFulfiller<Result<core::Answer>>>;
  struct Waiting {
    core::Command command;
    Reply reply;
  };
  struct Answered {
    Reply reply;
    Result<core::Answer> answer;
  };
  struct Turn {
    core::Facts facts;
    std::size_t applied = 0;
    std::vector<Answered> answers;
    core::Effects effects;
  };
  struct Query {
    kj::Function<void(const core::State&)> read;
    kj::Own<kj::PromiseFulfiller<void>> done;
  };

  void take_commands(Turn& turn) LEAT_REQUIRES(loop_);
  void place(Turn& turn) LEAT_REQUIRES(loop_);
  void apply_new(Turn& turn) LEAT_REQUIRES(loop_);
  void commit(Turn turn) LEAT_REQUIRES(loop_);
  void committed(Turn turn);
  void wake();
  void taskFailed(kj::Exception&& exception) override;

  store::Store& store_;
  EffectSink& effects_;
  ThreadRole loop_;
  std::unique_ptr<core::State> state_;
  store::Recorder recorder_ LEAT_GUARDED_BY(loop_);
  std::deque<Waiting> inbox_ LEAT_GUARDED_BY(loop_);
  std::vector<Query> queries_ LEAT_GUARDED_BY(loop_);
  std::function<void()> wake_;
  std::function<void(std::uint64_t)> heard_;
  bool more_to_place_ = false;  // the last turn's bound was met
  bool committing_ = false;
  Turn under_way_;  // while committing_
  bool broken_ = false;
  std::uint64_t durable_ = 0;
  Time last_;
  std::uint64_t facts_written_ = 0;
  std::uint64_t fact_bytes_written_ = 0;
  kj::Own<kj::PromiseFulfiller<void>> broke_;
  kj::Promise<void> on_broken_ = nullptr;
  kj::TaskSet commits_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
