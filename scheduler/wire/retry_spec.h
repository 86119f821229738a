#pragma once

// retry_spec.h - the specification of a job that runs some tasks of another one again.

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/result.h"
#include "scheduler/core/spec.h"

namespace leat::wire {

// What `encoded` (the other job's specification, JobSpec::encoded) says, for `indices` of its first
// stage only: same program, inputs and policies; it comes after nothing. Refused with kConflict if
// the job reduces its outputs, or `indices` are none.
Result<core::JobSpec> retry_spec(JobId of, const std::shared_ptr<const std::string>& encoded,
                                 const IndexList& indices, std::int32_t priority,
                                 const std::string& name);

// The pool that was made for the job alone, as it was asked for; none if there was none.
std::optional<core::PoolSpec> own_pool_of(const core::JobSpec& spec);

}  // namespace leat::wire
