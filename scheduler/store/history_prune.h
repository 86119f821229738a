#pragma once

// history_prune.h - old history deleted, a little at a time.

#include <cstdint>
#include <utility>

#include "scheduler/store/archive.h"
#include "scheduler/store/database.h"

namespace leat::store {

// Each step is one transaction. What is deleted stays deleted if the head dies in between; doing it
// again deletes the rest. The runs of a job go before its own row, so that no run is left behind.
//
// Throws kj::Exception when SQLite fails. Thread: one at a time.
class HistoryPrune {
 public:
  static constexpr std::int64_t kRowsPerStep = 512;
  static constexpr std::int64_t kJobsPerStep = 128;

  explicit HistoryPrune(Prune what) : what_(std::move(what)) {}

  // Deletes some rows. True when nothing is left to delete; it is in action_history then.
  bool step(Database& database);

  const Pruned& pruned() const { return pruned_; }

 private:
  enum class Part : std::uint8_t { kJobs, kGangs, kNodes, kUses, kActions, kDone };

  bool delete_jobs(Database& database);
  // `time` is the column that says when.
  bool delete_events(Database& database, const std::string& table, const std::string& time);
  void note(Database& database);

  Prune what_;
  Part part_ = Part::kJobs;
  std::int64_t job_ = 0;  // jobs up to here have been looked at
  Pruned pruned_;
};

}  // namespace leat::store
