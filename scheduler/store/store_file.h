#pragma once

// store_file.h - the tables of the store, read and written in place.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "scheduler/store/store.h"

namespace leat::store {

// The open store. Blocks; used by recovery at start and then by the store thread alone.
//
// Thread: one at a time.
class StoreFile final : public Contents {
 public:
  // Opens the store at `path`, or makes it there (0600). Refused with one line: a file that is
  // not ours, damaged, from a newer version, open in another head (kConflict), readable by
  // others, on a network file system.
  static Result<std::unique_ptr<StoreFile>> open(const std::string& path);
  ~StoreFile() override;

  Result<Seal> seal() override;
  Result<Done> each_row(const VisitRow& visit) override;
  Result<Done> each_turn(const VisitTurn& visit) override;

  // One transaction. A write that fails ends the process (kExitStoreFailed) with one line.
  void append(const TurnRecord& turn);

  // Refused when the file is damaged there.
  Result<std::optional<RunPlace>> find_run(StageRef stage, Index index);
  Result<std::optional<core::Job>> find_job(JobId job);
  Result<std::vector<core::Job>> find_jobs(JobId before, std::uint32_t limit);

  // Bytes in the write-ahead log, and what moves them into the file proper.
  std::uint64_t log_bytes() const;
  void checkpoint();

 private:
  class Tables;
  explicit StoreFile(std::unique_ptr<Tables> tables);
  std::unique_ptr<Tables> tables_;
};

}  // namespace leat::store
