#pragma once

// retry_plan.h - which tasks of a job of several stages run again when some did not succeed.

#include <optional>
#include <vector>

#include "base/interval_set.h"
#include "base/result.h"
#include "scheduler/core/spec.h"

namespace leat::wire {

// By stage, positions in its indices.
struct RetryPlan {
  std::vector<IntervalSet> runs;  // none of a stage: it does not run again
  // Of those, tasks that had succeeded.
  std::vector<IntervalSet> repeated;
};

// `unsuccessful`: by stage, positions of the tasks that ended without success in a job that is
// over. They run again, but for those that were skipped as they should be (what they were to clean
// up after has succeeded, and still has). So do all that come after a task that runs again, and
// whatever a reduce step reads that runs again, for its outputs are not kept; and where stages come
// after each other task by task, the same indices in both. Refused with kConflict where that would
// have a task run that had been skipped as it should be.
Result<RetryPlan> plan_retry(const std::vector<core::StageSpec>& stages,
                             const std::vector<IntervalSet>& unsuccessful);

// What `after` of a stage becomes in a job that runs `plan` only: nothing if it is met already.
// Its stage is as it was numbered.
std::optional<core::After> left_of(const core::After& after, const RetryPlan& plan,
                                   const std::vector<IntervalSet>& unsuccessful);

}  // namespace leat::wire
