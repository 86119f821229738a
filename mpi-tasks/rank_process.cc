#include "mpi-tasks/rank_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEAT_SPAWN_SHARES_MEMORY 0
#else
#define LEAT_SPAWN_SHARES_MEMORY 1
#endif

namespace leat::mpi {
namespace {

constexpr std::size_t kStackBytes = 64u << 10;
constexpr int kAbandonedRoundsMax = 100;

// What the child needs, made beforehand: between clone and exec it may only make system calls.
struct Childhood {
  const char* program;
  const char* directory;
  char* const* arguments;
  char* const* environment;
  const std::array<unsigned long, kCpusMax / (8 * sizeof(unsigned long))>* cpus;  // null: unbound
  int null_fd;
  int stdout_fd;
  int stderr_fd;
  int pmi_fd;
  int parent_pid;
  const rlimit* files;
  // Where the child says what failed; shared whether or not the rest of the memory is.
  volatile int* step;
  volatile int* error;
};

enum Step : int { kNone, kBinding, kDirectory, kDescriptors, kProgram };

[[noreturn]] void give_up(const Childhood& childhood, Step step) {
  *childhood.step = step;
  *childhood.error = errno;
  _exit(kExitNotFound);
}

void reset_signals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  // KJ ignores SIGPIPE, and what is ignored survives exec.
  for (const int signal : {SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2})
    sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void be_child(const Childhood& childhood) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before that call, and then no signal will ever come.
  if (getppid() != childhood.parent_pid) _exit(kExitNotFound);
  if (childhood.cpus != nullptr &&
      syscall(SYS_sched_setaffinity, 0, sizeof *childhood.cpus, childhood.cpus->data()) < 0)
    give_up(childhood, kBinding);
  if (setrlimit(RLIMIT_NOFILE, childhood.files) != 0) give_up(childhood, kDescriptors);
  if (chdir(childhood.directory) != 0) give_up(childhood, kDirectory);
  if (dup2(childhood.null_fd, 0) < 0 || dup2(childhood.stdout_fd, 1) < 0 ||
      dup2(childhood.stderr_fd, 2) < 0)
    give_up(childhood, kDescriptors);
  syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
  // To itself dup2 does nothing, and leaves that mark.
  if (childhood.pmi_fd == kPmiFd ? fcntl(kPmiFd, F_SETFD, 0) < 0
                                 : childhood.pmi_fd >= 0 && dup2(childhood.pmi_fd, kPmiFd) < 0)
    give_up(childhood, kDescriptors);
  reset_signals();
  execve(childhood.program, childhood.arguments, childhood.environment);
  give_up(childhood, kProgram);
}

#if LEAT_SPAWN_SHARES_MEMORY
int enter_child(void* childhood) {
  be_child(*static_cast<const Childhood*>(childhood));
}
#endif

// The new process's id, or the negative error.
int clone_child(Childhood& childhood, std::byte* stack, int& pidfd) {
#if LEAT_SPAWN_SHARES_MEMORY
  const int pid = clone(&enter_child, stack + kStackBytes,
                        CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &childhood, &pidfd);
  return pid < 0 ? -errno : pid;
#else
  // Instrumented code must not run on foreign stacks or in shared memory.
  (void)stack;
  clone_args arguments{};
  arguments.flags = CLONE_VFORK | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) be_child(childhood);
  return pid < 0 ? -errno : static_cast<int>(pid);
#endif
}

// Memory for a child: its stack, and a page through which it says what failed.
class ChildMemory {
 public:
  ChildMemory() {
    void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    void* shared =
        mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LEAT_CHECK(memory != MAP_FAILED && shared != MAP_FAILED);
    stack = static_cast<std::byte*>(memory);
    words = static_cast<volatile int*>(shared);
  }
  ~ChildMemory() {
    munmap(stack, kStackBytes);
    munmap(const_cast<int*>(words), kSharedBytes);
  }
  ChildMemory(const ChildMemory&) = delete;
  ChildMemory& operator=(const ChildMemory&) = delete;

  std::byte* stack = nullptr;
  volatile int* words = nullptr;

