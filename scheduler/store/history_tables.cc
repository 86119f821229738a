#include "scheduler/store/history_tables.h"

#include <set>
#include <string>
#include <utility>

#include "scheduler/store/message_bytes.h"
#include "scheduler/store/row_codec.h"
#include "scheduler/store/store.h"

namespace leat::store {
namespace {

std::uint64_t count_of(const JobHistory& row, core::TaskState state) {
  return row.counts[static_cast<std::size_t>(state)];
}

// From two columns, the first of which is `at`.
NodeRef node_in(Cursor& row, int at) {
  return {NodeId{static_cast<std::uint32_t>(row.number(at))},
          NodeEpoch{static_cast<std::uint64_t>(row.number(at + 1))}};
}

}  // namespace

HistoryTables::HistoryTables(Database& database)
    : add_job_(database.prepare(
          "INSERT OR REPLACE INTO job_history (id, name, owner_uid, owner_host, priority,"
          " submitted_us, started_us, ended_us, state, tasks, succeeded, failed, cancelled,"
          " quarantined, skipped, retried, lost, summary)"
          " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")),
      add_run_(database.prepare(
          "INSERT INTO run_history (job, stage, first, last, count, attempt, node, node_epoch,"
          " state, outcome, code, started_us, ended_us, wall_us_sum, cpu_us_sum, peak_kib_max,"
          " output_bytes_sum, runs)"
          " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")),
      add_member_(database.prepare(
          "INSERT INTO gang_history (job, stage, task, attempt, member, node, node_epoch, outcome,"
          " code, started_us, ended_us, cpu_us, peak_kib, output_bytes)"
          " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")),
      add_node_(
          database.prepare("INSERT INTO node_history (node, node_epoch, pool, event, at_us, text)"
                           " VALUES (?, ?, ?, ?, ?, ?)")),
      add_use_(database.prepare(
          "INSERT INTO node_use (node, node_epoch, pool, pool_name, requested_us, joined_us,"
          " gone_us, millicores, used_core_us, busy_us, why)"
          " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")),
      add_action_(database.prepare(
          "INSERT INTO action_history (action, subject, at_us, actor_uid, actor_host, text)"
          " VALUES (?, ?, ?, ?, ?, ?)")),
      find_run_(database.prepare(
          "SELECT first, last, count, attempt, node, node_epoch, ended_us, runs FROM run_history"
          " WHERE job = ? AND stage = ? AND first BETWEEN ? AND ? AND last >= ?"
          " ORDER BY attempt DESC")),
      find_members_(database.prepare(
          "SELECT node, node_epoch FROM gang_history"
          " WHERE job = ? AND stage = ? AND task = ? AND attempt = ? ORDER BY member")),
      find_tasks_(database.prepare(
          "SELECT runs FROM run_history WHERE job = ? AND stage = ? ORDER BY first")),
      find_end_of_(database.prepare("SELECT at_us FROM node_history WHERE node = ? AND"
                                    " node_epoch = ? AND event = 'gone'")),
      find_job_(database.prepare("SELECT summary FROM job_history WHERE id = ?")),
      find_jobs_(database.prepare(
          "SELECT summary FROM job_history WHERE id < ? ORDER BY id DESC LIMIT ?")) {}

void HistoryTables::add(const History& history) {
  for (const JobHistory& row : history.jobs) add(row);
  for (const RunHistory& row : history.runs) add(row);
  for (const MemberHistory& row : history.members) add(row);
  for (const NodeHistory& row : history.nodes)
    add_node_.run(row.node.id.value, row.node.epoch.value, row.pool.value, row.event, row.at_us,
                  row.text);
  for (const NodeUseHistory& row : history.uses)
    add_use_.run(row.node.id.value, row.node.epoch.value, row.pool.value, row.pool_name,
                 row.requested_us, row.joined_us, row.gone_us, row.millicores, row.used_core_us,
                 row.busy_us, row.why);
  for (const ActionHistory& row : history.actions)
    add_action_.run(row.action, row.subject, row.at_us, row.actor.uid, row.actor.host, row.text);
}

void HistoryTables::add(const JobHistory& row) {
  std::uint64_t tasks = 0;
  for (const std::uint64_t count : row.counts) tasks += count;
  add_job_.run(row.id.value, row.name, row.owner.uid, row.owner.host, row.priority,
               row.submitted_us, row.started_us, row.ended_us, core::name_of(row.state), tasks,
               count_of(row, core::TaskState::kSucceeded), count_of(row, core::TaskState::kFailed),
               count_of(row, core::TaskState::kCancelled),
               count_of(row, core::TaskState::kQuarantined),
               count_of(row, core::TaskState::kSkipped), row.retried, row.lost, Bytes{row.summary});
}

void HistoryTables::add(const RunHistory& row) {
  std::optional<std::string> outcome;
  if (row.outcome) outcome = name_of(*row.outcome);
  add_run_.run(row.stage.job.value, row.stage.stage, row.first, row.last, row.count, row.attempt,
               row.node.id.value, row.node.epoch.value, core::name_of(row.state), outcome, row.code,
               row.started_us, row.ended_us, row.wall_us_sum, row.cpu_us_sum, row.peak_kib_max,
               row.output_bytes_sum, Bytes{row.runs});
}

void HistoryTables::add(const MemberHistory& row) {
  add_member_.run(row.run.job.value, row.run.stage, row.run.index, row.run.attempt, row.member,
                  row.node.id.value, row.node.epoch.value, name_of(row.row.outcome), row.row.code,
                  row.row.start_us, row.ended_us, row.row.cpu_us, row.row.peak_kib,
                  row.row.output_bytes);
}

std::vector<NodeRef> HistoryTables::members_of(const RunId& run) {
  std::vector<NodeRef> nodes;
  Cursor rows = find_members_.start(run.job.value, run.stage, run.index, run.attempt);
  while (rows.next()) nodes.push_back(node_in(rows, 0));
  return nodes;
}

std::optional<RunPlace> HistoryTables::find_run(StageRef stage, Index index) {
  const Index lowest = index < kHistorySpan ? 0 : index - kHistorySpan + 1;
  Cursor rows = find_run_.start(stage.job.value, stage.stage, lowest, index, index);
  while (rows.next()) {
    RunHistory row;
    row.stage = stage;
    row.attempt = static_cast<Attempt>(rows.number(3));
    row.node = node_in(rows, 4);
    row.ended_us = rows.number(6);
    row.runs = rows.bytes(7);
    std::optional<RunPlace> place = run_in(row, index);
    if (!place) continue;
    place->members = members_of(place->run);
    return place;
  }
  return std::nullopt;
}

IndexList HistoryTables::find_tasks(StageRef stage) {
  std::set<Index> tasks;
  Cursor rows = find_tasks_.start(stage.job.value, stage.stage);
  while (tasks.size() <= Store::kTasksFound && rows.next())
    indices_in(rows.bytes(0)).for_each([&tasks](Index index) {
      if (tasks.size() <= Store::kTasksFound) tasks.insert(index);
    });
  return IndexList::from_sorted(std::vector<Index>(tasks.begin(), tasks.end()));
}

std::int64_t HistoryTables::find_end_of(NodeRef node) {
  Cursor rows = find_end_of_.start(node.id.value, node.epoch.value);
  return rows.next() ? rows.number(0) : 0;
}

Result<std::optional<core::Job>> HistoryTables::find_job(JobId job) {
  Cursor rows = find_job_.start(job.value);
  if (!rows.next()) return std::optional<core::Job>();
  Result<core::Job> found = decode_job(bytes_of(rows.bytes(0)));
  if (!found.ok()) return found.refusal();
  return std::optional<core::Job>(std::move(found).value());
}

Result<std::vector<core::Job>> HistoryTables::find_jobs(JobId before, std::uint32_t limit) {
  std::vector<core::Job> jobs;
  Cursor rows = find_jobs_.start(before.value, limit);
  while (rows.next()) {
    Result<core::Job> job = decode_job(bytes_of(rows.bytes(0)), Past::kSkip);
    if (!job.ok()) return job.refusal();
    jobs.push_back(std::move(job).value());
  }
  return jobs;
}

}  // namespace leat::store
