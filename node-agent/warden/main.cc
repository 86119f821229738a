// main.cc - leat-warden: takes hold of a node directory and serves it.

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "node-agent/warden/warden.h"

namespace leat::warden {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitBusy = 3;  // another warden holds the directory
constexpr std::size_t kTokenBytes = 32;
constexpr off_t kLogBytesMax = 1 << 20;
// Left-over processes: 190 looks, 10 ms apart, stay within the 2 s they may live.
constexpr int kLeftOverRoundsMax = 190;
constexpr unsigned kLeftOverPauseUs = 10'000;

constexpr std::string_view kUsage =
    "usage: leat-warden --dir DIR [--foreground] [--plain]\n"
    "Holds the tasks of the node whose directory is DIR. Started by leat-agent; returns once it\n"
    "serves in the background. --plain: makes no cgroups, so it keeps no memory limits.\n"
    "Example: leat-warden --dir /var/tmp/leat/node-1\n";

std::int64_t read_clock(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000;
}

[[noreturn]] void die(int code, const std::string& what) {
  const std::string line = "leat-warden: " + what + "\n";
  if (write(2, line.data(), line.size()) < 0) _exit(code);
  _exit(code);
}

[[noreturn]] void die_of_errno(const std::string& what) {
  die(kExitFailed, what + ": " + std::strerror(errno));
}

// Enters the node directory, if it is one and nobody else can write to it.
void enter(const std::string& directory) {
  const Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0)
    die(kExitUsage, directory + ": " + std::strerror(errno));
  if (status.st_uid != geteuid()) die(kExitUsage, directory + ": belongs to somebody else");
  if ((status.st_mode & 077) != 0) die(kExitUsage, directory + ": mode must be 0700");
  if (fchdir(fd.get()) != 0) die_of_errno(directory);
}

Fd open_own(const char* name, int flags) {
  Fd fd(open(name, flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) die_of_errno(name);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
    die(kExitUsage, std::string(name) + ": must be a file of ours with mode 0600");
  return fd;
}

Fd lock_directory() {
  Fd fd = open_own("warden.lock", O_RDWR);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd.get(), F_OFD_SETLK, &lock) == 0) return fd;
  if (errno == EAGAIN || errno == EACCES) die(kExitBusy, "another warden serves this directory");
  die_of_errno("warden.lock");
}

std::string read_token() {
  const Fd fd(open("node.token", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) die(kExitUsage, "node.token: cannot be read");
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
    die(kExitUsage, "node.token: must be a file of ours with mode 0600");
  std::array<char, kTokenBytes + 1> text{};
  const ssize_t got = read(fd.get(), text.data(), text.size());
  std::string token(text.data(), static_cast<std::size_t>(got < 0 ? 0 : got));
  if (!token.empty() && token.back() == '\n') token.pop_back();
  if (token.size() != kTokenBytes ||
      token.find_first_not_of("0123456789abcdef") != std::string::npos)
    die(kExitUsage, "node.token: must be 32 hexadecimal digits");
  return token;
}

// Goes on in a child of its own session. The caller's process stays behind until the child says
// through the returned descriptor that it serves, and then exits.
Fd go_to_background() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) die_of_errno("pipe");
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  const pid_t child = fork();
  if (child < 0) die_of_errno("fork");
  if (child == 0) {
    setsid();
    return writer;
  }
  writer.reset();
  char ready = 0;
  if (read(reader.get(), &ready, 1) == 1) _exit(0);
  int status = 0;
  waitpid(child, &status, 0);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailed);
}

void log_to_file() {
  Fd log = open_own("warden.log", O_WRONLY | O_APPEND);
  struct stat status {};
  if (fstat(log.get(), &status) == 0 && status.st_size > kLogBytesMax &&
      ftruncate(log.get(), 0) != 0)
    die_of_errno("warden.log");
  if (dup2(log.get(), 1) < 0 || dup2(log.get(), 2) < 0) die_of_errno("warden.log");
}

Fd listen_at(const char* name) {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, name, sizeof address.sun_path - 1);
  unlink(name);  // we hold the lock: whoever made it is dead
  const auto* bound = reinterpret_cast<const sockaddr*>(&address);
  if (!socket || bind(socket.get(), bound, sizeof address) != 0 || chmod(name, 0600) != 0 ||
      listen(socket.get(), 16) != 0)
    die_of_errno(name);
  return socket;
}

