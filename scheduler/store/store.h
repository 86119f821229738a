#pragma once

// store.h - what is kept of every turn, and who keeps it.

#include <kj/async.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "scheduler/core/state.h"
#include "scheduler/store/history.h"

namespace leat::store {

// Kinds of snapshot rows; the numbers are on disk.
enum class RowKind : std::uint8_t {
  kMeta = 1,   // id 0
  kPool = 2,   // id: pool
  kNode = 3,   // id: node
  kJob = 4,    // id: job; all but spec and cells
  kSpec = 5,   // id: job; the schema JobSpec itself
  kCells = 6,  // id: job; part: stage << 48 | first position
  kKeys = 7,   // id: page of core::GrantedWishes
  kGang = 8,   // id: job; part: stage << 48 | position
};

struct RowKey {
  RowKind kind = RowKind::kMeta;
  std::uint64_t id = 0;
  std::uint64_t part = 0;

  friend constexpr auto operator<=>(const RowKey&, const RowKey&) = default;
};

// One piece of the state as it was at the boundary of a turn.
struct SnapshotRow {
  RowKey key;
  std::string bytes;
  bool erased = false;  // there was no such thing any more
};

// A whole snapshot: everything up to and including turn `sequence` is in the rows.
struct Seal {
  std::uint64_t sequence = 0;
  Time at;

  friend bool operator==(const Seal&, const Seal&) = default;
};

// One turn of the engine: one transaction. Made by Recorder (snapshot.h).
struct TurnRecord {
  std::uint64_t sequence = 0;  // the first turn is 1; no gaps
  std::string facts;           // a schema Turn
  std::uint64_t round = 0;     // the boundary that `rows` belong to
  std::vector<SnapshotRow> rows;
  std::optional<Seal> seal;        // with these rows, the round is whole
  std::vector<RowKey> superseded;  // versions of these that are older than the newest seal go
  History history;
};

// Keeps turns. Implemented over SQLite (sqlite_store.h) and in memory by tests and simulation.
//
// Thread: the engine loop's.
class Store {
 public:
  // Unanswered find… calls; beyond that they fail with OVERLOADED.
  static constexpr std::size_t kQueriesMax = 256;
  // Rows of one find_jobs().
  static constexpr std::uint32_t kJobsMax = 1000;

  virtual ~Store() = default;

  // Resolves when the turn is on disk, in order of calls. There is no failure: a store that
  // cannot write ends the process, since what it believes and what is stored have parted.
  virtual kj::Promise<void> append(TurnRecord turn) = 0;

  // The newest run of a task that history knows.
  virtual kj::Promise<std::optional<RunPlace>> find_run(StageRef stage, Index index) = 0;

  // The tasks of a stage of which history knows a run; the first kTasksFound at most.
  static constexpr std::uint64_t kTasksFound = 100'000;
  virtual kj::Promise<IndexList> find_tasks(StageRef) { return IndexList(); }

  // When a node went for good, wall clock in microseconds; 0 if history does not know it.
  virtual kj::Promise<std::int64_t> find_end_of(NodeRef) { return std::int64_t{0}; }

  // The summary of a job that has ended, also when the state has forgotten it.
  virtual kj::Promise<std::optional<core::Job>> find_job(JobId job) = 0;

  // Summaries of ended jobs with ids below `before`, newest first, without Job::past.
  virtual kj::Promise<std::vector<core::Job>> find_jobs(JobId before, std::uint32_t limit) = 0;
};

// What a store holds when the head starts: recovery reads it, see recovery.h.
//
// The visitors may refuse, which ends the reading with that refusal.
class Contents {
 public:
  using VisitRow = std::function<Result<Done>(const RowKey& key, std::string bytes)>;
  using VisitTurn = std::function<Result<Done>(std::uint64_t sequence, std::string facts)>;

  virtual ~Contents() = default;

  // Of the newest whole snapshot; sequence 0 if there is none.
  virtual Result<Seal> seal() = 0;
  // Its rows, each once, in order of their keys.
  virtual Result<Done> each_row(const VisitRow& visit) = 0;
  // Turns after it, ascending.
  virtual Result<Done> each_turn(const VisitTurn& visit) = 0;
};

}  // namespace leat::store
