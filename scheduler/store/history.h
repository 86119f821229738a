#pragma once

// history.h - what is over, as plain rows for accounting.
//
// Derived from facts alone, when they are applied, and written in the transaction that keeps
// them. Times are wall-clock microseconds since 1970, 0 where there is none.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"

namespace leat::store {

// Indices of one history row lie within this many of its first, so that a look-up of one index
// reads only rows that begin not far below it.
inline constexpr std::uint64_t kHistorySpan = 16'384;

// A job that has ended. Counts are over all stages.
struct JobHistory {
  JobId id;
  std::string name;
  core::Principal owner;
  std::int32_t priority = 0;
  std::int64_t submitted_us = 0;
  std::int64_t started_us = 0;
  std::int64_t ended_us = 0;
  core::JobState state = core::JobState::kSucceeded;
  core::StateCounts counts{};
  std::uint64_t retried = 0;
  std::uint64_t lost = 0;
  std::string summary;  // the job's snapshot row: what find_job() gives back
};

// Runs of one stage that ended in one fact. `runs` is a schema HistoryRuns, packed.
struct RunHistory {
  StageRef stage;
  Index first = 0;
  Index last = 0;
  std::uint64_t count = 0;
  Attempt attempt = 0;
  NodeRef node;
  core::TaskState state = core::TaskState::kSucceeded;  // of the tasks, now
  std::optional<Outcome> outcome;                       // where it is the same for all
  std::optional<std::int32_t> code;                     // likewise
  std::int64_t started_us = 0;                          // of the first
  std::int64_t ended_us = 0;                            // of the last
  std::int64_t wall_us_sum = 0;
  std::int64_t cpu_us_sum = 0;
  std::int64_t peak_kib_max = 0;  // negative: at most that much
  std::int64_t output_bytes_sum = 0;
  std::string runs;
};

// One member of a gang's run. Times are 0 if it never started.
struct MemberHistory {
  RunId run;
  std::uint32_t member = 0;
  NodeRef node;
  RunRow row;  // with start_us on the wall clock
  std::int64_t ended_us = 0;
};

// A step in a node's life.
struct NodeHistory {
  NodeRef node;
  PoolId pool;
  const char* event = "";  // requested, enrolled, joined, lost, gone
  std::int64_t at_us = 0;
  std::string text;
};

// A node that is gone: what was bought, and what of it was used. Idle is what is left.
struct NodeUseHistory {
  NodeRef node;
  PoolId pool;
  std::string pool_name;
  std::int64_t requested_us = 0;
  std::int64_t joined_us = 0;  // 0: it never came
  std::int64_t gone_us = 0;
  std::uint32_t millicores = 0;
  std::int64_t used_core_us = 0;  // cores that tasks had, times how long
  std::int64_t busy_us = 0;       // with at least one task
  std::string why;
};

// What a person did, or Leat itself to a pool.
struct ActionHistory {
  const char* action = "";  // submit, cancel, pool
  std::uint64_t subject = 0;
  std::int64_t at_us = 0;
  core::Principal actor;
  std::string text;
};

struct History {
  std::vector<JobHistory> jobs;
  std::vector<RunHistory> runs;
  std::vector<MemberHistory> members;
  std::vector<NodeHistory> nodes;
  std::vector<NodeUseHistory> uses;
  std::vector<ActionHistory> actions;

  bool empty() const {
    return jobs.empty() && runs.empty() && members.empty() && nodes.empty() && uses.empty() &&
           actions.empty();
  }
};

// Adds the rows that follow from `fact`. `state` has the fact applied, and no later one.
void history_of(const core::Fact& fact, const core::State& state, Time at, History& out);

// The accounts of a node that is about to be gone: before the fact is applied.
NodeUseHistory use_row(const core::NodeGone& fact, const core::State& state, Time at);

// One run as history knows it.
struct RunPlace {
  RunId run;
  NodeRef node;
  Outcome outcome = Outcome::kExit;
  std::int32_t code = 0;
  std::int64_t ended_us = 0;  // wall clock
  std::int64_t output_bytes = 0;
  std::vector<NodeRef> members;  // of a gang: their nodes

  friend bool operator==(const RunPlace&, const RunPlace&) = default;
};

// The run of `index` among those of the row; nothing if it is not there, or if `runs` is damaged.
std::optional<RunPlace> run_in(const RunHistory& row, Index index);

// Which tasks the runs of such a row are about; none if `runs` is damaged.
IndexList indices_in(const std::string& runs);

// The name of an outcome, as in schema/types.capnp; its number if it is not known here.
std::string name_of(Outcome outcome);

}  // namespace leat::store
