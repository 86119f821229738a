#pragma once

// run_log.h - DIR/runs.log: what an agent must know again after kill -9.
//
// Stages that were accepted, results that the head has not acknowledged, and where outputs may be
// brought by an agent that does not get to its head any more. The law: the warden
// hears that an exit is confirmed only after its result (here) and the place of its output
// (spool/spool_index.h) have been written. Written, not synced: kill -9 of the agent loses
// nothing, and a node that loses power is a lost node.
// Runs that were queued but not launched are not kept: the head sends all it has placed here again
// when the agent joins, and runs that go on are told by the warden.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "node-agent/messages.h"
#include "spool/record_log.h"

namespace leat::agent {

// Where outputs are brought, and the right to do it.
struct OutputPlace {
  std::string address;
  std::string server_name;
  std::string ticket;

  friend bool operator==(const OutputPlace&, const OutputPlace&) = default;
};

// What the log knew when it was opened.
struct RecoveredLog {
  std::vector<StartSet> stages;    // without runs and inputs
  std::vector<Ended> ended;        // not acknowledged
  HeadEpoch head_epoch;            // the newest this node has joined; older ones stay refused
  std::int64_t head_clock_us = 0;  // head's time less this machine's CLOCK_MONOTONIC
  OutputPlace output_place;        // as the newest head said; empty before the first join
  std::uint64_t dropped_bytes = 0;
};

// Holds nothing in memory but the file. Thread: any one; calls block on a local file.
class RunLog {
 public:
  // Beyond this, and twice what the last rewrite left, the log should be rewritten.
  static constexpr std::uint64_t kBytesKept = 8u << 20;

  static Result<std::pair<RunLog, RecoveredLog>> open(const std::string& path);

  // A stage is kept until its job is forgotten; the newest word about it counts.
  void stage(const StartSet& set);
  void ended(const std::vector<Ended>& ended);
  // The head has these.
  void acknowledged(const std::vector<Ended>& ended);
  void joined(HeadEpoch head_epoch, std::int64_t head_clock_us);
  void output_place(const OutputPlace& place);
  void forgotten(JobId job);

  // Writes what was put since the last time. If refused, nothing is lost: call again later.
  Result<Done> write() { return log_.write(); }

  bool wants_rewrite() const { return log_.bytes() > kBytesKept && log_.bytes() > 2 * rewritten_; }
  // Replaces the log by this, on disk on return.
  Result<Done> rewrite(const RecoveredLog& content);
  std::uint64_t bytes() const { return log_.bytes(); }

 private:
  explicit RunLog(spool::RecordLog log) : log_(std::move(log)) {}

  spool::RecordLog log_;
  std::uint64_t rewritten_ = 0;
};

}  // namespace leat::agent
