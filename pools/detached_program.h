#pragma once

// detached_program.h - starts a program that outlives us and owes us nothing.

#include <kj/async-unix.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pools/process.h"

namespace leat::pools {

struct DetachedProgram {
  std::vector<std::string> argv;  // argv[0] is a path
  std::vector<std::string> environment;
  std::string log_path;    // 0600, appended to: standard output and error
  std::string stamp_path;  // appears, whole, before the program runs
  std::string boot_id;     // goes into the stamp
};

// Starts it in a session of its own, with /dev/null as input, no inherited descriptors, default
// signals and directory "/". Returns when the program runs. At any instant at which we may die, it
// either has its stamp on disk or dies with us. Blocks for about a millisecond.
Result<std::unique_ptr<Process>> start_detached(kj::UnixEventPort& port,
                                                const DetachedProgram& program);

}  // namespace leat::pools
