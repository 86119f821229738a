#pragma once

// records.h - what agent and warden say to each other, and how it looks in the ring.
//
// A run the agent asked for is known to the warden from Launch to Confirm. What the agent launched
// and finds in neither half of the dump after an attach was never started: launch it again.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "node-agent/warden/string_block.h"

namespace leat::warden {

// Runs a warden knows at once: waiting, running, and ended but unconfirmed.
inline constexpr std::size_t kRunsMax = 4096;
// Slots are numbered 0..kSlotsMax-1.
inline constexpr std::uint16_t kSlotsMax = 4096;
// Launches that may wait for one slot to become free; a further one is refused with EBUSY.
inline constexpr std::size_t kSlotBacklogMax = 8;
inline constexpr std::size_t kTemplatesMax = 1024;

// Who keeps memory limits on a node. The numbers are in the ring.
enum class Enforcement : std::uint8_t {
  kPlain = 0,    // nobody
  kHybrid = 1,   // version 1; killing by version 2 where it is mounted too, else by the freezer
  kUnified = 2,  // version 2, delegated to us
};

// "plain", "hybrid", "unified".
const char* enforcement_name(Enforcement enforcement);

// Which processors a task may use. No bit set: those the warden itself may use.
struct CpuMask {
  static constexpr std::uint32_t kCpusMax = 1024;

  void add(std::uint32_t cpu);  // precondition (checked): cpu < kCpusMax
  bool empty() const;

  std::array<std::uint64_t, kCpusMax / 64> words{};

  friend bool operator==(const CpuMask&, const CpuMask&) = default;
};

// ---- Commands, agent to warden ----

// What all tasks of a stage share. Kept until Forget; a second one with the same id replaces it.
struct Template {
  std::uint32_t id = 0;
  StringBlock arguments;    // at least the program; searched for in PATH if it has no slash
  StringBlock environment;  // the whole of it: the warden's own is not inherited
  std::string directory;    // empty: the node directory

  friend bool operator==(const Template&, const Template&) = default;
};

struct Forget {
  std::uint32_t id = 0;

  friend bool operator==(const Forget&, const Forget&) = default;
};

// Starts a run in a slot as soon as the slot is free. Repeating it for a run that is known starts
// nothing, and that run is reported again. Always answered by an Exited, at once if it cannot
// start.
struct Launch {
  RunId run;
  std::uint32_t template_id = 0;
  std::uint16_t slot = 0;
  std::uint32_t segment = 0;  // which of the slot's spool files get the output
  std::int8_t nice = 0;
  CpuMask cpus;
  std::uint64_t time_limit_us = 0;       // wall clock, from the start; 0: none
  std::uint64_t grace_us = 0;            // from SIGTERM to SIGKILL when the limit is hit
  std::uint64_t warning_us = 0;          // so long before the limit, less than it,
  std::int32_t warning_signal = 0;       // this signal is sent; 0: none
  std::uint64_t output_limit_bytes = 0;  // per stream; what is over it is lost and flagged
  // Kept by a cgroup where SharedHeader::enforcement is not plain; else, and with 0: no limit.
  std::uint64_t memory_limit_bytes = 0;
  // Which gpus the agent has given it. Nothing to the warden, but told again in Running.
  std::uint64_t gpu_mask = 0;
  std::string stdin_path;        // empty: /dev/null; relative: to the task's directory
  std::string directory;         // empty: the template's
  StringBlock more_arguments;    // after the template's
  StringBlock more_environment;  // wins over the template's

  friend bool operator==(const Launch&, const Launch&) = default;
};

// Ends a run and everything it started: SIGTERM, and SIGKILL after the grace; 0: SIGKILL at once.
// A run that has not started yet never will.
struct End {
  RunId run;
  std::uint64_t grace_us = 0;

  friend bool operator==(const End&, const End&) = default;
};

// Sends a signal to a run and everything it started. It is not thereby being ended.
struct Signal {
  RunId run;
  std::int32_t signal = 0;

  friend bool operator==(const Signal&, const Signal&) = default;
};

// The agent has the exit safely: the warden forgets the run.
struct Confirm {
  RunId run;

