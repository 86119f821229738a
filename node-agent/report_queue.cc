#include "node-agent/report_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace leat::agent {
namespace {

// Equal elements become one, and nothing but zeroes nothing.
template <typename T>
void fold_column(std::vector<T>& column) {
  if (std::adjacent_find(column.begin(), column.end(), std::not_equal_to<>()) != column.end())
    return;
  column.resize(column.empty() || column.front() == T{} ? 0 : 1);
  column.shrink_to_fit();
}

void append(RunColumns& columns, const RunResult& row) {
  columns.outcome.push_back(row.outcome);
  columns.code.push_back(row.code);
  columns.start_us.push_back(row.start_us);
  columns.duration_us.push_back(row.duration_us);
  columns.cpu_us.push_back(row.cpu_us);
  columns.peak_kib.push_back(row.peak_kib);
  columns.output_bytes.push_back(row.output_bytes);
  columns.flags.push_back(row.flags);
}

void fold_columns(RunColumns& columns) {
  fold_column(columns.outcome);
  fold_column(columns.code);
  fold_column(columns.start_us);
  fold_column(columns.duration_us);
  fold_column(columns.cpu_us);
  fold_column(columns.peak_kib);
  fold_column(columns.output_bytes);
  fold_column(columns.flags);
}

}  // namespace

std::vector<Ended> fold(std::vector<std::pair<RunId, RunResult>> runs) {
  std::sort(runs.begin(), runs.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Ended> folded;
  std::vector<Index> indices;
  for (std::size_t i = 0; i < runs.size();) {
    const RunId& first = runs[i].first;
    Ended ended;
    ended.runs.stage = {first.job, first.stage};
    ended.runs.attempt = first.attempt;
    indices.clear();
    // RunId orders by job, stage and attempt before the index.
    for (; i < runs.size() && runs[i].first.job == first.job &&
           runs[i].first.stage == first.stage && runs[i].first.attempt == first.attempt;
         ++i) {
      indices.push_back(runs[i].first.index);
      append(ended.columns, runs[i].second);
    }
    ended.runs.indices = IndexList::from_sorted(indices);
    fold_columns(ended.columns);
    folded.push_back(std::move(ended));
  }
  return folded;
}

void ReportQueue::note(Time now, std::uint64_t runs) {
  oldest_ = std::min(oldest_, now);
  open_runs_ += runs;
  run_count_ += runs;
  LEAT_CHECK(open_runs_ <= kRunsInBatch);
  if (open_runs_ == kRunsInBatch) close();
}

void ReportQueue::add(const RunId& run, const RunResult& result,
                      const std::optional<BlobRef>& stored, Time now) {
  open_.push_back({run, result, stored});
  note(now, 1);
}

void ReportQueue::add_set(const RunSet& runs, const RunResult& result, Time now) {
  std::uint64_t position = 0;
  while (position < runs.indices.size()) {
    const std::uint64_t count = std::min(runs.indices.size() - position, kRunsInBatch - open_runs_);
    Ended ended;
    ended.runs.stage = runs.stage;
    ended.runs.attempt = runs.attempt;
    ended.runs.indices = runs.indices.select(IntervalSet(position, position + count - 1));
    append(ended.columns, result);
    fold_columns(ended.columns);
    open_sets_.push_back(std::move(ended));
    note(now, count);
    position += count;
  }
}

void ReportQueue::close() {
  Closed closed;
  closed.batch.id = next_id_++;
  std::vector<std::pair<RunId, RunResult>> plain;
  for (Entry& entry : open_) {
    if (!entry.stored) {
      plain.emplace_back(entry.run, entry.result);
      continue;
    }
    std::vector<Ended> one = fold({{entry.run, entry.result}});
    one.front().result = entry.stored;
    closed.batch.ended.push_back(std::move(one.front()));
  }
  std::vector<Ended> folded = fold(std::move(plain));
  std::move(folded.begin(), folded.end(), std::back_inserter(closed.batch.ended));
  std::move(open_sets_.begin(), open_sets_.end(), std::back_inserter(closed.batch.ended));
  closed_.push_back(std::move(closed));
  open_.clear();
  open_sets_.clear();
  open_runs_ = 0;
  oldest_ = kNever;
}

std::optional<ReportBatch> ReportQueue::next(Time now, bool urgent) {
  if (in_flight_ >= kReportsInFlight) return std::nullopt;
  const auto is_waiting = [](const Closed& c) { return !c.in_flight; };
  auto found = std::find_if(closed_.begin(), closed_.end(), is_waiting);
  if (found == closed_.end() && open_runs_ > 0 && (urgent || now >= due())) {
    close();
    found = std::prev(closed_.end());
  }
  if (found == closed_.end()) return std::nullopt;
  found->in_flight = true;
  ++in_flight_;
  return found->batch;
}

Time ReportQueue::due() const {
  if (in_flight_ >= kReportsInFlight) return kNever;
  for (const Closed& c : closed_)
    if (!c.in_flight) return Time{};
  return oldest_ == kNever ? kNever : oldest_ + kReportDelay;
}

std::optional<ReportBatch> ReportQueue::acknowledge(std::uint64_t id) {
  const auto found = std::find_if(closed_.begin(), closed_.end(), [id](const Closed& c) {
    return c.in_flight && c.batch.id == id;
  });
  if (found == closed_.end()) return std::nullopt;
  ReportBatch batch = std::move(found->batch);
  closed_.erase(found);
  --in_flight_;
  run_count_ -= batch.run_count();
  return batch;
}

void ReportQueue::resend() {
  for (Closed& c : closed_) c.in_flight = false;
  in_flight_ = 0;
}

std::vector<RunSet> ReportQueue::sets() const {
  std::vector<RunSet> sets;
  for (const Closed& c : closed_)
    for (const Ended& ended : c.batch.ended) sets.push_back(ended.runs);
  std::vector<std::pair<RunId, RunResult>> plain;
  for (const Entry& entry : open_) plain.emplace_back(entry.run, entry.result);
  for (Ended& ended : fold(std::move(plain))) sets.push_back(std::move(ended.runs));
  for (const Ended& ended : open_sets_) sets.push_back(ended.runs);
  return sets;
}

}  // namespace leat::agent
