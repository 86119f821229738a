#include "node-agent/report_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace leat::agent {
std::vector<Ended> fold(std::vector<std::pair<RunId, RunResult>> runs) {
  std::sort(runs.begin(), runs.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Ended> folded;
  std::vector<Index> indices;
  std::vector<RunRow> rows;
  for (std::size_t i = 0; i < runs.size();) {
    const RunId& first = runs[i].first;
    Ended ended;
    ended.runs.stage = {first.job, first.stage};
    ended.runs.attempt = first.attempt;
    indices.clear();
    rows.clear();
    // RunId orders by job, stage and attempt before the index.
    for (; i < runs.size() && runs[i].first.job == first.job &&
           runs[i].first.stage == first.stage && runs[i].first.attempt == first.attempt;
         ++i) {
      indices.push_back(runs[i].first.index);
      rows.push_back(runs[i].second);
    }
    ended.runs.indices = IndexList::from_sorted(indices);
    ended.columns = to_columns(rows);
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
    ended.columns = to_columns({result});
    open_sets_.push_back(std::move(ended));
    note(now, count);
    position += count;
  }
}

std::vector<Ended> ReportQueue::folded_open() const {
  std::vector<Ended> folded;
  std::vector<std::pair<RunId, RunResult>> plain;
  for (const Entry& entry : open_) {
    if (!entry.stored) {
      plain.emplace_back(entry.run, entry.result);
      continue;
    }
    folded.push_back(std::move(fold({{entry.run, entry.result}}).front()));
    folded.back().result = entry.stored;
  }
  std::vector<Ended> rest = fold(std::move(plain));
  std::move(rest.begin(), rest.end(), std::back_inserter(folded));
  return folded;
}

void ReportQueue::close() {
  Closed closed;
  closed.batch.id = next_id_++;
  closed.batch.ended = folded_open();
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

std::vector<Ended> ReportQueue::content() const {
  std::vector<Ended> all;
  for (const Closed& c : closed_) all.insert(all.end(), c.batch.ended.begin(), c.batch.ended.end());
  const std::vector<Ended> open = folded_open();
  all.insert(all.end(), open.begin(), open.end());
  all.insert(all.end(), open_sets_.begin(), open_sets_.end());
  return all;
}

}  // namespace leat::agent
