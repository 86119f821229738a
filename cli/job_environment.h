#pragma once

// job_environment.h - the environment of a job's tasks, as its definition asks for it.

#include <string>
#include <vector>

#include "cli/command.h"
#include "definitions/job_definition.h"

namespace leat::cli {

inline constexpr std::size_t kVariableFileBytesMax = 1u << 20;

// "NAME=VALUE" entries, each name once: of the caller's environment what `export` says, but never
// what belongs to Leat, nor, unless by name, what says which rank the caller is; then the files of
// variables; then the variables. Throws Failure (kUsage).
std::vector<std::string> read_environment(const definitions::JobDefinition& job,
                                          const Surroundings& surroundings);

}  // namespace leat::cli
