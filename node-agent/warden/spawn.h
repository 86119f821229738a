#pragma once

// spawn.h - one new process, as cheaply as Linux makes them.

#include <sys/resource.h>

#include <array>
#include <cstddef>

#include "node-agent/warden/fd.h"
#include "node-agent/warden/records.h"

namespace leat::warden {

// What the new process is to be. Everything is borrowed for the length of the call.
struct SpawnPlan {
  const char* program = nullptr;  // a path; relative: to `directory`
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;   // null: where the caller is
  const char* stdin_path = nullptr;  // null: `stdin_fd`
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  CpuMask cpus;  // empty: the caller's
  int nice = 0;
  int cgroup_fd = -1;                    // a directory of cgroup version 2 to be born in
  std::array<int, 2> procs_fds{-1, -1};  // cgroup.procs of version 1 to write itself into
};

// Either a process, or the step that failed and why. Of a process that failed nothing is left.
struct Spawned {
  int pid = 0;
  Fd pidfd;
  StartStep step = StartStep::kNone;
  int error = 0;

  bool ok() const { return error == 0; }
};

// Starts processes that die with the calling thread, lead a session of their own, and have
// descriptors 0, 1, 2 and no other, no core files, default signal handling and the given limit of
// open files.
//
// The parent waits until the program is loaded, so it must be a small process that may wait.
//
// Owns: the child's stack and a word through which the child says what failed.
// Thread: one. Precondition: all signals are blocked for good, and none is ignored.
class Spawner {
 public:
  // `files` is the limit on open files that tasks get, whatever the caller's own is by now.
  explicit Spawner(const rlimit& files);
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  Spawned spawn(const SpawnPlan& plan);

 private:
  struct Shared;

  static constexpr std::size_t kStackBytes = 64u << 10;

  rlimit files_;
  int parent_pid_;
  std::byte* stack_ = nullptr;
  Shared* shared_ = nullptr;
};

// Blocks every signal and makes each one's disposition the default, so that tasks inherit nothing
// odd from whoever started us. Called once, before the first Spawner.
void take_over_signals();

}  // namespace leat::warden
