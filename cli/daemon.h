#pragma once

// daemon.h - the head's process: started, watched until it is ready, waited for until it is gone.

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cli/command.h"

namespace leat::cli {

inline constexpr Duration kReadyDeadline = std::chrono::seconds(20);

// Starts leat-scheduler for the shell's home, in a session of its own, with its output in
// HOME/log/leat-scheduler.log, and returns when it says that it is ready. Throws Failure with what
// it said instead, or if there is no such program. It is found next to this one, else in PATH.
// `listen`: the address of its ports; empty: the head's own choice.
void start_head(Shell& shell, const std::string& listen);

// A daemon that tells by a pipe when it is ready: a line "ready", or why not.
struct DaemonOrder {
  std::string program;                 // absolute
  std::vector<std::string> arguments;  // without the program's name and --ready-fd
  std::string log_path;                // 0600, appended to
  Duration deadline{0};
  std::string subject;  // of messages: "the head"
};

// See start_head(). Returns the daemon's process id.
pid_t start_daemon(Shell& shell, const DaemonOrder& order);

// Becomes `program`, in the foreground; the process keeps its descriptors 0 to 2. Throws Failure.
[[noreturn]] void exec_program(const Surroundings& surroundings, const std::string& program,
                               std::vector<std::string> arguments);

// A program of ours: next to this one, else in PATH. Throws Failure if there is none.
std::string find_program(const Surroundings& surroundings, std::string_view name);

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
