#include "node-agent/warden/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEAT_SPAWN_SHARES_MEMORY 0
#elif defined(__x86_64__)
#define LEAT_SPAWN_SHARES_MEMORY 1
#else
#define LEAT_SPAWN_SHARES_MEMORY 0
#endif

namespace leat::warden {

// What parent and child both see, whether or not they share all their memory.
struct Spawner::Shared {
  volatile int step;
  volatile int error;
};

namespace {

// What the child needs besides the plan.
struct Childhood {
  const SpawnPlan* plan;
  const rlimit* files;
  int parent_pid;
  volatile int* step;
  volatile int* error;
};

[[noreturn]] void give_up(const Childhood& childhood, StartStep step) {
  *childhood.step = static_cast<int>(step);
  *childhood.error = errno;
  _exit(127);
}

// A FIFO or a device must not make the waiting parent wait for somebody else: open never blocks.
int open_stdin(const SpawnPlan& plan) {
  if (plan.stdin_path == nullptr) return plan.stdin_fd;
  const int fd = open(plan.stdin_path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return -1;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) return -1;
  return fd;
}

void bind_and_limit(const Childhood& childhood) {
  const SpawnPlan& plan = *childhood.plan;
  // While it shares memory with the warden, what it uses is charged to the warden, and the kernel
  // does not look for a victim among those in a vfork.
  for (const int fd : plan.procs_fds)
    if (fd >= 0 && write(fd, "0", 1) != 1) give_up(childhood, StartStep::kLimits);
  if (!plan.cpus.empty() &&
      syscall(SYS_sched_setaffinity, 0, sizeof plan.cpus.words, plan.cpus.words.data()) < 0)
    give_up(childhood, StartStep::kBinding);
  if (plan.nice != 0 && setpriority(PRIO_PROCESS, 0, plan.nice) != 0)
    give_up(childhood, StartStep::kBinding);
  const rlimit no_core{0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) give_up(childhood, StartStep::kLimits);
  if (setrlimit(RLIMIT_NOFILE, childhood.files) != 0) give_up(childhood, StartStep::kLimits);
}

// Runs in the child, perhaps in its parent's memory: only system calls from here on.
[[noreturn]] void be_child(const Childhood& childhood) {
  const SpawnPlan& plan = *childhood.plan;
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before that call, and then no signal will ever come.
  if (getppid() != childhood.parent_pid) _exit(127);
  bind_and_limit(childhood);
  if (plan.directory != nullptr && chdir(plan.directory) != 0)
    give_up(childhood, StartStep::kDirectory);
  const int stdin_fd = open_stdin(plan);
  if (stdin_fd < 0 || dup2(stdin_fd, 0) < 0) give_up(childhood, StartStep::kStdin);
  if (dup2(plan.stdout_fd, 1) < 0 || dup2(plan.stderr_fd, 2) < 0)
    give_up(childhood, StartStep::kPipes);
  // All of ours close by themselves already; this is for one that somebody forgets.
  syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(plan.program, plan.arguments, plan.environment);
  give_up(childhood, StartStep::kProgram);
}

#if LEAT_SPAWN_SHARES_MEMORY

void enter_child(void* childhood) {
  be_child(*static_cast<const Childhood*>(childhood));
}

// clone3 whose child calls entry(argument) on its own stack. glibc 2.36 does not offer it, and
// the child must not return into a frame that it shares with its parent.
long clone_into(clone_args& arguments, void (*entry)(void*), void* argument) {
  long result = SYS_clone3;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "movq %[argument], %%rdi\n\t"
      "callq *%[entry]\n\t"
      "hlt\n"
      "1:\n"
      : "+a"(result)
      : "D"(&arguments), "S"(sizeof arguments), [entry] "r"(entry), [argument] "r"(argument)
      : "rcx", "r11", "memory", "cc");
  return result;
}

#endif

}  // namespace

Spawner::Spawner(const rlimit& files) : files_(files), parent_pid_(getpid()) {
  // A guard page below the stack turns an overflow into a crash of the child alone.
  void* memory = mmap(nullptr, kStackBytes + 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
  void* shared =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  LEAT_CHECK(memory != MAP_FAILED && shared != MAP_FAILED);
  LEAT_CHECK(mprotect(memory, 4096, PROT_NONE) == 0);
  stack_ = static_cast<std::byte*>(memory);
  shared_ = static_cast<Shared*>(shared);
}

Spawner::~Spawner() {
  munmap(stack_, kStackBytes + 4096);
  munmap(shared_, sizeof(Shared));
}

Spawned Spawner::spawn(const SpawnPlan& plan) {
  shared_->step = 0;
  shared_->error = 0;
  Childhood childhood{&plan, &files_, parent_pid_, &shared_->step, &shared_->error};
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_VFORK | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (plan.cgroup_fd >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(plan.cgroup_fd);
  }
#if LEAT_SPAWN_SHARES_MEMORY
  arguments.flags |= CLONE_VM;
  arguments.stack = reinterpret_cast<std::uint64_t>(stack_ + 4096);
  arguments.stack_size = kStackBytes;
  const long pid = clone_into(arguments, &enter_child, &childhood);
#else
  // Instrumented code must not run on foreign stacks or in shared memory.
  long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) be_child(childhood);
  if (pid < 0) pid = -errno;
#endif
  Spawned spawned;
  if (pid < 0) {
    spawned.step = StartStep::kProcess;
    spawned.error = static_cast<int>(-pid);
    return spawned;
  }
  spawned.pid = static_cast<int>(pid);
  spawned.pidfd = Fd(pidfd);
  if (shared_->error != 0) {
    spawned.step = static_cast<StartStep>(shared_->step);
    spawned.error = shared_->error;
    siginfo_t unused;
    waitid(P_PIDFD, static_cast<id_t>(pidfd), &unused, WEXITED);
    spawned.pid = 0;
    spawned.pidfd.reset();
  }
  return spawned;
}

void take_over_signals() {
  sigset_t all;
  sigfillset(&all);
  LEAT_CHECK(sigprocmask(SIG_SETMASK, &all, nullptr) == 0);
  for (int signal_number = 1; signal_number < NSIG; ++signal_number)
    signal(signal_number, SIG_DFL);  // fails for KILL, STOP and two of the C library's own
}

}  // namespace leat::warden
