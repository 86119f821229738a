#include "node-agent/warden/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "node-agent/warden/fd.h"
#include "node-agent/warden/small_file.h"

namespace leat::warden {

namespace {

constexpr std::string_view kTokenName = "LEAT_RUN_TOKEN=";
// Larger environments are looked at up to here.
constexpr std::size_t kEnvironmentBytesMax = 4u << 20;
constexpr std::size_t kChildrenBytesMax = 1u << 20;
constexpr std::size_t kStatBytesMax = 4096;

// Takes one number and, if there is one, the `separator` after it.
template <typename Number>
bool take_number(std::string_view& text, char separator, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.empty() && text.front() == separator) text.remove_prefix(1);
  return true;
}

const Process* find(const std::vector<Process>& processes, int pid) {
  const auto at = std::lower_bound(processes.begin(), processes.end(), pid,
                                   [](const Process& p, int wanted) { return p.pid < wanted; });
  return at != processes.end() && at->pid == pid ? &*at : nullptr;
}

}  // namespace

std::optional<Process> parse_stat(std::string_view text) {
  Process process;
  const std::size_t name_end = text.rfind(") ");
  if (name_end == std::string_view::npos || !take_number(text, ' ', process.pid))
    return std::nullopt;
  text.remove_prefix(text.rfind(") ") + 2);
  if (text.size() < 2) return std::nullopt;
  process.state = text.front();
  text.remove_prefix(2);
  constexpr int kFirst = 4;  // as proc(5) counts the fields
  std::array<std::int64_t, 22 - kFirst + 1> fields{};
  for (std::int64_t& field : fields)
    if (!take_number(text, ' ', field)) return std::nullopt;
  process.parent = static_cast<int>(fields[4 - kFirst]);
  process.session = static_cast<int>(fields[6 - kFirst]);
  process.threads = static_cast<int>(fields[20 - kFirst]);
  process.start_ticks = static_cast<std::uint64_t>(fields[22 - kFirst]);
  return process;
}

std::optional<Process> read_process(int pid) {
  return parse_stat(
      read_small_file("/proc/" + std::to_string(pid) + "/stat", AT_FDCWD, kStatBytesMax));
}

std::vector<Process> read_processes() {
  std::vector<Process> processes;
  DIR* directory = opendir("/proc");
  if (directory == nullptr) return processes;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (const auto process = read_process(std::atoi(entry->d_name))) processes.push_back(*process);
  }
  closedir(directory);
  std::sort(processes.begin(), processes.end(),
            [](const Process& a, const Process& b) { return a.pid < b.pid; });
  return processes;
}

std::vector<int> read_own_children() {
  const std::string self = std::to_string(getpid());
  const std::string path = "/proc/" + self + "/task/" + self + "/children";
  std::vector<int> children;
  if (access(path.c_str(), R_OK) == 0) {
    const std::string text = read_small_file(path, AT_FDCWD, kChildrenBytesMax);
    std::string_view rest = text;
    for (int pid = 0; take_number(rest, ' ', pid);) children.push_back(pid);
    return children;
  }
  const int parent = getpid();  // a kernel without CONFIG_PROC_CHILDREN
  for (const Process& process : read_processes())
    if (process.parent == parent) children.push_back(process.pid);
  return children;
}

std::vector<Descendant> descendants_of(int root, const std::vector<Process>& processes) {
  std::vector<Descendant> result;
  for (const Process& process : processes) {
    // Parents may change between two lines of the list, so a circle is possible: it is bounded.
    const Process* top = &process;
    for (std::size_t depth = 0; top != nullptr && top->parent != root; ++depth)
      top = depth < processes.size() ? find(processes, top->parent) : nullptr;
    if (top != nullptr && process.pid != root) result.push_back({&process, top});
  }
  return result;
}

std::string token_variable(std::string_view node_token, const RunId& run) {
  std::string text(kTokenName);
  text.append(node_token);
  for (const std::uint64_t number :
       {run.job.value, std::uint64_t{run.stage}, run.index, std::uint64_t{run.attempt}}) {
    text += '.';
    text += std::to_string(number);
  }
  return text;
}

Origin origin_in(std::string_view environment, std::string_view node_token) {
  while (!environment.empty()) {
    std::string_view variable = environment.substr(0, environment.find('\0'));
    environment.remove_prefix(std::min(environment.size(), variable.size() + 1));
    if (!variable.starts_with(kTokenName)) continue;
    variable.remove_prefix(kTokenName.size());
    if (!variable.starts_with(node_token)) return {};
    variable.remove_prefix(node_token.size());
    if (!variable.starts_with('.')) return {};
    variable.remove_prefix(1);
    Origin origin{true, {}};
    if (!take_number(variable, '.', origin.run.job.value) ||
        !take_number(variable, '.', origin.run.stage) ||
        !take_number(variable, '.', origin.run.index) ||
        !take_number(variable, '.', origin.run.attempt))
      origin.run = {};  // somebody changed it; ours all the same
    return origin;
  }
  return {};
}

Origin origin_of(int pid, std::string_view node_token) {
  return origin_in(
      read_small_file("/proc/" + std::to_string(pid) + "/environ", AT_FDCWD, kEnvironmentBytesMax),
      node_token);
}

bool send_signal(const Process& process, int signal_number) {
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  if (!pidfd) return false;
  // The descriptor now stands for whoever has that pid; only then is it worth asking who that is.
  const auto current = read_process(process.pid);
  if (!current || current->start_ticks != process.start_ticks) return false;
  return syscall(SYS_pidfd_send_signal, pidfd.get(), signal_number, nullptr, 0) == 0;
}

std::size_t kill_left_overs(std::string_view node_token, int rounds_max, unsigned pause_us) {
  std::size_t killed = 0;
  int unseen = 0;
  const int self = getpid();
  for (int round = 0; round < rounds_max; ++round) {
    const std::vector<Process> processes = read_processes();
    std::vector<const Process*> found;
    for (const Process& process : processes) {
      if (process.pid == self || process.dead() || !origin_of(process.pid, node_token).ours)
        continue;
      found.push_back(&process);
      for (const Descendant& below : descendants_of(process.pid, processes))
        if (below.process->pid != self && !below.process->dead()) found.push_back(below.process);
    }
    unseen = found.empty() ? unseen + 1 : 0;
    if (unseen == kUnseenLooks) break;
    for (const Process* process : found)
      if (send_signal(*process, SIGKILL)) ++killed;
    usleep(pause_us);
  }
  return killed;
}

void kill_all_below(int rounds_max, unsigned pause_us) {
  int unseen = 0;
  for (int round = 0; round < rounds_max; ++round) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const std::vector<Process> processes = read_processes();
    const std::vector<Descendant> below = descendants_of(getpid(), processes);
    unseen = below.empty() ? unseen + 1 : 0;
    if (unseen == kUnseenLooks) return;
    for (const Descendant& descendant : below)
      if (!descendant.process->dead()) send_signal(*descendant.process, SIGKILL);
    usleep(pause_us);
  }
}

}  // namespace leat::warden
