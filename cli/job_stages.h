#pragma once

// job_stages.h - a job that says what its stages are, as a request.

#include "cli/command.h"
#include "cli/job_request.h"
#include "definitions/job_definition.h"

namespace leat::cli {

// Like read_job_request(), of a definition that has stages. Throws Failure (kUsage).
JobRequest read_staged_request(const definitions::JobDefinition& job,
                               const Surroundings& surroundings);

}  // namespace leat::cli
