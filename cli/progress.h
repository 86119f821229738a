#pragma once

// progress.h - how far a job is, how fast, and how long it may still take: in one line.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "base/time.h"
#include "cli/job_view.h"

namespace leat::cli {

// Fed with what the head tells of one job. Instants are any steady clock's. Pure.
class ProgressMeter {
 public:
  // The rate is that of the last while, so that an ETA follows what happens now.
  static constexpr Duration kWindow = std::chrono::seconds(10);
  static constexpr std::size_t kSamplesMax = 64;

  void observe(const JobView& job, Duration now);

  // Ended tasks a second over the window; nothing until two samples differ in time.
  std::optional<double> rate() const;
  // Time left at that rate; nothing if it is not known or zero.
  std::optional<Duration> eta() const;

  // "job 17  running  42%  4213/10000  812/s  ETA 7s  2 failed  reduce 3/10 0/1".
  std::string line() const;

 private:
  struct Sample {
    Duration at;
    std::uint64_t done;
  };

  JobView job_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  std::deque<Sample> samples_;  // at least kWindow / kSamplesMax apart, but for the last
};

// Tasks a second: "812/s", "9.9/s".
std::string show_rate(double per_s);

// "job 17 succeeded: 10000 tasks in 12.3s, 3 tried again".
std::string closing_line(const JobView& job);

}  // namespace leat::cli
