#pragma once

// history_tables.h - rows of history into their tables, and the few look-ups the head needs.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/index_list.h"
#include "base/result.h"
#include "scheduler/store/database.h"
#include "scheduler/store/history.h"

namespace leat::store {

// Throws kj::Exception when SQLite fails. Borrows the database. Thread: the database's.
class HistoryTables {
 public:
  explicit HistoryTables(Database& database);

  // Within the caller's transaction.
  void add(const History& history);

  // See Store.
  std::optional<RunPlace> find_run(StageRef stage, Index index);
  IndexList find_tasks(StageRef stage);
  std::int64_t find_end_of(NodeRef node);
  Result<std::optional<core::Job>> find_job(JobId job);
  Result<std::vector<core::Job>> find_jobs(JobId before, std::uint32_t limit);

 private:
  void add(const JobHistory& row);
  void add(const RunHistory& row);
  void add(const MemberHistory& row);
  std::vector<NodeRef> members_of(const RunId& run);

  Statement add_job_;
  Statement add_run_;
  Statement add_member_;
  Statement add_node_;
  Statement add_use_;
  Statement add_action_;
  Statement find_run_;
  Statement find_members_;
  Statement find_tasks_;
  Statement find_end_of_;
  Statement find_job_;
  Statement find_jobs_;
};

}  // namespace leat::store
