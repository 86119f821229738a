#pragma once

// program_check.h - whether a program can be found before a job for it is made.

#include <string>
#include <vector>

#include "base/result.h"

namespace leat::cli {

// Refused, in words, unless `program` is an executable file: at that path (from `directory`) if it
// holds a '/', else in the PATH that `environment` ("NAME=VALUE"s) has.
Result<Done> check_program(const std::string& program, const std::string& directory,
                           const std::vector<std::string>& environment);

// `path` as seen from `directory`.
std::string absolute_path(const std::string& path, const std::string& directory);

// Whether `path` is a file that we may execute; else errno says why not.
bool is_executable_file(const std::string& path);

// The first `name` in the directories of `path` ("/bin:/usr/bin"); empty if there is none.
std::string find_in_path(const std::string& name, const std::string& path,
                         const std::string& directory);

}  // namespace leat::cli
