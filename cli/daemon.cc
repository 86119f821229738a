#include "cli/daemon.h"

#include <fcntl.h>
#include <kj/async-unix.h>
#include <kj/debug.h>
#include <kj/io.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "cli/program_check.h"
#include "transport/liveness.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

constexpr int kReadyFd = 3;
constexpr std::uint64_t kReadyLineMax = 4096;
constexpr Duration kExitDeadline = std::chrono::seconds(5);

kj::AutoCloseFd open_log(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail(ExitCode::kUsage, path + ": " + std::strerror(errno));
  return kj::AutoCloseFd(fd);
}

// What posix_spawn wants: pointers to strings, and a null at the end.
std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

pid_t spawn(const Surroundings& surroundings, const std::string& program,
            std::vector<std::string> arguments, int log_fd, int ready_fd) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, log_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, log_fd, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ready_fd, kReadyFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, kReadyFd + 1);
  posix_spawn_file_actions_addchdir_np(&actions, "/");

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> environment = surroundings.environment;
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.c_str(), &actions, &attributes,
                                  pointers(arguments).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(ExitCode::kUsage, program + ": " + std::strerror(error));
  return pid;
}

// The exit code of our child; kUnreachable if it has none.
ExitCode exit_code_of_child(Shell& shell, pid_t pid) {
  if (!ProcessHandle(pid).wait_for_end(shell, kExitDeadline)) return ExitCode::kUnreachable;
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return ExitCode::kUnreachable;
  const int code = WEXITSTATUS(status);
  const bool ours =
      code == static_cast<int>(ExitCode::kUsage) || code == static_cast<int>(ExitCode::kRefused);
  return ours ? static_cast<ExitCode>(code) : ExitCode::kUnreachable;
}

// "leat-scheduler: WHY\n" without what main.cc puts in front again.
std::string complaint_of(std::string text, const std::string& program) {
  text = text.substr(0, text.find('\n'));
  const std::string prefix = program.substr(program.rfind('/') + 1) + ": ";
  return text.rfind(prefix, 0) == 0 ? text.substr(prefix.size()) : text;
}

}  // namespace

std::string find_program(const Surroundings& surroundings, std::string_view name) {
  const std::string& self = surroundings.program_path;
  const std::string beside = self.substr(0, self.rfind('/') + 1).append(name);
  if (is_executable_file(beside)) return beside;
  const std::string found =
      find_in_path(std::string(name), surroundings.variable("PATH"), surroundings.directory);
  if (found.empty())
    fail(ExitCode::kUsage,
         std::string(name) + " is neither next to leat nor in PATH: install it there");
  return found;
}

pid_t start_daemon(Shell& shell, const DaemonOrder& order) {
  const kj::AutoCloseFd log = open_log(order.log_path);
  int ends[2];
  KJ_SYSCALL(::pipe2(ends, O_CLOEXEC));
  kj::AutoCloseFd ready_write(ends[1]);
  kj::Own<kj::AsyncInputStream> ready = shell.io.lowLevelProvider->wrapInputFd(
      ends[0],
      kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP | kj::LowLevelAsyncIoProvider::ALREADY_CLOEXEC);
  std::vector<std::string> arguments{order.program};
  arguments.insert(arguments.end(), order.arguments.begin(), order.arguments.end());
  arguments.insert(arguments.end(), {"--ready-fd", std::to_string(kReadyFd)});
  const pid_t pid =
      spawn(shell.surroundings, order.program, std::move(arguments), log, ready_write);
  ready_write = nullptr;

  std::string line;
  const kj::Maybe<kj::Exception> late = kj::runCatchingExceptions([&] {
    line = shell.io.provider->getTimer()
               .timeoutAfter(transport::to_kj(order.deadline), ready->readAllText(kReadyLineMax))
               .wait(shell.io.waitScope)
               .cStr();
  });
  const std::string see = ": see " + order.log_path;
  if (late != nullptr)
    fail(ExitCode::kTimedOut, order.subject + " (process " + std::to_string(pid) +
                                  ") is not ready within " +
                                  std::to_string(order.deadline.count() / 1'000'000) + " s" + see);
  line = complaint_of(line, order.program);
  if (line == "ready") return pid;
  const ExitCode code = exit_code_of_child(shell, pid);
  fail(code, line.empty() ? order.subject + " ended before it was ready" + see : line);
}

void exec_program(const Surroundings& surroundings, const std::string& program,
                  std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program);
  std::vector<std::string> environment = surroundings.environment;
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::signal(SIGPIPE, SIG_DFL);
  ::execve(program.c_str(), pointers(arguments).data(), pointers(environment).data());
  fail(ExitCode::kUsage, program + ": " + std::strerror(errno));
}

void start_head(Shell& shell, const std::string& listen) {
  DaemonOrder order;
  order.program = find_program(shell.surroundings, "leat-scheduler");
  order.arguments = {"--home", shell.home.path};
  if (!listen.empty()) order.arguments.insert(order.arguments.end(), {"--bind", listen});
  (void)value_or_fail(transport::ensure_private_directory(shell.home.logs()));
  order.log_path = shell.home.logs() + "/leat-scheduler.log";
  order.deadline = kReadyDeadline;
  order.subject = "the head";
  start_daemon(shell, order);
}

ProcessHandle::ProcessHandle(pid_t pid) : fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {
  if (fd_ < 0 && errno != ESRCH) KJ_FAIL_SYSCALL("pidfd_open", errno, pid);
}

ProcessHandle::~ProcessHandle() {
  if (fd_ >= 0) ::close(fd_);
}

bool ProcessHandle::wait_for_end(Shell& shell, Duration deadline) {
  if (fd_ < 0) return true;
  kj::UnixEventPort::FdObserver observer(shell.io.unixEventPort, fd_,
                                         kj::UnixEventPort::FdObserver::OBSERVE_READ);
  return observer.whenBecomesReadable()
      .then([] { return true; })
      .exclusiveJoin(shell.io.provider->getTimer().afterDelay(transport::to_kj(deadline)).then([] {
        return false;
      }))
      .wait(shell.io.waitScope);
}

}  // namespace leat::cli
