#pragma once

// task_name.h - jobs and tasks as people name them: 17, 17.42, 17.1.3, last.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/result.h"

namespace leat::cli {

// What was named. No job means "last", the caller's newest.
struct TaskName {
  std::optional<JobId> job;
  StageId stage = 0;
  IndexList indices;  // empty: the whole job

  bool names_task() const { return indices.size() == 1; }
};

// "JOB", "JOB.INDICES" or "JOB.STAGE.INDICES", JOB being a number or "last", INDICES as in
// --array ("5", "1-9:2,12").
Result<TaskName> parse_name(std::string_view text);

// The same, but a whole job.
Result<TaskName> parse_job(std::string_view text);

// The same, but exactly one task.
Result<TaskName> parse_task(std::string_view text);

}  // namespace leat::cli
