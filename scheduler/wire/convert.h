#pragma once

// convert.h - what the core knows, in the words of the protocol.
//
// Specs and the small words are converted in scheduler/store (spec_codec.h, value_codec.h).

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"
#include "schema/agent.capnp.h"
#include "schema/scheduler.capnp.h"
#include "transport/wire_refusal.h"

namespace leat::wire {

using transport::write_refusal;

// Runs that may be running now: on each node as many of a stage as its claims allow; the rest of
// what is placed there is queued. Made in one pass over the nodes.
class Running {
 public:
  explicit Running(const core::State& state);
  // Only of this job.
  Running(const core::State& state, JobId job);

  std::uint64_t of(StageRef stage) const;

 private:
  void add(const core::Node& node, StageRef from, StageRef to);

  std::map<StageRef, std::uint64_t> runs_;
};

// Waiting = blocked, waiting, and placed but not running.
void write_counts(const core::StateCounts& counts, std::uint64_t running,
                  schema::Counts::Builder to);

// Why tasks of a job were skipped; empty if none were.
std::string skip_text(const core::Job& job);

// Of an active job, or an ended one from memory or history.
void write_job(const core::State& state, const core::Job& job, const Running& running,
               schema::JobSummary::Builder to);

void write_node(const core::State& state, const core::Node& node, schema::NodeSummary::Builder to);
void write_pool(const core::State& state, const core::Pool& pool, schema::PoolSummary::Builder to);
void write_cause(const core::Cause& cause, schema::Cause::Builder to);

// Over the tasks of all active jobs; returns how many jobs those are.
std::uint64_t write_totals(const core::State& state, schema::Counts::Builder to);

// What an agent says of its node; refused if it is out of bounds.
Result<core::NodeReport> read_hello(schema::Hello::Reader from);
// At most kLiveSetsMax sets.
inline constexpr unsigned kLiveSetsMax = 65'536;
Result<std::vector<core::RunSet>> read_live(schema::Hello::Reader from);

// A report's sets, each with as many columns as runs; at most kReportedRunsMax runs.
inline constexpr std::uint64_t kReportedRunsMax = 65'536;
Result<std::vector<core::EndedSet>> read_report(schema::ReportBatch::Reader from);

// To whoever asked for job `id`; none is the last job of a user who has not had one.
Refusal no_job(JobId id);

// "2026-11-22 04:10:00 UTC"; "an unknown time" for 0.
std::string wall_text(std::int64_t wall_us);

}  // namespace leat::wire
