#pragma once

// snapshot.h - the state as rows, written a little in every turn; and the record of a turn.

#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/interval_set.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"
#include "scheduler/store/store.h"

namespace leat::store {

// Rows encoded in one turn stop growing at this many bytes. Rows that a fact is about to change
// are encoded all the same; one row is at most a spec (core::kSpecBytesMax) or kCellsPerRow cells.
inline constexpr std::size_t kSnapshotBytesPerTurn = 256u << 10;
// Facts since the last round began that make the next one begin.
inline constexpr std::uint64_t kFactBytesPerRound = 4u << 20;
// Old row versions deleted in one turn.
inline constexpr std::size_t kSupersededPerTurn = 256;

// The head runs with the constants; tests go through many small rounds.
struct SnapshotLimits {
  std::size_t bytes_per_turn = kSnapshotBytesPerTurn;
  std::uint64_t fact_bytes_per_round = kFactBytesPerRound;
  std::size_t superseded_per_turn = kSupersededPerTurn;
};

// A stage has at most this many rows of cells, of at least kCellsPerRow positions each.
inline constexpr std::uint64_t kCellsPerRow = 4096;
inline constexpr std::uint64_t kCellRowsPerStage = 4096;

// What a fact is about to change.
struct Touched {
  std::vector<RowKey> rows;
  std::optional<JobId> cells_of;  // every row of cells of this job goes
};

// Every row that `fact` may change when it is applied to `state`; some may be named twice.
Touched rows_of(const core::Fact& fact, const core::State& state);

// The row of cells that holds `position` of a stage with `size` positions, and what it covers.
// The cut is part of the format: rows of one stage must not overlap.
RowKey cells_key(StageRef stage, std::uint64_t size, std::uint64_t position);
// The row of one run of a gang.
RowKey gang_key(const core::GangRef& gang);
core::GangRef gang_of(const RowKey& key);
Interval cells_covered(const RowKey& key, std::uint64_t size);

// Decides what of the state is written when. A *round* begins at the boundary of a turn with the
// rows that have changed since the round before, and writes them as they were at that boundary:
// a row that a fact is about to change is encoded first. When none is left the round is sealed,
// and what it supersedes may go.
//
// Thread: the engine's. Invariants: a row that differs from its newest written version is in
// dirty_ or pending_; a row in pending_ is as it was at the boundary; stored_ has the rows that
// the newest snapshot, or the round that is being written, holds.
class Snapshotter {
 public:
  Snapshotter() = default;
  explicit Snapshotter(SnapshotLimits limits) : limits_(limits) {}

  // Before state.apply(fact).
  void before(const core::Fact& fact, const core::State& state);
  // After the last apply of the turn, `turn` with sequence and facts: adds rows, seal and
  // superseded keys.
  void after_turn(const core::State& state, Time at, TurnRecord& turn);

  // Recovery: a row of the newest snapshot, and the bytes of a turn it does not hold.
  void note_stored(const RowKey& key) { stored_.insert(key); }
  // A row that the newest snapshot should have.
  void note_missing(const RowKey& key) { dirty_.insert(key); }
  void count_fact_bytes(std::uint64_t bytes) { fact_bytes_ += bytes; }

 private:
  void touch(const RowKey& key, const core::State& state);
  void touch_cells_of(JobId job, const core::State& state);
  // Moves a row of the round from pending_ to encoded_.
  void encode(const RowKey& key, const core::State& state);

  SnapshotLimits limits_;
  std::set<RowKey> dirty_;    // changed since the boundary: for the next round
  std::set<RowKey> pending_;  // of this round, not yet encoded
  std::set<RowKey> stored_;
  std::vector<SnapshotRow> encoded_;  // for the next record
  std::size_t encoded_bytes_ = 0;
  std::vector<RowKey> round_;       // encoded in this round
  std::vector<RowKey> superseded_;  // of the sealed round, not yet handed out
  std::optional<Seal> boundary_;    // of the round that is being written
  std::uint64_t fact_bytes_ = 0;    // since the boundary
};

// Makes the record of one turn after the other. The engine calls, for every fact,
// before(fact), State::apply(fact), after(fact); then once finish().
//
// Thread: the engine's.
class Recorder {
 public:
  // `next_sequence`: of the first turn to be recorded.
  Recorder(Snapshotter snapshotter, std::uint64_t next_sequence)
      : snapshotter_(std::move(snapshotter)), next_sequence_(next_sequence) {}

  void before(const core::Fact& fact, const core::State& state, Time at);
  void after(const core::Fact& fact, const core::State& state, Time at);
  // Ends the turn. `facts`: all of them, in the order they were applied; not empty.
  TurnRecord finish(const core::Facts& facts, const core::State& state, Time at);

  std::uint64_t next_sequence() const { return next_sequence_; }

 private:
  Snapshotter snapshotter_;
  std::uint64_t next_sequence_;
  History history_;
  std::shared_ptr<const core::PastTasks> ending_;  // of the job that is about to end
};

}  // namespace leat::store
