#pragma once

// process.h - processes that are not our children, told apart from later ones with their pid.

#include <kj/async-unix.h>
#include <kj/async.h>
#include <kj/io.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace leat::pools {

// Which process: a pid alone may belong to another one tomorrow.
struct ProcessStamp {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  std::string boot_id;            // empty: not known, taken for this boot

  friend bool operator==(const ProcessStamp&, const ProcessStamp&) = default;
};

// "PID START-TICKS [BOOT-ID]" and white space. Refused if it is anything else.
Result<ProcessStamp> parse_stamp(std::string_view text);

// The stamp in a file that a process wrote about itself; nothing if there is no such file. A file
// that makes no sense is refused: it proves nothing about any process.
Result<std::optional<ProcessStamp>> read_stamp(const std::string& path);

// Of the running system; empty if it cannot be told.
std::string current_boot_id();

// What /proc/PID/stat says; nothing if the process is dead, a zombie included.
std::optional<std::uint64_t> start_ticks_of(pid_t pid);

// A process held by pidfd. Borrows the port. Thread: the loop.
class Process {
 public:
  // Null if that very process is not alive.
  static std::unique_ptr<Process> find(kj::UnixEventPort& port, const ProcessStamp& stamp,
                                       const std::string& boot_id);

  Process(kj::UnixEventPort& port, kj::AutoCloseFd pidfd, pid_t pid);

  pid_t pid() const { return pid_; }
  bool alive() const;
  // Nothing happens to a process that is dead already.
  void signal(int number) const;
  // Resolves when it has ended, or when this object goes. May be asked for several times.
  kj::Promise<void> on_exit() { return exited_.addBranch(); }
  // Takes a child of ours that has ended off the system's hands. Its exit code, 128 + signal, or
  // nothing when it was not our child or is alive.
  std::optional<int> reap();

 private:
  kj::AutoCloseFd pidfd_;
  kj::UnixEventPort::FdObserver observer_;
  kj::ForkedPromise<void> exited_;
  pid_t pid_;
};

}  // namespace leat::pools
