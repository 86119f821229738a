#pragma once

// runs.h - starts runs, watches them, and ends them with all they started.

#include <sys/resource.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "node-agent/warden/cgroups.h"
#include "node-agent/warden/fd.h"
#include "node-agent/warden/processes.h"
#include "node-agent/warden/records.h"
#include "node-agent/warden/run_table.h"
#include "node-agent/warden/spawn.h"
#include "node-agent/warden/spool_files.h"

namespace leat::warden {

// The clocks, microseconds; main.cc knows the real ones.
struct Clock {
  std::int64_t (*monotonic_us)() = nullptr;
  std::int64_t (*wall_us)() = nullptr;
};

// Where runs show up when there is something to tell the agent about them.
class ReportSink {
 public:
  virtual ~ReportSink() = default;
  // What there is to tell is in the run when it gets sent. `can_wait`: the agent loses nothing by
  // hearing of it a little later, together with others.
  virtual void report(Run& run, bool can_wait) = 0;
  // A launch that found no place in the table.
  virtual void refuse(const Exited& exited) = 0;
};

struct RunsOptions {
  int epoll_fd = -1;  // gets the pidfds and pipes, marked by event_of()
  int spool_fd = -1;  // directory of the spool files
  int null_fd = -1;   // /dev/null, for reading and writing
  std::string node_token;
  CgroupPlaces cgroups;
  rlimit files{};  // what tasks get
  Clock clock;
};

// `span_us` after an instant; far away if there is no such number.
std::int64_t after(std::int64_t start_us, std::uint64_t span_us);

// What an epoll event is about.
enum class Watch : std::uint8_t { kExit = 1, kOut = 2, kErr = 3, kOther = 4 };
constexpr std::uint64_t event_of(Watch watch, RunRef ref) {
  return std::uint64_t{static_cast<std::uint8_t>(watch)} << 56 | std::uint64_t{ref.index} << 32 |
         ref.generation;
}
static_assert(kRunsMax < (1u << 24));

// Owns: run table, spool files, cgroups, templates. Borrows: descriptors of the options, sink.
// Thread: the one that spawns; tasks die with it.
//
// Invariants: at most one live run in a slot; a run is reported when it ends, and never before all
// its output is in the spool and, if it was ended by order or limit or is in a cgroup, none of its
// processes is left.
class Runs {
 public:
  Runs(RunsOptions options, ReportSink& sink);

  // The commands. `now_us` is monotonic.
  void set_template(Template&& given);
  void forget(std::uint32_t template_id);
  void launch(const Launch& launch, std::int64_t now_us);
  void end(const End& order, std::int64_t now_us);
  void signal(const Signal& order);
  void confirm(const RunId& id);
  void end_all(std::int64_t now_us);

  // epoll says that a run's first process or one of its pipes wants attention.
  void on_watch(Watch watch, RunRef ref, std::int64_t now_us);

  // Does what is due, and sends the signals that were asked for. Called once per turn.
  void on_time(std::int64_t now_us);

  // When on_time() must be called again, monotonic; -1: nothing is due.
  std::int64_t due_us() const;

  RunTable& table() { return table_; }
  Enforcement enforcement() const { return cgroups_.enforcement(); }
  std::size_t live_count() const { return live_; }

 private:
  struct StoredTemplate {
    Template given;
    std::string program;  // where PATH led the last time; empty: look
  };
  struct Slot {
    bool busy = false;
    std::deque<RunRef> waiting;
  };
  struct Ordered {
    RunRef ref;
    int signal_number;
  };
  enum class Belongs : std::uint8_t { kToLive, kToEnded, kUnknown };
  struct Owner {
    Belongs belongs = Belongs::kUnknown;
    Run* run = nullptr;
  };

  // A run that is old enough to be worth watching its pipes.
  static constexpr std::int64_t kYoungUs = 5'000;
  static constexpr std::int64_t kSweepUs = 500'000;
  static constexpr std::int64_t kSweepAgainUs = 20'000;  // after one that found something
  static constexpr std::int64_t kIdleSweepUs = 5'000'000;
  static constexpr std::int64_t kKillRoundUs = 5'000;
  static constexpr int kKillRoundsMax = 400;
  // One visit to a pipe, so that one loud task cannot starve the others.
  static constexpr std::uint64_t kPipeVisitBytes = 4u << 20;
  // With more launches than this still waiting for the slot, an exit needs no quick answer.
  static constexpr std::size_t kBacklogSafe = 2;
  static constexpr std::size_t kTemplateBytesMax = 32u << 20;  // all together

  // runs_start.cc
  void start(Run& run, const Launch& launch, std::int64_t now_us);
  Spawned spawn(Run& run, const Launch& launch, StoredTemplate& stored, SpawnPlan& plan);
  int enter_group(Run& run, const Launch& launch, GroupDoors& doors, SpawnPlan& plan);
  bool watch(int fd, Watch watch, RunRef ref);
  void could_not_start(Run& run, StartStep step, int error);
  void start_next_in(std::uint16_t slot, std::int64_t now_us);
  void refuse(const Launch& launch, StartStep step, int error);

  // runs.cc
  void reap(Run& run, std::int64_t now_us);
  void note_group(Run& run);
  void finish(Run& run, std::int64_t now_us);
  bool visit_pipe(Capture& capture);
  bool watch_pipes(Run& run);
  void terminate(Run& run, std::uint64_t grace_us, std::int64_t now_us);
  void set_deadline(Run& run, std::int64_t deadline_us);
  void on_deadline(Run& run, std::int64_t now_us);
  std::int64_t due_sweep_us() const;

  // runs_trees.cc
  void look_at_trees(std::int64_t now_us);
  bool has_strays();
  bool is_first_process(int pid);
  std::uint64_t oldest_start(const std::vector<Process>& processes);
  Owner owner_of(const Process& top, std::uint64_t oldest_start);
  bool treat(const Process& process, const Owner& owner);
  void settle_killed(std::int64_t now_us);

  RunsOptions options_;
  ReportSink& sink_;
  Spawner spawner_;
  SpoolFiles spool_;
  Cgroups cgroups_;
  RunTable table_;
  std::unordered_map<std::uint32_t, StoredTemplate> templates_;
  std::size_t template_bytes_ = 0;
  std::vector<Slot> slots_;
  std::unordered_map<int, RunRef> by_pid_;  // live runs, also once their first process is reaped
  std::size_t live_ = 0;
  std::set<std::pair<std::int64_t, std::uint32_t>> deadlines_;
  std::deque<std::pair<std::int64_t, RunRef>> young_;
  std::vector<Ordered> ordered_;
  bool kill_round_due_ = false;
  bool ended_since_sweep_ = false;
  std::int64_t last_sweep_us_ = 0;
  std::int64_t sweep_again_us_ = 0;  // sooner than usual; 0: no
  // Kept for their memory.
  std::vector<std::uint32_t> table_due_;
  std::vector<char*> arguments_;
  std::vector<char*> environment_;
};

}  // namespace leat::warden
