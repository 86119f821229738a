#pragma once

// warden.h - the loop of leat-warden.

#include <cstdint>
#include <deque>
#include <variant>

#include "node-agent/warden/attachment.h"
#include "node-agent/warden/fd.h"
#include "node-agent/warden/runs.h"

namespace leat::warden {

struct WardenOptions {
  Fd epoll;          // also RunsOptions::epoll_fd
  Fd listener;       // listening on DIR/warden.sock
  Fd terminate;      // signalfd for SIGTERM
  int lock_fd = -1;  // DIR/warden.lock, held
  RunsOptions runs;
};

// Takes commands, starts and ends runs, reports. Ends when told to (Shutdown, SIGTERM), or when
// there is neither agent nor run for kIdleUs, or when the node directory has been deleted.
//
// Owns: everything below it. Thread: the one thread of its process.
//
// Invariants: what the agent hears of a run is queued at most once, so the queue is bounded by the
// table, the refusals by kRefusalsMax (then no more commands are read).
class Warden final : private ReportSink {
 public:
  explicit Warden(WardenOptions options);

  // Serves until it is over, and kills what is left below this process.
  void run();

 private:
  using Outgoing = std::variant<RunRef, Exited, DumpEnd>;

  static constexpr int kCommandsPerTurn = 64;
  static constexpr int kEventsPerWait = 64;
  static constexpr std::size_t kRefusalsMax = 1024;
  static constexpr std::int64_t kWakeDelayUs = 1'000;  // for what can wait
  static constexpr std::int64_t kIdleUs = 60'000'000;
  static constexpr std::int64_t kLastWordsUs = 3'000'000;  // to end all runs when it is over
  static constexpr int kLastRoundsMax = 100;
  static constexpr std::uint32_t kFloorEveryTurns = 256;

  void report(Run& run, bool can_wait) override;
  void refuse(const Exited& exited) override;

  bool turn();
  // True if there may be more to read at once.
  bool take_commands(int commands_max);
  void obey(Command& command);
  void send_reports();
  Event event_for(Run& run) const;
  void on_change(Attachment::Change change);
  void detach();
  void wait(std::int64_t until_us);
  void shut_down();
  bool is_over(std::int64_t now_us);
  void update_floor();

  WardenOptions options_;
  Runs runs_;
  Attachment attachment_;
  std::deque<Outgoing> outgoing_;
  std::size_t refusals_ = 0;
  bool in_dump_ = false;         // DumpEnd is still in the queue
  bool owes_wake_ = false;       // the agent sleeps, and there is something for it
  std::int64_t wake_by_us_ = 0;  // when what has been reported must have been heard
  bool over_ = false;
  std::int64_t now_us_ = 0;
  std::int64_t idle_since_us_ = 0;
  std::int64_t over_by_us_ = 0;
  std::uint32_t floor_kib_ = 0;
  std::uint32_t turns_ = 0;
  Command command_;  // these two keep their memory from one record to the next
  std::vector<std::byte> record_;
};

}  // namespace leat::warden
