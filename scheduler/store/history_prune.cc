#include "scheduler/store/history_prune.h"

#include <string>
#include <vector>

namespace leat::store {
namespace {

std::int64_t changes(Database& database) {
  Statement statement = database.prepare("SELECT changes()");
  Cursor cursor = statement.start();
  return cursor.next() ? cursor.number(0) : 0;
}

struct EndedJob {
  std::int64_t id = 0;
  bool old = false;
};

std::vector<EndedJob> jobs_after(Database& database, std::int64_t id, std::int64_t before_us,
                                 std::int64_t limit) {
  std::vector<EndedJob> jobs;
  Statement statement = database.prepare(
      "SELECT id, ended_us > 0 AND ended_us < ?2 FROM job_history WHERE id > ?1"
      " ORDER BY id LIMIT ?3");
  Cursor rows = statement.start(id, before_us, limit);
  while (rows.next()) jobs.push_back({rows.number(0), rows.number(1) != 0});
  return jobs;
}

}  // namespace

bool HistoryPrune::step(Database& database) {
  database.execute("BEGIN IMMEDIATE");
  bool over = false;
  switch (part_) {
    case Part::kJobs:
      if (delete_jobs(database)) part_ = Part::kGangs;
      break;
    case Part::kGangs:
      if (delete_events(database, "gang_history", "ended_us")) part_ = Part::kNodes;
      break;
    case Part::kNodes:
      if (delete_events(database, "node_history", "at_us")) part_ = Part::kUses;
      break;
    case Part::kUses:
      if (delete_events(database, "node_use", "gone_us")) part_ = Part::kActions;
      break;
    case Part::kActions:
      if (delete_events(database, "action_history", "at_us")) part_ = Part::kDone;
      break;
    case Part::kDone:
      note(database);
      over = true;
      break;
  }
  database.execute("COMMIT");
  return over;
}

// True when all jobs have been looked at.
bool HistoryPrune::delete_jobs(Database& database) {
  Statement delete_runs = database.prepare(
      "DELETE FROM run_history WHERE rowid IN"
      " (SELECT rowid FROM run_history WHERE job = ? LIMIT ?)");
  Statement delete_job = database.prepare("DELETE FROM job_history WHERE id = ?");
  const auto jobs = jobs_after(database, job_, what_.before_us, kJobsPerStep);
  std::int64_t room = kRowsPerStep;
  for (const EndedJob& job : jobs) {
    if (job.old) {
      delete_runs.run(job.id, room);
      const std::int64_t runs = changes(database);
      pruned_.runs += static_cast<std::uint64_t>(runs);
      room -= runs;
      if (room <= 0) return false;  // perhaps it has more
      delete_job.run(job.id);
      ++pruned_.jobs;
      --room;
    }
    job_ = job.id;
    if (room <= 0) return false;
  }
  return jobs.size() < static_cast<std::size_t>(kJobsPerStep);
}

// Rows stand in the order in which things happened. True when none is old any more.
bool HistoryPrune::delete_events(Database& database, const std::string& table,
                                 const std::string& time) {
  Statement statement = database.prepare(
      "DELETE FROM " + table + " WHERE rowid IN (SELECT rowid FROM (SELECT rowid, " + time +
      " FROM " + table + " ORDER BY rowid LIMIT ?) WHERE " + time + " < ?)");
  statement.run(kRowsPerStep, what_.before_us);
  const std::int64_t rows = changes(database);
  pruned_.others += static_cast<std::uint64_t>(rows);
  return rows < kRowsPerStep;
}

void HistoryPrune::note(Database& database) {
  Statement add = database.prepare(
      "INSERT INTO action_history (action, subject, at_us, actor_uid, actor_host, text)"
      " VALUES ('prune', 0, ?, ?, ?, ?)");
  add.run(what_.now_us, what_.actor.uid, what_.actor.host,
          std::to_string(pruned_.jobs) + " jobs, " + std::to_string(pruned_.runs) +
              " rows of runs, " + std::to_string(pruned_.others) + " events");
}

}  // namespace leat::store
