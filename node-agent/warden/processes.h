#pragma once

// processes.h - what /proc says about processes, and signals that cannot hit a stranger.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace leat::warden {

// One line of /proc/PID/stat, as far as it matters here.
struct Process {
  int pid = 0;
  int parent = 0;
  int session = 0;
  char state = '?';
  int threads = 0;
  std::uint64_t start_ticks = 0;  // since boot; with the pid, a name that is never used again

  // A process whose first thread has ended shows as a zombie although its others run on.
  bool dead() const { return (state == 'Z' || state == 'X') && threads <= 1; }
};

// Reads the text of /proc/PID/stat. The name in it may hold blanks, brackets and line ends.
std::optional<Process> parse_stat(std::string_view text);

std::optional<Process> read_process(int pid);

// All processes that can be seen, sorted by pid. Appears in one pass, so not a snapshot.
std::vector<Process> read_processes();

// The direct children of `pid` among `processes`, or, for this very process and much cheaper, what
// the kernel lists; both may miss one that is just being born.
std::vector<int> read_own_children();

// The processes below `root`, each with the child of `root` that it descends from.
struct Descendant {
  const Process* process;
  const Process* top;
};
// Precondition: `processes` sorted by pid; the result points into it.
std::vector<Descendant> descendants_of(int root, const std::vector<Process>& processes);

// What a process's environment says about its origin.
struct Origin {
  bool ours = false;  // it carries our node's token
  RunId run;
};

// `LEAT_RUN_TOKEN=<node token>.<job>.<stage>.<index>.<attempt>`: given to every task, inherited by
// whatever it starts.
std::string token_variable(std::string_view node_token, const RunId& run);

// Looks for the token in an environment as /proc shows it: variables ended by NUL.
Origin origin_in(std::string_view environment, std::string_view node_token);

// Looks into /proc/PID/environ. Not ours if it cannot be read.
Origin origin_of(int pid, std::string_view node_token);

// Sends a signal to exactly that process; false if it is gone, or another has its pid by now.
bool send_signal(const Process& process, int signal_number);

// The list of processes is read in the order of their pids. Where these begin anew, a child may
// have a lower one than its parent: it is missed if it was born behind the reader's back and its
// parent has died by the time the reader gets there. It is there for the next look: so many in a
// row must find nothing.
inline constexpr int kUnseenLooks = 2;

// Kills every process that carries our node's token, and what descends from such: what a killed
// warden left behind. Waits in between, `pause_us` at a time, at most `rounds_max` times. Returns
// how many it killed. Must not be called once runs have been started.
std::size_t kill_left_overs(std::string_view node_token, int rounds_max, unsigned pause_us);

// Kills and reaps everything below this process, in the same manner.
void kill_all_below(int rounds_max, unsigned pause_us);

}  // namespace leat::warden
