#pragma once

// daemon.h - the head's process: started, watched until it is ready, waited for until it is gone.

#include <sys/types.h>

#include "base/time.h"
#include "cli/command.h"

namespace leat::cli {

inline constexpr Duration kReadyDeadline = std::chrono::seconds(20);

// Starts leat-scheduler for the shell's home, in a session of its own, with its output in
// HOME/log/leat-scheduler.log, and returns when it says that it is ready. Throws Failure with what
// it said instead, or if there is no such program. It is found next to this one, else in PATH.
void start_head(Shell& shell);

// Refers to one process, however long it lives: another that gets its number later is not it.
class ProcessHandle {
 public:
  // Of a process that may be gone already: then has_ended() at once.
  explicit ProcessHandle(pid_t pid);
  ~ProcessHandle();
  ProcessHandle(const ProcessHandle&) = delete;
  ProcessHandle& operator=(const ProcessHandle&) = delete;

  // Waits at most `deadline`, and tells whether it has ended by then.
  bool wait_for_end(Shell& shell, Duration deadline);

 private:
  int fd_;
};

}  // namespace leat::cli
