// spawn_loop.cc - how fast this machine starts and reaps processes with nothing around it.
//
// spawn_loop N PROGRAM [ARGUMENT]...: runs PROGRAM N times, two at a time, by the warden's own
// spawn call and with its output thrown away; prints tasks per second and the CPU time of this
// process alone. It is the peer that the whole of Leat is measured against.

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "node-agent/warden/program_path.h"
#include "node-agent/warden/spawn.h"

namespace {

constexpr std::size_t kConcurrent = 2;

double seconds_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int count, char** values) {
  const long tasks = count < 3 ? 0 : std::atol(values[1]);
  if (tasks <= 0) {
    std::fputs("usage: spawn_loop N PROGRAM [ARGUMENT]...\n", stderr);
    return 2;
  }
  const leat::warden::ProgramPath program = leat::warden::find_program(values[2], environ, "");
  leat::warden::take_over_signals();
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  leat::warden::Spawner spawner(files);
  const leat::warden::Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  leat::warden::SpawnPlan plan;
  plan.program = program.path.c_str();
  plan.arguments = values + 2;
  plan.environment = environ;
  plan.stdin_fd = plan.stdout_fd = plan.stderr_fd = null.get();

  std::array<leat::warden::Fd, kConcurrent> running;
  std::array<pollfd, kConcurrent> waited{};
  long started = 0;
  long failed = 0;
  const double before = seconds_now();
  for (long reaped = 0; reaped < tasks;) {
    for (std::size_t i = 0; i < kConcurrent; ++i) {
      if (!running[i] && started < tasks) {
        leat::warden::Spawned spawned = spawner.spawn(plan);
        if (!spawned.ok()) {
          std::fprintf(stderr, "spawn_loop: %s: errno %d\n", values[2], spawned.error);
          return 1;
        }
        running[i] = std::move(spawned.pidfd);
        ++started;
      }
      waited[i] = {running[i].get(), POLLIN, 0};
    }
    if (poll(waited.data(), kConcurrent, -1) < 0) return 1;
    for (std::size_t i = 0; i < kConcurrent; ++i) {
      if (waited[i].fd < 0 || waited[i].revents == 0) continue;
      siginfo_t info{};
      rusage usage{};
      if (syscall(SYS_waitid, P_PIDFD, running[i].get(), &info, WEXITED, &usage) != 0) return 1;
      if (info.si_code != CLD_EXITED || info.si_status != 0) ++failed;
      running[i].reset();
      ++reaped;
    }
  }
  const double seconds = seconds_now() - before;
  std::printf("%.0f tasks/s, %.1f us own CPU per task, %ld failed\n",
              static_cast<double>(tasks) / seconds,
              own_cpu_seconds() * 1e6 / static_cast<double>(tasks), failed);
  return 0;
}