 private:
  static constexpr std::size_t kSharedBytes = 4096;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

NotStarted not_started(const RankPlan& plan, int step, int error) {
  const int code =
      step == kProgram && error != ENOENT && error != ENOTDIR ? kExitNotExecutable : kExitNotFound;
  const std::string why = std::strerror(error);
  switch (step) {
    case kProgram:
      return {code, plan.program + ": cannot be started: " + why};
    case kDirectory:
      return {code, plan.directory + ": ranks cannot start there: " + why};
    case kBinding:
      return {kExitNotExecutable, "a rank cannot be bound to its CPUs: " + why};
    default:
      return {kExitNotExecutable, "no process for a rank: " + why};
  }
}

}  // namespace

std::variant<RankProcess, NotStarted> start_rank(const RankPlan& plan) {
  const std::vector<char*> arguments = pointers(plan.arguments);
  const std::vector<char*> environment = pointers(plan.environment);
  std::array<unsigned long, kCpusMax / (8 * sizeof(unsigned long))> cpus{};
  constexpr std::size_t kBits = 8 * sizeof(unsigned long);
  for (const std::uint16_t cpu : plan.cpus) cpus[cpu / kBits] |= 1ul << (cpu % kBits);
  const kj::AutoCloseFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const ChildMemory memory;
  Childhood childhood{plan.program.c_str(),
                      plan.directory.c_str(),
                      arguments.data(),
                      environment.data(),
                      plan.cpus.empty() ? nullptr : &cpus,
                      null.get(),
                      plan.stdout_fd,
                      plan.stderr_fd,
                      plan.pmi_fd,
                      getpid(),
                      &plan.files,
                      memory.words,
                      memory.words + 1};
  int pidfd = -1;
  const int pid = clone_child(childhood, memory.stack, pidfd);
  if (pid < 0) return not_started(plan, kNone, -pid);
  RankProcess process{pid, kj::AutoCloseFd(pidfd)};
  if (*childhood.error == 0) return process;
  siginfo_t unused;
  waitid(P_PIDFD, static_cast<id_t>(pidfd), &unused, WEXITED);
  return not_started(plan, *childhood.step, *childhood.error);
}

std::variant<std::string, NotStarted> find_program(const std::string& program,
                                                   const std::string& directory,
                                                   std::string_view path) {
  const bool as_it_stands = program.find('/') != std::string::npos;
  NotStarted nothing{kExitNotFound, program + ": program not found"};
  if (path.empty()) path = "/usr/local/bin:/usr/bin:/bin";
  while (true) {
    const std::size_t colon = as_it_stands ? std::string_view::npos : path.find(':');
    const std::filesystem::path folder(as_it_stands ? "" : path.substr(0, colon));
    // An absolute right side replaces the left one.
    const std::string candidate = std::filesystem::path(directory) / folder / program;
    struct stat status {};
    if (stat(candidate.c_str(), &status) == 0) {
      if (S_ISREG(status.st_mode) && access(candidate.c_str(), X_OK) == 0) return candidate;
      nothing = {kExitNotExecutable, candidate + ": is not an executable file"};
    }
    if (colon == std::string_view::npos) return nothing;
    path.remove_prefix(colon + 1);
  }
}

std::vector<std::uint16_t> cpus_of(int pid) {
  constexpr std::size_t kBitsPerWord = 8 * sizeof(unsigned long);
  std::array<unsigned long, kCpusMax / kBitsPerWord> words{};
  std::vector<std::uint16_t> cpus;
  if (syscall(SYS_sched_getaffinity, pid, sizeof words, words.data()) < 0) return cpus;
  for (std::uint16_t cpu = 0; cpu < kCpusMax; ++cpu)
    if ((words[cpu / kBitsPerWord] >> (cpu % kBitsPerWord) & 1) != 0) cpus.push_back(cpu);
  return cpus;
}

RankExit reap(const RankProcess& process) {
  siginfo_t info{};
  LEAT_CHECK(waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED) == 0);
  return {info.si_status, info.si_code != CLD_EXITED};
}

void end_abandoned() {
  const std::string tasks = "/proc/self/task";
  for (int round = 0; round < kAbandonedRoundsMax; ++round) {
    std::vector<pid_t> children;
    std::error_code ignored;
    for (const auto& task : std::filesystem::directory_iterator(tasks, ignored)) {
      std::ifstream list(task.path() / "children");
      for (pid_t pid = 0; list >> pid;) children.push_back(pid);
    }
    if (children.empty()) return;
    for (const pid_t pid : children) kill(pid, SIGKILL);
    for (const pid_t pid : children) waitpid(pid, nullptr, 0);
  }
}

}  // namespace leat::mpi
