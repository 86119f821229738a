#pragma once

// job_inputs.h - what makes tasks of a program and what they read, as far as it can be known before
// anything is uploaded.

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/job_request.h"
#include "definitions/job_definition.h"

namespace leat::cli {

// Files that --each-file may come to; each is a task.
inline constexpr std::uint64_t kFilesMax = 1'000'000;

// The fields array, each-line, chunk, each-file, from-json, stdin and output-dir: sets what
// `request` says of them, and the indices where they are known. Throws Failure (kUsage).
void read_job_inputs(const definitions::JobDefinition& job, const Surroundings& surroundings,
                     JobRequest& request);

// What the patterns match as seen from `directory`: absolute, in the order of patterns and then of
// names, each once, without directories. Throws Failure (kUsage) naming a pattern without match.
std::vector<std::string> expand_globs(const std::vector<definitions::Word>& patterns,
                                      const std::string& directory);

}  // namespace leat::cli
