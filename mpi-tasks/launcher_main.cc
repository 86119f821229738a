// launcher_main.cc - leat-mpi-launcher: starts and tends the ranks of one gang on one node.
//
// leat-mpi-launcher --gang FILE [--plain]
//
// Exit codes: the gang's, the same on all of its nodes: 0, what a rank gave to MPI_Abort or exited
// with, 128 and the signal that ended one, 126 or 127 if the program cannot be started, else 1; and
// 2 for wrong usage or a gang file that makes no sense.

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "mpi-tasks/launcher.h"

namespace leat::mpi {
namespace {

constexpr std::string_view kUsage =
    "usage: leat-mpi-launcher --gang FILE [--plain]\n"
    "Starts and tends the ranks of one gang on one node, as FILE says. Started by leat-agent.\n"
    "--plain: merges the ranks' output as it comes, instead of marking what comes from whom.\n"
    "Example: leat-mpi-launcher --plain --gang /var/tmp/leat/node-1/gang-17.0.1\n";

struct Flags {
  std::string gang;
  bool plain = false;
};

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "leat-mpi-launcher: %s\n", why.c_str());
  std::exit(kExitUsage);
}

Flags parse(int count, char** values) {
  Flags flags;
  for (int i = 1; i < count; ++i) {
    const std::string_view value = values[i];
    if (value == "--gang" && i + 1 < count) {
      flags.gang = values[++i];
    } else if (value == "--plain") {
      flags.plain = true;
    } else if (value == "--help") {
      std::fputs(kUsage.data(), stdout);
      std::exit(0);
    } else {
      refuse("unknown argument '" + std::string(value) + "' (--help shows the usage)");
    }
  }
  if (flags.gang.empty()) refuse("--gang FILE is missing");
  return flags;
}

Variables taken_environment() {
  Variables variables;
  for (char** at = environ; *at != nullptr; ++at) variables.emplace_back(*at);
  return variables;
}

// libpmix reacts to the variables of a surrounding MPI job, and of a surrounding scheduler.
void clean_environment() {
  clearenv();
  // Each process keeps its copy: no files in shared memory that a kill would leave behind.
  setenv("PMIX_MCA_gds", "hash", 1);
  // With munge every rank would talk to one more daemon.
  setenv("PMIX_MCA_psec", "native", 1);
  // Spares us a look for a resource manager's plug-ins.
  setenv("PMIX_MCA_prm", "default", 1);
  setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
  // Without network cards of that kind nobody asks where on the PCI bus things are, and hwloc's
  // plug-ins for that and for graphics take longer to load than all the rest of us.
  std::error_code none;
  if (!std::filesystem::exists("/sys/class/infiniband", none))
    setenv("HWLOC_PLUGINS_PATH", "/nonexistent", 1);
}

// hwloc, of which libpmix makes use, reads this instead of asking every processor and device.
void take_topology(const std::string& path) {
  if (path.empty() || access(path.c_str(), R_OK) != 0) return;
  setenv("HWLOC_XMLFILE", path.c_str(), 1);
  setenv("HWLOC_THISSYSTEM", "1", 1);
}

// Network cards of Intel's and QLogic's Omni-Path and True Scale.
bool has_psm_hardware() {
  std::error_code none;
  for (const auto& card : std::filesystem::directory_iterator("/sys/class/infiniband", none)) {
    const std::string name = card.path().filename();
    if (name.starts_with("hfi1_") || name.starts_with("qib")) return true;
  }
  for (const auto& device : std::filesystem::directory_iterator("/dev", none))
    if (device.path().filename().string().starts_with("ipath")) return true;
  return false;
}

// Every rank costs us a socket and two pipes. Returns what ranks shall have.
rlimit raise_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) refuse("the limit on open files cannot be read");
  rlimit raised = files;
  raised.rlim_cur = raised.rlim_max;
  setrlimit(RLIMIT_NOFILE, &raised);
  return files;
}

std::string new_token() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    refuse("no randomness for a token");
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string beside_us(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).replace_filename(name).string();
}

// As ssh's server chooses it, but for accounts that nobody may log in to.
std::string shell_of_user() {
  const passwd* user = getpwuid(geteuid());
  const std::string shell = user == nullptr ? "" : user->pw_shell;
  const std::string name = shell.substr(shell.rfind('/') + 1);
  if (name == "nologin" || name == "false" || access(shell.c_str(), X_OK) != 0) return "/bin/sh";
  return shell;
}

[[noreturn]] void serve(int count, char** values) {
  const Flags flags = parse(count, values);
  Result<GangSpec> spec = read_gang_file(flags.gang);
  if (!spec.ok()) refuse(spec.refusal().message);
  LauncherOptions options;
  options.inherited = taken_environment();
  options.plain = flags.plain;
  options.has_psm = has_psm_hardware();
  if (getrandom(&options.seed, sizeof options.seed, 0) != sizeof options.seed) options.seed = 0;
  clean_environment();
  take_topology(spec.value().topology);
  if (spec.value().application) {
    options.token = new_token();
    options.rsh = beside_us("leat-rsh");
    options.shell = shell_of_user();
  }
  options.files = raise_file_limit();
  options.wall_us = [] {
    return (kj::systemPreciseCalendarClock().now() - kj::UNIX_EPOCH) / kj::MICROSECONDS;
  };
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  // Ranks are of our user and shall not read the gang's key out of us.
  prctl(PR_SET_DUMPABLE, 0);
  // Blocks them: before libpmix makes threads, which would take them instead of us.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) kj::UnixEventPort::captureSignal(signal);
  kj::AsyncIoContext io = kj::setupAsyncIo();
  Launcher launcher(io, std::move(spec).value(), std::move(options));
  launcher.run();
}

}  // namespace
}  // namespace leat::mpi

int main(int count, char** values) {
  // Descriptors 0 to 2 are taken, or ours would land there and be taken for a rank's.
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return 1;
  leat::mpi::serve(count, values);
}
