// runs_trees.cc - which process belongs to which run, and signals to whole runs.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <map>

#include "node-agent/warden/runs.h"

namespace leat::warden {

bool Runs::is_first_process(int pid) {
  const auto at = by_pid_.find(pid);
  if (at == by_pid_.end()) return false;
  const Run* run = table_.at(at->second);
  return run != nullptr && run->pidfd;
}

// A child of ours that is no run's first process was left to us by a parent that has gone.
bool Runs::has_strays() {
  const std::vector<int> children = read_own_children();
  return std::any_of(children.begin(), children.end(),
                     [this](int pid) { return !is_first_process(pid); });
}

// When the oldest live run started, in ticks; the end of time if none lives.
std::uint64_t Runs::oldest_start(const std::vector<Process>& processes) {
  std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
  for (const Process& process : processes)
    if (is_first_process(process.pid)) oldest = std::min(oldest, process.start_ticks);
  return oldest;
}

Runs::Owner Runs::owner_of(const Process& top, std::uint64_t oldest_start) {
  const auto live_run = [this](int pid) -> Run* {
    const auto at = by_pid_.find(pid);
    return at == by_pid_.end() ? nullptr : table_.at(at->second);
  };
  if (is_first_process(top.pid)) return {Belongs::kToLive, live_run(top.pid)};
  // A session keeps the pid of its first process from being used again.
  if (Run* run = live_run(top.session)) return {Belongs::kToLive, run};
  if (const Origin origin = origin_of(top.pid, options_.node_token); origin.ours) {
    Run* run = table_.find(origin.run);
    if (run != nullptr && run->live()) return {Belongs::kToLive, run};
    return {Belongs::kToEnded, nullptr};
  }
  // It has got rid of session and environment. What is older than every live run cannot be theirs.
  if (top.start_ticks < oldest_start) return {Belongs::kToEnded, nullptr};
  return {};
}

// Does to one living process what is due to its owner. True if it was a stray that had to go.
bool Runs::treat(const Process& process, const Owner& owner) {
  if (owner.belongs == Belongs::kToEnded) {
    send_signal(process, SIGKILL);
    return true;
  }
  if (owner.run == nullptr) return false;
  if (owner.run->state == RunState::kKilling) {
    owner.run->seen_alive = true;
    send_signal(process, SIGKILL);
    return false;
  }
  for (const Ordered& order : ordered_)
    if (order.ref == owner.run->ref) send_signal(process, order.signal_number);
  return false;
}

void Runs::look_at_trees(std::int64_t now_us) {
  // First what a group holds, at one blow; then whatever is found by its descent.
  table_.for_each([this](Run& run) {
    if (run.state != RunState::kKilling || !run.grouped) return;
    if (cgroups_.is_empty(run.exited.slot)) return;
    run.seen_alive = true;
    cgroups_.kill_all(run.exited.slot);
  });
  const std::vector<Process> processes = read_processes();
  const std::uint64_t oldest = oldest_start(processes);
  const int self = getpid();
  std::map<int, Owner> owners;
  bool found_strays = false;
  for (const Descendant& below : descendants_of(self, processes)) {
    const Process& process = *below.process;
    if (process.dead()) {
      if (process.parent == self && !is_first_process(process.pid))
        waitpid(process.pid, nullptr, WNOHANG);
      continue;
    }
    const auto [at, is_new] = owners.try_emplace(below.top->pid);
    if (is_new) at->second = owner_of(*below.top, oldest);
    if (treat(process, at->second)) found_strays = true;
  }
  ordered_.clear();
  if (found_strays) sweep_again_us_ = now_us + kSweepAgainUs;
  kill_round_due_ = false;
  settle_killed(now_us);
}

// After a round of SIGKILL: a run of which nothing was seen, again, is over; the others get another
// round.
void Runs::settle_killed(std::int64_t now_us) {
  std::vector<RunRef> killed;
  table_.for_each([&killed](const Run& run) {
    if (run.state == RunState::kKilling) killed.push_back(run.ref);
  });
  for (const RunRef ref : killed) {
    Run& run = *table_.at(ref);
    run.unseen_rounds = run.seen_alive ? 0 : run.unseen_rounds + 1;
    const bool seen = run.unseen_rounds < kUnseenLooks;
    run.seen_alive = false;
    // Rounds are bounded; what survives them hangs in the kernel, and the sweep goes on trying.
    const bool given_up = ++run.kill_rounds > kKillRoundsMax;
    if (!run.pidfd && (!seen || given_up)) {
      finish(run, now_us);
    } else {
      set_deadline(run, now_us + (given_up ? kSweepUs : kKillRoundUs));
    }
  }
}

}  // namespace leat::warden
