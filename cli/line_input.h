#pragma once

// line_input.h - what tasks are made of or read, counted and brought to leat-store.

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/head.h"
#include "cli/job_request.h"

namespace leat::cli {

// All read their files once, then upload what the store does not have. Throw Failure: kUsage for a
// file that is empty, missing, too long or changes meanwhile; kRefused if the store has no room.
// "-" is standard input.

// --each-line: the number of tasks is ceil(lines / chunk). Precondition: chunk >= 1.
LinesRequest upload_lines(Shell& shell, Head& head, const std::string& path, std::uint64_t chunk);

// --from-json: one task per line; each must be a JSON object that has the fields that `argv` names,
// if any of them has.
LinesRequest upload_objects(Shell& shell, Head& head, const std::string& path,
                            const std::vector<std::string>& argv);

// --each-file: one task per name.
LinesRequest upload_names(Shell& shell, Head& head, const std::vector<std::string>& names);

// --stdin.
transport::Blob upload_whole(Shell& shell, Head& head, const std::string& path);

// Everything that `request` says is to be uploaded, and what follows: its indices; makes its
// directory for outputs.
void upload_inputs(Shell& shell, Head& head, JobRequest& request);

}  // namespace leat::cli
