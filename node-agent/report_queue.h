#pragma once

// report_queue.h - ended runs on their way to the head, in batches with a window.

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "node-agent/messages.h"

namespace leat::agent {

inline constexpr Duration kReportDelay = std::chrono::milliseconds(25);
inline constexpr std::uint64_t kRunsInBatch = 4096;        // schema maxRunsInBatch
inline constexpr std::size_t kReportsInFlight = 4;         // schema maxReportsInFlight
inline constexpr std::uint64_t kUnreportedMax = 1u << 20;  // no launches beyond this

// Batches are closed when they are full, old or urgent, sent at most kReportsInFlight at a time,
// and kept until acknowledged. Within a batch runs are grouped by stage and attempt, indices
// folded to strides and equal columns to one.
class ReportQueue {
 public:
  void add(const RunId& run, const RunResult& result, const std::optional<BlobRef>& stored,
           Time now);
  // The same result for a whole set; costs one entry per kRunsInBatch runs.
  void add_set(const RunSet& runs, const RunResult& result, Time now);

  // The next batch to send. `urgent`: nothing else is coming, do not wait for more.
  std::optional<ReportBatch> next(Time now, bool urgent);
  // When next() would have one without `urgent`; kNever if not by time.
  Time due() const;

  // Removes and returns a batch that is in flight.
  std::optional<ReportBatch> acknowledge(std::uint64_t id);
  // Everything in flight is to be sent again.
  void resend();

  std::uint64_t run_count() const { return run_count_; }
  // Everything that is kept, closed batches first.
  std::vector<Ended> content() const;

 private:
  struct Entry {
    RunId run;
    RunResult result;
    std::optional<BlobRef> stored;
  };
  struct Closed {
    ReportBatch batch;
    bool in_flight = false;
  };

  void close();
  std::vector<Ended> folded_open() const;
  void note(Time now, std::uint64_t runs);

  std::vector<Entry> open_;
  std::vector<Ended> open_sets_;
  std::uint64_t open_runs_ = 0;
  Time oldest_ = kNever;
  std::deque<Closed> closed_;
  std::size_t in_flight_ = 0;
  std::uint64_t run_count_ = 0;
  std::uint64_t next_id_ = 1;
};

// Groups and folds; the order of `runs` does not matter. Precondition: sizes equal, each run once.
std::vector<Ended> fold(std::vector<std::pair<RunId, RunResult>> runs);

}  // namespace leat::agent
