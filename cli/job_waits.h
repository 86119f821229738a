#pragma once

// job_waits.h - what a job waits for, what of it is tried again and when, and the word before its
// time is over: read from its definition.

#include <string_view>

#include "base/result.h"
#include "cli/job_request.h"
#include "definitions/job_definition.h"

namespace leat::cli {

// "17", "last:any", "17:failure/element".
Result<AfterRequest> parse_after(std::string_view text);

// "10s", "10s,2", "10s,2,10m": the first delay, by how much it grows, and how far.
Result<RetryDelayRequest> parse_retry_delay(std::string_view text);

// "75,100-110,SIGKILL,time-limit": exit codes, signals, and ends that are neither.
Result<RetryOnRequest> parse_retry_on(std::string_view text);

// "USR1@30s": a signal, and how long before the limit it is sent.
Result<WarningRequest> parse_warning(std::string_view text);

// All of these into `request`, whose retries and time limit are known. Throws Failure (kUsage).
void read_waits(const definitions::JobDefinition& job, JobRequest& request);

}  // namespace leat::cli
