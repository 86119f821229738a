#pragma once

// task_view.h - one task, from what the head told of its job and the nodes of its newest run.

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "cli/job_view.h"
#include "cli/task_places.h"
#include "cli/value.h"

namespace leat::cli {

struct TaskView {
  JobView job;
  StageId stage = 0;
  Index index = 0;
  TaskPlaces places;
  bool waits = false;  // `leat why` names what for
};

// "waiting", "running", "succeeded", "failed", "cancelled", "quarantined" or "skipped"; "ended" of
// one that has run and of which no more is known, "unknown" if nobody answers who would know that.
std::string task_state(const TaskView& task);

// As JSON shows it.
Value::Object task_row(const TaskView& task);
// For people.
std::string task_page(const TaskView& task);

// "0-3,8"; "-" for none. Precondition: ascending.
std::string cpus_text(const std::vector<std::uint16_t>& cpus);

}  // namespace leat::cli
