#include "pools/detached_program.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace leat::pools {
namespace {

constexpr std::size_t kStatBytesMax = 1024;

// What failed in the child, if anything did.
enum class Step : int { kParent, kLog, kStamp, kProgram };

struct Failure {
  Step step;
  int error;
};

// Everything the child needs, made before the fork: between fork and exec it may not allocate.
struct Prepared {
  std::vector<char*> argv;
  std::vector<char*> environment;
  const char* log_path;
  const char* stamp_path;
  std::string stamp_fresh_path;
  std::string boot_id;  // with a space before and a line end behind
  pid_t parent;
  int failure_fd;
};

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void give_up(const Prepared& prepared, Step step) {
  const Failure failure{step, errno};
  (void)!::write(prepared.failure_fd, &failure, sizeof failure);
  ::_exit(127);
}

bool write_all(int fd, const char* bytes, std::size_t size) {
  return ::write(fd, bytes, size) == static_cast<ssize_t>(size);
}

// "PID START BOOT" about the calling process, copied out of its own stat file: a program keeps
// both over exec.
bool write_stamp(const Prepared& prepared) {
  char stat[kStatBytesMax];
  const int stat_fd = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  const ssize_t size = ::read(stat_fd, stat, sizeof stat - 1);
  ::close(stat_fd);
  if (size <= 0) return false;
  stat[size] = '\0';
  const char* const bracket = std::strrchr(stat, ')');
  const char* const pid_end = std::strchr(stat, ' ');
  if (bracket == nullptr || pid_end == nullptr) return false;
  const char* start = bracket + 1;  // at the space before field 3
  for (int field = 3; field < 22 && start != nullptr; ++field) start = std::strchr(start + 1, ' ');
  const char* const end = start == nullptr ? nullptr : std::strchr(start + 1, ' ');
  if (end == nullptr) return false;

  const int fd = ::open(prepared.stamp_fresh_path.c_str(),
                        O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool written = write_all(fd, stat, static_cast<std::size_t>(pid_end - stat)) &&
                       write_all(fd, start, static_cast<std::size_t>(end - start)) &&
                       write_all(fd, prepared.boot_id.data(), prepared.boot_id.size()) &&
                       ::fsync(fd) == 0;
  ::close(fd);
  return written && ::rename(prepared.stamp_fresh_path.c_str(), prepared.stamp_path) == 0;
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(const Prepared& prepared) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != prepared.parent) ::_exit(127);
  ::umask(077);
  ::setsid();
  const int null_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log_fd =
      ::open(prepared.log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (null_fd < 0 || log_fd < 0 || ::dup2(null_fd, 0) < 0 || ::dup2(log_fd, 1) < 0 ||
      ::dup2(log_fd, 2) < 0 || ::chdir("/") != 0)
    give_up(prepared, Step::kLog);
  if (!write_stamp(prepared)) give_up(prepared, Step::kStamp);
  reset_signals();
  ::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
  // The stamp is there: from now on whoever comes after us finds the process.
  ::prctl(PR_SET_PDEATHSIG, 0);
  ::execve(prepared.argv[0], prepared.argv.data(), prepared.environment.data());
  ::unlink(prepared.stamp_path);
  give_up(prepared, Step::kProgram);
}

Refusal refusal_of(const Failure& failure, const DetachedProgram& program) {
  const std::string why = std::string(": ") + std::strerror(failure.error);
  switch (failure.step) {
    case Step::kLog:
      return invalid("cannot open " + program.log_path + why);
    case Step::kStamp:
      return invalid("cannot write " + program.stamp_path + why);
    case Step::kProgram:
      return invalid("cannot start " + program.argv[0] + why);
    case Step::kParent:
      break;
  }
  return {Reason::kOverloaded, "cannot start a process" + why};
}

}  // namespace

Result<std::unique_ptr<Process>> start_detached(kj::UnixEventPort& port,
                                                const DetachedProgram& program) {
  LEAT_CHECK(!program.argv.empty());
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return refusal_of({Step::kParent, errno}, program);
  const kj::AutoCloseFd read_end(pipe_fds[0]);
  kj::AutoCloseFd write_end(pipe_fds[1]);
  const Prepared prepared{pointers_to(program.argv),
                          pointers_to(program.environment),
                          program.log_path.c_str(),
                          program.stamp_path.c_str(),
                          program.stamp_path + ".new",
                          " " + program.boot_id + "\n",
                          ::getpid(),
                          write_end.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return refusal_of({Step::kParent, errno}, program);
  if (pid == 0) run_child(prepared);

  write_end = nullptr;
  Failure failure{Step::kParent, 0};
  ssize_t size = 0;
  do {
    size = ::read(read_end.get(), &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  if (size != 0) {
    ::waitpid(pid, nullptr, 0);
    return refusal_of(failure, program);
  }
  // It is our child and not reaped, so its pid is still its own.
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    const int error = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return refusal_of({Step::kParent, error}, program);
  }
  return std::make_unique<Process>(port, kj::AutoCloseFd(pidfd), pid);
}

}  // namespace leat::pools
