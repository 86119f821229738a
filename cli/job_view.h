#pragma once

// job_view.h - a job as the head told of it, in plain structs, and what to say about it.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/value.h"
#include "schema/scheduler.capnp.h"

namespace leat::cli {

// Tasks of one stage. Mirrors schema Counts.
struct TaskCounts {
  std::uint64_t total = 0;
  std::uint64_t waiting = 0;
  std::uint64_t running = 0;
  std::uint64_t held = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t skipped = 0;

  // Held tasks have succeeded as far as a person cares.
  std::uint64_t done() const {
    return held + succeeded + failed + cancelled + quarantined + skipped;
  }
};

struct TaskFailure {
  std::uint16_t stage = 0;
  std::uint64_t index = 0;
  std::uint16_t outcome = 0;  // schema Outcome, perhaps of a later version
  std::int32_t code = 0;
  std::uint32_t node = 0;
};

// What a running task has told of itself.
struct TaskWords {
  std::uint16_t stage = 0;
  std::uint64_t index = 0;
  std::uint32_t attempt = 0;
  std::uint32_t permille = 0;
  std::string message;
};

struct JobView {
  std::uint64_t id = 0;
  std::string name;
  std::uint32_t owner_uid = 0;
  std::string owner_host;
  std::uint16_t state = 0;  // schema JobState, perhaps of a later version
  TaskCounts counts;        // of stage 0
  std::int32_t priority = 0;
  std::int64_t submitted_us = 0;  // since 1970; 0: not yet
  std::int64_t started_us = 0;
  std::int64_t ended_us = 0;
  std::vector<TaskCounts> stages;
  std::vector<std::string> stage_names;  // as many, or none
  std::uint64_t retried = 0;
  std::uint64_t lost = 0;
  std::uint64_t result_bytes = 0;
  bool has_result = false;
  std::vector<TaskFailure> failures;
  std::uint64_t retry_of = 0;     // 0: none
  std::uint64_t skipped_for = 0;  // 0: none
  std::string reason;             // why tasks were skipped
  std::uint32_t held_by_uid = 0;
  std::int64_t held_us = 0;  // since 1970; 0: it is not held
  std::vector<TaskWords> progress;

  bool has_ended() const;
  bool has_succeeded() const;
  // From the first start to the end, or to `now_us`.
  std::int64_t elapsed_us(std::int64_t now_us) const;
};

std::string read_text(capnp::Text::Reader text);
TaskCounts read_counts(schema::Counts::Reader counts);
JobView read_job(schema::JobSummary::Reader job);

// "running"; of a state this version does not know, its number.
std::string job_state_name(std::uint16_t state);
// "exit"; of an outcome this version does not know, its number.
std::string outcome_name(std::uint16_t outcome);
// "exit code 3", "signal 9", "could not start: No such file or directory".
std::string describe_outcome(std::uint16_t outcome, std::int32_t code);
// "17.42", or "17.1.42" outside stage 0.
std::string task_name(std::uint64_t job, std::uint16_t stage, std::uint64_t index);

// Rows, as JSON shows them and tables pick from them.
Value counts_row(const TaskCounts& counts);
Value progress_rows(const JobView& job);
Value::Object job_row(const JobView& job, std::int64_t now_us);

}  // namespace leat::cli
