#pragma once

// run_table.h - every run the warden knows, found by name and by place.

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "node-agent/warden/fd.h"
#include "node-agent/warden/records.h"
#include "node-agent/warden/spool_files.h"

namespace leat::warden {

enum class RunState : std::uint8_t {
  kWaiting,      // for its slot
  kRunning,      // its first process lives, and nobody has asked for its end
  kTerminating,  // SIGTERM has been sent, the grace runs
  kKilling,      // SIGKILL is being sent to all of its processes until none is left
  kEnded,        // `exited` is final and waits for the agent to confirm it
};

// A run's place in the table; the generation tells a place's later tenants apart.
struct RunRef {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;

  friend bool operator==(RunRef, RunRef) = default;
};

struct Run {
  RunRef ref;
  RunState state = RunState::kWaiting;
  Exited exited;  // filled in as it becomes known; names run, slot, segment from the start
  std::unique_ptr<Launch> launch;  // only while it waits
  int pid = 0;
  Fd pidfd;  // none once the first process has been reaped
  Capture out;
  Capture err;
  // Of the warning, the time limit, the grace or the next look; 0: none.
  std::int64_t deadline_us = 0;
  std::uint64_t grace_us = 0;    // after the time limit
  std::uint64_t warning_us = 0;  // before it; while running, and not yet given
  int warning_signal = 0;        // 0: none, or given
  std::uint64_t gpu_mask = 0;    // as launched
  bool grouped = false;          // it is in its slot's cgroup
  int kill_rounds = 0;
  bool seen_alive = false;  // by the last look, while it is being killed
  int unseen_rounds = 0;    // looks in a row that saw nothing of it
  bool report_queued = false;

  bool live() const {
    return state == RunState::kRunning || state == RunState::kTerminating ||
           state == RunState::kKilling;
  }
};

// Owns: the runs. Their addresses hold until erase().
class RunTable {
 public:
  std::size_t size() const { return by_id_.size(); }

  // Precondition: no run of that name is there.
  Run& add(const RunId& id);
  Run* find(const RunId& id);
  // Nothing if that tenant has gone.
  Run* at(RunRef ref);
  // The tenant of a place. Precondition: it has one.
  Run& place(std::uint32_t index) { return places_[index]; }
  void erase(Run& run);

  template <typename Visit>
  void for_each(Visit visit) {
    for (Run& run : places_)
      if (run.ref.generation % 2 == 1) visit(run);
  }

 private:
  struct Hash {
    std::size_t operator()(const RunId& id) const noexcept;
  };

  // A place is taken while its generation is odd.
  std::deque<Run> places_;
  std::vector<std::uint32_t> free_;
  std::unordered_map<RunId, std::uint32_t, Hash> by_id_;
};

}  // namespace leat::warden
