#pragma once

// job_options.h - the options that say what a job is, and the request they come to.
//
// Which options there are is said in definitions/job_fields.cc; here is what they mean.

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/job_request.h"
#include "definitions/job_definition.h"

namespace leat::cli {

inline constexpr std::size_t kJobNameBytesMax = 256;

// The options of one call, declared from the table of fields.
class JobOptions {
 public:
  void declare(Arguments& arguments);

  // What was given, after Arguments::parse(). `command` is what stood behind "--".
  definitions::JobDefinition given(const std::vector<std::string>& command) const;

 private:
  std::map<std::string, std::optional<std::string>, std::less<>> texts_;
  std::map<std::string, std::vector<std::string>, std::less<>> lists_;
  std::map<std::string, bool, std::less<>> flags_;
};

// A whole number, perhaps below zero.
Result<std::int32_t> parse_priority(std::string_view text);

// Everything that can be wrong with a job without asking the head: throws Failure (kUsage), whose
// message begins with where the word stands. Looks at the file system: programs, directories and
// files of variables must be there, as the nodes of a pool share it.
JobRequest read_job_request(const definitions::JobDefinition& job,
                            const Surroundings& surroundings);

}  // namespace leat::cli