  friend bool operator==(const Confirm&, const Confirm&) = default;
};

// Ends all runs at once, and then the warden itself.
struct Shutdown {
  friend bool operator==(const Shutdown&, const Shutdown&) = default;
};

using Command = std::variant<Template, Forget, Launch, End, Signal, Confirm, Shutdown>;

// ---- Events, warden to agent ----

enum class RunPhase : std::uint8_t { kWaiting, kRunning, kEnding };

// A run that goes on. Sent once for runs older than some milliseconds, and for every run after an
// attach. The live end of its output is the end of the spool file.
struct Running {
  RunId run;
  std::uint16_t slot = 0;
  std::uint32_t segment = 0;
  RunPhase phase = RunPhase::kRunning;
  bool in_dump = false;                 // part of the answer to an attach
  std::int32_t pid = 0;                 // 0 while it waits for its slot, with what follows
  std::int64_t start_wall_us = 0;       // since 1970
  std::int64_t start_monotonic_us = 0;  // CLOCK_MONOTONIC of this machine
  std::uint64_t out_offset = 0;
  std::uint64_t err_offset = 0;
  std::uint64_t gpu_mask = 0;

  friend bool operator==(const Running&, const Running&) = default;
};

enum class ExitKind : std::uint8_t {
  kExited,      // code: what the program returned
  kSignaled,    // code: the signal
  kNotStarted,  // step and error say why
};

// What could not be done when a run did not start.
enum class StartStep : std::uint8_t {
  kNone,
  kTemplate,   // unknown template, or one without arguments
  kTable,      // too many runs (EAGAIN), or too many waiting for the slot (EBUSY)
  kWithdrawn,  // ended before it started (ECANCELED)
  kSpool,      // the slot's files
  kPipes,
  kProcess,  // no new process
  kBinding,  // processors or priority
  kLimits,
  kDirectory,
  kStdin,
  kProgram,
};

// "directory", "program" …, for messages.
const char* step_name(StartStep step);

enum ExitFlag : std::uint16_t {
  kOutTruncated = 1,
  kErrTruncated = 2,
  kTimeLimitHit = 4,
  kEndedByOrder = 8,  // by End, Shutdown or SIGTERM to the warden
  kSpoolFailed = 16,  // output is missing and it is our fault; spool_error says why (ENOSPC …)
  kOutOfMemory = 32,  // the kernel has killed some of it for its memory limit
  kPeakOfGroup = 64,  // peak_kib is its cgroup's, page cache and all: no floor applies
};

// How a run ended. Kept, and repeated after each attach, until confirmed.
struct Exited {
  RunId run;
  std::uint16_t slot = 0;
  ExitKind kind = ExitKind::kExited;
  StartStep step = StartStep::kNone;
  std::uint16_t flags = 0;  // of ExitFlag
  std::int32_t code = 0;
  std::int32_t error = 0;        // errno, with kNotStarted
  std::int32_t spool_error = 0;  // errno, with kSpoolFailed
  std::uint32_t segment = 0;
  std::int64_t start_wall_us = 0;
  std::int64_t start_monotonic_us = 0;
  std::uint64_t duration_us = 0;
  std::uint64_t cpu_us = 0;    // user and system, of the run and the children it waited for
  std::uint64_t peak_kib = 0;  // see SharedHeader::floor_kib
  std::uint64_t out_offset = 0;
  std::uint64_t out_bytes = 0;
  std::uint64_t err_offset = 0;
  std::uint64_t err_bytes = 0;

  bool has(ExitFlag flag) const { return (flags & flag) != 0; }
  friend bool operator==(const Exited&, const Exited&) = default;
};

// Every run that the warden knew when the agent attached has been reported.
struct DumpEnd {
  std::uint32_t runs = 0;

  friend bool operator==(const DumpEnd&, const DumpEnd&) = default;
};

using Event = std::variant<Running, Exited, DumpEnd>;

// ---- Encoding ----

using Bytes = std::vector<std::byte>;

// Replaces `record` by the encoded command or event. Own little-endian layout: both ends are built
// together, and kRingVersion tells when they were not.
void encode(const Command& command, Bytes& record);
void encode(const Event& event, Bytes& record);

// False, with `command` or `event` in an unspecified state, unless `record` is exactly one sound
// record. Strings already in `command` are reused where the kind is the same.
bool decode(std::span<const std::byte> record, Command& command);
bool decode(std::span<const std::byte> record, Event& event);

// "slot-3.17.out": the file in DIR/spool that gets what slot 3 writes while segment 17 is current.
std::string spool_file_name(std::uint16_t slot, std::uint32_t segment, bool is_error_stream);

}  // namespace leat::warden
