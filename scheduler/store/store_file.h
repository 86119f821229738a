#pragma once

// store_file.h - the tables of the store, read and written in place.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/store/archive.h"
#include "scheduler/store/history_copy.h"
#include "scheduler/store/history_prune.h"
#include "scheduler/store/store.h"

namespace leat::store {

// The process ends with this code when a turn cannot be written.
inline constexpr int kExitStoreFailed = 74;

// Turns below the snapshot that are deleted in one transaction.
inline constexpr std::uint64_t kTurnsDeletedPerTurn = 64;

// Turns below the snapshot that stay for people to read (leat events): recovery does not need them.
inline constexpr std::uint64_t kTurnsKept = 256;

// The open store. Blocks; read by recovery at start and then used by the store thread alone.
//
// Thread: one at a time.
class StoreFile final : public Contents {
 public:
  // Opens the store at `path`, or makes it there (0600). Refused with one line: a file that is
  // not ours, damaged, from a newer version, open in another head (kConflict), not ours alone to
  // read, on a network file system.
  static Result<std::unique_ptr<StoreFile>> open(const std::string& path);
  ~StoreFile() override;

  Result<Seal> seal() override;
  Result<Done> each_row(const VisitRow& visit) override;
  Result<Done> each_turn(const VisitTurn& visit) override;

  // One transaction. A write that fails ends the process (kExitStoreFailed) with one line. The
  // first one sweeps what a crash has left of an unfinished round, if each_row() has been called.
  void append(const TurnRecord& turn);

  // Refused when the file is damaged there.
  Result<std::optional<RunPlace>> find_run(StageRef stage, Index index);
  Result<IndexList> find_tasks(StageRef stage);
  Result<std::int64_t> find_end_of(NodeRef node);
  Result<std::optional<core::Job>> find_job(JobId job);
  Result<std::vector<core::Job>> find_jobs(JobId before, std::uint32_t limit);

  // See Archive. Refused when the file is damaged there.
  Result<StoredTurns> find_turns(std::uint64_t from);
  // One step; true when it was the last. Refused when either side cannot be read or written.
  Result<bool> step(HistoryCopy& copy);
  Result<bool> step(HistoryPrune& prune);

  // Bytes in the write-ahead log, and what moves them into the file proper.
  std::uint64_t log_bytes() const;
  void checkpoint();

 private:
  struct Tables;

  StoreFile(std::string path, std::unique_ptr<Tables> tables);
  void write(const TurnRecord& turn);
  void write_snapshot(const TurnRecord& turn);
  void delete_old(const TurnRecord& turn);

  std::string path_;
  std::unique_ptr<Tables> tables_;
  Seal seal_;
  std::uint64_t oldest_turn_ = 1;        // no turn below it is in the file
  std::vector<std::int64_t> leftovers_;  // row numbers in `snapshot`
};

}  // namespace leat::store
