#pragma once

// line_input.h - the file of --each-line, counted and brought to leat-store.

#include <cstdint>
#include <string>

#include "cli/command.h"
#include "cli/head.h"
#include "cli/job_request.h"

namespace leat::cli {

// Reads `path` ("-": standard input) once, then uploads it and its table of offsets unless the
// store has them. The number of tasks is ceil(lines / chunk). Throws Failure: kUsage for a file
// that is empty, missing, too long or changes meanwhile. Precondition: chunk >= 1.
LinesRequest upload_lines(Shell& shell, Head& head, const std::string& path, std::uint64_t chunk);

}  // namespace leat::cli
