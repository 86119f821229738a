// main.cc - leat-scheduler: flags, clocks and signals; the parts are in head.cc.

#include <fcntl.h>
#include <getopt.h>
#include <kj/async-unix.h>
#include <kj/debug.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>

#include "scheduler/head.h"

namespace leat::scheduler {
namespace {

constexpr char kVersion[] = "0.1.0";
constexpr int kExitFailed = 1;
constexpr int kExitBadInput = 2;
constexpr int kExitRefused = 4;
// Log lines in one second; further ones are counted and summed up.
constexpr int kLinesPerSecond = 100;

constexpr char kUsage[] =
    "usage: leat-scheduler --home HOME [--bind ADDRESS] [--ready-fd N] [--mock-agents]\n"
    "The head of a Leat cluster. HOME holds its store, certificates and sockets.\n"
    "  --bind ADDRESS   numeric address of the ports for agents (default: that of the head's\n"
    "                   earlier life here, else 127.0.0.1)\n"
    "  --ready-fd N     writes \"ready\" or one line why not to this descriptor, then closes it\n"
    "  --mock-agents    nodes answer runs without processes, for benchmarks\n"
    "Usually started by: leat up\n"
    "Example: leat-scheduler --home /var/tmp/leat-1000\n";

std::int64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

// Writes lines to standard error, not too many of them, nothing that could confuse a terminal.
class LogWriter {
 public:
  void write(std::string_view line) {
    const std::int64_t now = read_clock(CLOCK_REALTIME);
    if (const std::int64_t second = now / 1'000'000; second != second_) {
      if (lines_ > kLinesPerSecond)
        std::fprintf(stderr, "leat-scheduler: %d more lines left out\n", lines_ - kLinesPerSecond);
      second_ = second;
      lines_ = 0;
    }
    if (++lines_ > kLinesPerSecond) return;
    std::string clean(line);
    for (char& c : clean)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    std::tm parts{};
    const std::time_t seconds = second_;
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> stamp{};
    std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::fprintf(stderr, "%s.%03dZ leat-scheduler: %s\n", stamp.data(),
                 static_cast<int>(now / 1'000 % 1'000), clean.c_str());
  }

 private:
  std::int64_t second_ = 0;
  int lines_ = 0;
};

struct Options {
  std::string home;
  std::string bind;
  int ready_fd = -1;
  bool mock_agents = false;
  bool help = false;
};

Result<Options> read_options(int argc, char** argv) {
  static constexpr struct option kOptions[] = {{"home", required_argument, nullptr, 'h'},
                                               {"bind", required_argument, nullptr, 'b'},
                                               {"ready-fd", required_argument, nullptr, 'r'},
                                               {"mock-agents", no_argument, nullptr, 'm'},
                                               {"help", no_argument, nullptr, 'H'},
                                               {"version", no_argument, nullptr, 'V'},
                                               {nullptr, 0, nullptr, 0}};
  Options options;
  opterr = 0;
  for (int key; (key = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    const std::string_view value = optarg == nullptr ? "" : optarg;
    switch (key) {
      case 'h':
        options.home = value;
        break;
      case 'b':
        options.bind = value;
        break;
      case 'r': {
        const auto parsed =
            std::from_chars(value.data(), value.data() + value.size(), options.ready_fd);
        if (parsed.ec != std::errc() || options.ready_fd < 3)
          return invalid("--ready-fd is the number of an inherited descriptor, 3 or more");
        break;
      }
      case 'm':
        options.mock_agents = true;
        break;
      case 'H':
        options.help = true;
        break;
      case 'V':
        std::printf("leat-scheduler %s\n", kVersion);
        std::exit(0);
      default:
        return invalid(std::string("unknown or incomplete option ") + argv[optind - 1]);
    }
  }
  if (optind < argc) return invalid(std::string("unexpected argument ") + argv[optind]);
  if (options.home.empty() && !options.help) return invalid("--home is missing; see --help");
  return options;
}

// One line to whoever started us, and the end of the pipe.
void tell(int ready_fd, const std::string& line) {
  if (ready_fd < 0) return;
  const std::string text = line + "\n";
  (void)!::write(ready_fd, text.data(), text.size());
  ::close(ready_fd);
}

int refuse(int ready_fd, const Refusal& refusal) {
  std::fprintf(stderr, "leat-scheduler: %s\n", refusal.message.c_str());
  tell(ready_fd, "leat-scheduler: " + refusal.message);
  const bool refused =
      refusal.reason == Reason::kConflict || refusal.reason == Reason::kNotInThisVersion;
  return refused ? kExitRefused : kExitBadInput;
}

// Closed to other users and debuggers, with room for many connections.
void settle_in(int ready_fd) {
  ::umask(077);
  ::prctl(PR_SET_DUMPABLE, 0);
  if (ready_fd >= 0) ::fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
  struct rlimit files {};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  // SIGHUP of a closing terminal is not meant for us.
  std::signal(SIGHUP, SIG_IGN);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

int serve(const Options& options, LogWriter& writer) {
  kj::UnixEventPort::captureSignal(SIGTERM);
  kj::UnixEventPort::captureSignal(SIGINT);
  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::Promise<void> signalled = io.unixEventPort.onSignal(SIGTERM)
                                    .exclusiveJoin(io.unixEventPort.onSignal(SIGINT))
                                    .ignoreResult();
  const auto log = [&writer](std::string_view line) { writer.write(line); };
  Instruments instruments{.wall_us = [] { return read_clock(CLOCK_REALTIME); },
                          .monotonic = [] { return Duration(read_clock(CLOCK_BOOTTIME)); },
                          .new_secret = transport::new_secret,
                          .random = Random(static_cast<std::uint64_t>(read_clock(CLOCK_REALTIME)) ^
                                           (static_cast<std::uint64_t>(::getpid()) << 40)),
                          .log = log};
  Head head({.home = options.home,
             .bind = options.bind,
             .mock_agents = options.mock_agents,
             .version = kVersion,
             .host_name = host_name()},
            std::move(instruments), io);
  const Result<Done> opened = head.open();
  if (!opened.ok()) return refuse(options.ready_fd, opened.refusal());
  const Result<Done> started = head.start().wait(io.waitScope);
  if (!started.ok()) return refuse(options.ready_fd, started.refusal());
  if (::getuid() == 0) log("running as root: tasks run as root");
  log("serving " + options.home);
  tell(options.ready_fd, "ready");
  head.run().exclusiveJoin(kj::mv(signalled)).wait(io.waitScope);
  log("stopped in good order");
  return 0;
}

int run(int argc, char** argv) {
  Result<Options> options = read_options(argc, argv);
  if (!options.ok()) return refuse(-1, options.refusal());
  if (options.value().help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  settle_in(options.value().ready_fd);
  LogWriter writer;
  try {
    return serve(options.value(), writer);
  } catch (const kj::Exception& e) {
    std::fprintf(stderr, "leat-scheduler: %s\n", e.getDescription().cStr());
    tell(options.value().ready_fd, std::string("leat-scheduler: ") + e.getDescription().cStr());
    return kExitFailed;
  }
}

}  // namespace
}  // namespace leat::scheduler

// NOLINTNEXTLINE(bugprone-exception-escape): what is thrown is out of memory, and ends it
int main(int argc, char** argv) {
  return leat::scheduler::run(argc, argv);
}
