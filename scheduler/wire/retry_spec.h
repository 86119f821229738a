#pragma once

// retry_spec.h - the specification of a job that runs some tasks of another one again.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/result.h"
#include "scheduler/core/spec.h"

namespace leat::wire {

// The job that is retried.
struct Retried {
  JobId job;
  std::shared_ptr<const std::string> encoded;  // its specification, JobSpec::encoded
  std::vector<IndexList> unsuccessful;         // by stage; precondition: all of its stages
  std::int32_t priority = 0;
  std::string name;
};

struct RetrySpec {
  core::JobSpec spec;
  std::string note;  // what else runs again, for people; empty: nothing else
};

// What the specification says, for those tasks that run again (retry_plan.h): same programs, inputs
// and policies; it comes after no other job. Stages of which nothing runs again are left out, and
// those behind them have lower numbers. Refused with kConflict if nothing is to run again, or it
// cannot be said what.
Result<RetrySpec> retry_spec(const Retried& retried);

// The pool that was made for the job alone, as it was asked for; none if there was none.
std::optional<core::PoolSpec> own_pool_of(const core::JobSpec& spec);

}  // namespace leat::wire
