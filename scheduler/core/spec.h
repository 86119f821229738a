#pragma once

// spec.h - what users may ask for, and what of it is invalid.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/labels.h"
#include "base/resources.h"
#include "base/result.h"
#include "base/run_columns.h"
#include "base/time.h"

namespace leat::core {

// Limits on everything that comes from outside.
inline constexpr std::size_t kStagesPerJobMax = 64;
inline constexpr std::size_t kNameBytesMax = 256;
inline constexpr std::size_t kStageNameBytesMax = 64;
inline constexpr std::size_t kKeyBytesMax = 128;
inline constexpr std::size_t kSpecBytesMax = 4u << 20;
inline constexpr std::uint32_t kRetriesMax = 1000;
inline constexpr std::size_t kAfterMax = 64;  // what one stage may come after
inline constexpr Duration kRetryDelayMax = std::chrono::hours(24 * 31);
inline constexpr std::uint32_t kRetryFactorMilliMax = 100'000;
inline constexpr std::uint32_t kNodesPerPoolMax = 100'000;
inline constexpr std::uint32_t kGangNodesMax = 4'096;
inline constexpr Duration kJoinDeadlineMin = std::chrono::seconds(1);
inline constexpr Duration kPoolTimeMax = std::chrono::hours(24 * 366);

// A node loss this often at one task sets it aside: it may be what kills the nodes.
inline constexpr std::uint16_t kLossesMax = 3;

// Who asked. `certificate` is empty for users of the unix socket.
struct Principal {
  std::uint32_t uid = 0;
  std::string host;
  std::string certificate;

  friend bool operator==(const Principal&, const Principal&) = default;
};

using leat::Counter;
using leat::Resources;

// Which of the nodes with room for a task gets it.
enum class Packing : std::uint8_t {
  kPack,    // the fullest: others stay free for larger tasks, or to be given up
  kSpread,  // the emptiest: tasks share memory bandwidth and network with fewer others
};

enum class OnNodeLoss : std::uint8_t { kRequeue, kFail, kWait };

// A reduce stage: task p reads the outputs of tasks p*width .. (p+1)*width-1 of `stage`.
struct ReduceInput {
  StageId stage = 0;
  std::uint64_t width = 0;

  friend bool operator==(const ReduceInput&, const ReduceInput&) = default;
};

// How what a stage comes after must end, as far as it is concerned.
enum class Condition : std::uint8_t { kSuccess, kFailure, kAny };

// All of a job, or task by task: index i waits for index i of the job's first stage. Without a job:
// the same of an earlier stage of the own job.
struct After {
  JobId job;
  bool element_wise = false;
  Condition on = Condition::kSuccess;
  StageId stage = 0;  // of the own job

  friend bool operator==(const After&, const After&) = default;
};

// How long a failed task waits before it is tried again.
struct RetryDelay {
  Duration first{0};
  std::uint32_t factor_milli = 1000;
  Duration max{0};  // 0: kRetryDelayMax

  // After so many failures of the task, at least 1.
  Duration after(std::uint32_t failures) const;
  friend bool operator==(const RetryDelay&, const RetryDelay&) = default;
};

// Which failures are tried again; all of them unless `only`.
struct RetryOn {
  bool only = false;
  std::array<std::uint64_t, 4> codes{};  // bit sets by exit code,
  std::uint64_t signals = 0;             // signal number,
  std::uint64_t outcomes = 0;            // and outcome

  bool matches(Outcome outcome, std::int32_t code) const;
  friend bool operator==(const RetryOn&, const RetryOn&) = default;
};

struct StageSpec {
  std::string name;  // may be empty
  IndexList indices;
  Resources resources;      // of a task; of a gang: of each member
  std::uint32_t nodes = 1;  // of a gang: members, each on a node of its own
  bool gang = false;        // its tasks are gangs, perhaps of one
  std::uint32_t retries = 0;
  Duration time_limit{0};
  Duration grace{5'000'000};
  Duration lease{300'000'000};
  OnNodeLoss on_node_loss = OnNodeLoss::kRequeue;
  std::optional<ReduceInput> reduces;
  std::vector<After> after;
  RetryDelay retry_delay;
  RetryOn retry_on;
  Duration start_within{0};  // of the first stage: the job ends if it has not started; 0: never
  bool exclusive = false;    // a task has its node to itself; the same in all stages of a job
  std::string in_common;     // of a gang: a label that all its nodes have, with the same value

  // When a run that starts at `start` is over at the latest; or of `rounds` one after another, the
  // last. kNever without a limit.
  Time over_by(Time start, std::uint64_t rounds = 1) const;

  friend bool operator==(const StageSpec&, const StageSpec&) = default;
};

// What the core needs of a job. `encoded` is the whole schema JobSpec as a Cap'n Proto message,
// which the core stores and hands on without looking inside.
struct JobSpec {
  std::string name;
  std::int32_t priority = 0;
  std::vector<std::string> pools;
  std::vector<Requirement> labels;  // that a node must, or must not, have
  std::optional<Packing> packing;   // none: as the pool says
  std::vector<StageSpec> stages;
  std::int32_t result_stage = -1;
  JobId retry_of;  // the job whose tasks these are, again
  std::shared_ptr<const std::string> encoded;

  friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

// How many nodes a pool may have. Equal bounds: a pool of fixed size.
struct PoolSize {
  std::uint32_t min = 0;
  std::uint32_t max = 0;

  constexpr PoolSize() = default;
  // A number of nodes is a fixed size. NOLINTNEXTLINE(google-explicit-constructor)
  constexpr PoolSize(std::uint32_t nodes) : min(nodes), max(nodes) {}
  constexpr PoolSize(std::uint32_t least, std::uint32_t most) : min(least), max(most) {}

  bool fixed() const { return min == max; }
  friend bool operator==(const PoolSize&, const PoolSize&) = default;
};

// The provider of pools whose nodes are started by hand: nothing is ever bought there.
inline constexpr const char* kStaticProvider = "static";

struct PoolSpec {
  std::string name;
  std::string provider;
  PoolSize nodes;
  std::optional<Resources> shape;  // what every node has, where declared
  std::vector<std::string> labels;
  // A node beyond `nodes.min` that has had nothing to do for so long is closed and deleted.
  Duration idle_timeout{300'000'000};
  // From the wish for a node to its joining; longer, and it is deleted and replaced.
  Duration join_deadline{120'000'000};
  // The only job that may use the pool, which is deleted when the job has ended; none: everybody's.
  JobId for_job = {};
  std::uint32_t tasks_per_node = 0;  // at once, at most; 0: as many as fit
  Packing packing = Packing::kPack;
  bool keeps_memory_limits = true;  // where a node can
  std::string mpi_interfaces = {};  // over which ranks of gangs talk there; empty: as MPI chooses

  friend bool operator==(const PoolSpec&, const PoolSpec&) = default;
};

// Refuses what can never be right, whatever the state: nothing for a good spec.
std::optional<Refusal> check(const JobSpec& spec);
std::optional<Refusal> check(const PoolSpec& spec);
// Of a job: what a name may not be.
std::optional<Refusal> check_job_name(const std::string& name);
// Of check(PoolSpec): idle timeout and join deadline.
std::optional<Refusal> check_times(const PoolSpec& spec);

}  // namespace leat::core
