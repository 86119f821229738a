#include "cli/progress.h"

#include <algorithm>
#include <cmath>

#include "definitions/units.h"

namespace leat::cli {
namespace {

// Every stage counts the same; an older head may name stage 0 only.
TaskCounts sum_of_stages(const JobView& job) {
  if (job.stages.empty()) return job.counts;
  TaskCounts sum;
  for (const TaskCounts& stage : job.stages) {
    sum.total += stage.total;
    sum.running += stage.running;
    sum.held += stage.held;
    sum.succeeded += stage.succeeded;
    sum.failed += stage.failed;
    sum.cancelled += stage.cancelled;
    sum.quarantined += stage.quarantined;
    sum.skipped += stage.skipped;
  }
  return sum;
}

std::string count_of(std::uint64_t count, const char* one) {
  return std::to_string(count) + ' ' + one + (count == 1 ? "" : "s");
}

}  // namespace

void ProgressMeter::observe(const JobView& job, Duration now) {
  job_ = job;
  const TaskCounts sum = sum_of_stages(job);
  done_ = sum.done();
  total_ = sum.total;
  constexpr Duration kSpacing = kWindow / static_cast<int>(kSamplesMax);
  const bool replaces = samples_.size() >= 2 && now - samples_[samples_.size() - 2].at < kSpacing;
  if (replaces) samples_.pop_back();
  samples_.push_back({now, done_});
  while (samples_.size() > kSamplesMax || samples_.front().at < now - kWindow) samples_.pop_front();
}

std::optional<double> ProgressMeter::rate() const {
  if (samples_.empty()) return std::nullopt;
  const Duration span = samples_.back().at - samples_.front().at;
  if (span <= Duration(0)) return std::nullopt;
  // Work that went with a lost node makes `done` smaller.
  const std::uint64_t before = std::min(samples_.front().done, samples_.back().done);
  return static_cast<double>(samples_.back().done - before) * 1e6 /
         static_cast<double>(span.count());
}

std::optional<Duration> ProgressMeter::eta() const {
  const std::optional<double> tasks_per_s = rate();
  if (!tasks_per_s || *tasks_per_s <= 0 || done_ > total_) return std::nullopt;
  const double seconds = static_cast<double>(total_ - done_) / *tasks_per_s;
  if (seconds > 1e9) return std::nullopt;
  return Duration(static_cast<std::int64_t>(seconds * 1e6));
}

std::string ProgressMeter::line() const {
  const std::uint64_t percent = total_ == 0 ? 0 : done_ * 100 / total_;
  std::string line = "job " + std::to_string(job_.id) + "  " + job_state_name(job_.state) + "  " +
                     std::to_string(percent) + "%  " + std::to_string(job_.counts.done()) + '/' +
                     std::to_string(job_.counts.total);
  if (!job_.has_ended()) {
    if (const std::optional<double> tasks_per_s = rate()) line += "  " + show_rate(*tasks_per_s);
    // Whole seconds, rounded up: tenths would only flicker.
    if (const std::optional<Duration> left = eta())
      line += "  ETA " + definitions::show_duration(
                             Duration((left->count() + 999'999) / 1'000'000 * 1'000'000));
  }
  const TaskCounts sum = sum_of_stages(job_);
  if (sum.failed > 0) line += "  " + std::to_string(sum.failed) + " failed";
  if (sum.quarantined > 0) line += "  " + std::to_string(sum.quarantined) + " quarantined";
  // Stages with names are the user's; without, they are steps of a reduce.
  if (job_.stages.size() > 1) line += job_.stage_names.empty() ? "  reduce" : "  stages";
  for (std::size_t i = 1; i < job_.stages.size(); ++i)
    line +=
        ' ' + std::to_string(job_.stages[i].done()) + '/' + std::to_string(job_.stages[i].total);
  return line;
}

std::string show_rate(double per_s) {
  const long long tenths = std::llround(per_s * 10);
  if (tenths >= 100) return std::to_string(std::llround(per_s)) + "/s";
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + "/s";
}

std::string closing_line(const JobView& job) {
  std::string line = "job " + std::to_string(job.id) + ' ' + job_state_name(job.state) + ": " +
                     count_of(job.counts.total, "task");
  const std::int64_t elapsed_us = job.elapsed_us(job.ended_us);
  if (elapsed_us > 0) line += " in " + definitions::show_duration(Duration(elapsed_us));
  if (job.stages.size() > 1)
    line += ", " + count_of(job.stages.size() - 1,
                            job.stage_names.empty() ? "reduce stage" : "further stage");
  if (job.retried > 0) line += ", " + std::to_string(job.retried) + " tried again";
  if (job.lost > 0) line += ", " + count_of(job.lost, "run") + " lost with nodes";
  return line;
}

}  // namespace leat::cli