// "PID START-TICKS": the second tells this process from a later one with its pid.
void write_pid_file() {
  const auto self = read_process(getpid());
  const std::string text =
      std::to_string(getpid()) + " " + std::to_string(self ? self->start_ticks : 0) + "\n";
  const Fd file = open_own("warden.pid.new", O_WRONLY | O_TRUNC);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      rename("warden.pid.new", "warden.pid") != 0)
    die_of_errno("warden.pid");
}

// Lets us hold many pipes; returns what tasks shall have.
rlimit raise_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) die_of_errno("getrlimit");
  rlimit raised = files;
  raised.rlim_cur = raised.rlim_max;
  setrlimit(RLIMIT_NOFILE, &raised);
  return files;
}

Fd open_spool() {
  if (mkdir("spool", 0700) != 0 && errno != EEXIST) die_of_errno("spool");
  Fd spool(open("spool", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!spool || fstat(spool.get(), &status) != 0) die_of_errno("spool");
  if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
    die(kExitUsage, "spool: must be a directory of ours with mode 0700");
  return spool;
}

struct Arguments {
  std::string directory;
  bool foreground = false;
  bool plain = false;
};

Arguments parse(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view value = values[i];
    if (value == "--dir" && i + 1 < count) {
      arguments.directory = values[++i];
    } else if (value == "--foreground") {
      arguments.foreground = true;
    } else if (value == "--plain") {
      arguments.plain = true;
    } else if (value == "--help") {
      std::fputs(kUsage.data(), stdout);
      std::exit(0);
    } else {
      die(kExitUsage, "unknown argument '" + std::string(value) + "' (--help shows the usage)");
    }
  }
  if (arguments.directory.empty()) die(kExitUsage, "--dir DIR is missing");
  return arguments;
}

void serve(const Arguments& arguments) {
  enter(arguments.directory);
  const std::string token = read_token();
  const Fd lock = lock_directory();
  Fd ready;
  if (!arguments.foreground) ready = go_to_background();
  take_over_signals();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_DUMPABLE, 0);  // tasks are of our user: they shall not be able to trace us
  kill_left_overs(token, kLeftOverRoundsMax, kLeftOverPauseUs);

  WardenOptions options;
  options.runs.files = raise_file_limit();
  const Fd spool = open_spool();
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null || dup2(null.get(), 0) < 0) die_of_errno("/dev/null");
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  options.terminate = Fd(signalfd(-1, &terminate, SFD_CLOEXEC | SFD_NONBLOCK));
  options.epoll = Fd(epoll_create1(EPOLL_CLOEXEC));
  if (!options.terminate || !options.epoll) die_of_errno("epoll");
  options.lock_fd = lock.get();
  options.runs.epoll_fd = options.epoll.get();
  options.runs.spool_fd = spool.get();
  options.runs.null_fd = null.get();
  options.runs.node_token = token;
  if (!arguments.plain) options.runs.cgroups = own_places();
  options.runs.clock.monotonic_us = [] { return read_clock(CLOCK_MONOTONIC); };
  options.runs.clock.wall_us = [] { return read_clock(CLOCK_REALTIME); };
  write_pid_file();
  options.listener = listen_at("warden.sock");
  Warden warden(std::move(options));
  if (ready) {
    log_to_file();
    if (write(ready.get(), "+", 1) != 1) die_of_errno("ready");
    ready.reset();
  }
  warden.run();
  unlink("warden.sock");
  unlink("warden.pid");
}

}  // namespace
}  // namespace leat::warden

// NOLINTNEXTLINE(bugprone-exception-escape): what is thrown is out of memory, and ends it
int main(int count, char** values) {
  // Nothing of the agent's, sockets least of all, may live on in us or in a task.
  syscall(SYS_close_range, 3u, ~0u, 0u);
  // Descriptors 0 to 2 are taken, or ours would land there and be taken for a task's.
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return 1;
  leat::warden::serve(leat::warden::parse(count, values));
  return 0;
}
