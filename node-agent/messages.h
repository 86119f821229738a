#pragma once

// messages.h - what passes between head and agent, as plain values.
//
// The same things as schema/agent.capnp, decoded and checked once (agent_codec.h), so that the
// agent's core and the simulation know nothing of Cap'n Proto.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/resources.h"
#include "base/run_columns.h"
#include "base/time.h"

namespace leat::agent {

inline RunId run_id(const StageRef& stage, Attempt attempt, Index index) {
  return {stage.job, stage.stage, attempt, index};
}

inline StageRef stage_of(const RunId& run) {
  return {run.job, run.stage};
}

// Attempts with the same number at several tasks of one stage (schema RunSet).
struct RunSet {
  StageRef stage;
  Attempt attempt = 1;
  IndexList indices;
  std::uint32_t member = 0;  // not used: a node has one member of a gang at most

  friend bool operator==(const RunSet&, const RunSet&) = default;
};

// Bytes in leat-store, by content.
struct BlobRef {
  std::array<std::byte, 32> hash{};
  std::uint64_t length = 0;

  friend bool operator==(const BlobRef&, const BlobRef&) = default;
};

// What is known of one ended run; start_us 0: it never started.
using RunResult = RunRow;

struct Program {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string directory;
  bool bind_cores = false;
  std::uint64_t output_limit_bytes = std::uint64_t{1} << 30;
  bool task_directory = false;
  std::string output_directory;  // where outputs are put as plain files, too; empty: nowhere

  friend bool operator==(const Program&, const Program&) = default;
};

// What a task is given to work on.
struct Inputs {
  enum class Kind : std::uint8_t { kNone, kLines, kOutputs };
  // What a line is to its task (schema Inputs.Lines.Use, in its order).
  enum class Use : std::uint8_t { kStream, kFile, kObject };

  Kind kind = Kind::kNone;
  BlobRef data;     // kLines
  BlobRef offsets;  // kLines: u64 little-endian each, one more than there are lines
  std::uint64_t chunk = 1;
  std::uint64_t lines = 0;
  Use use = Use::kStream;                 // kLines
  std::optional<BlobRef> standard_input;  // of every task, whole; with kNone, or Use::kFile

  // Whether anything must be made ready before a task can start.
  bool any() const { return kind != Kind::kNone || standard_input.has_value(); }

  friend bool operator==(const Inputs&, const Inputs&) = default;
};

// What a gang runs (schema GangSpec).
struct GangSpec {
  enum class Launch : std::uint8_t { kMpi, kMpiRequired, kPmi1, kApplication };
  enum class Bind : std::uint8_t { kCompact, kSpread, kNone };
  enum class BindTo : std::uint8_t { kCore, kNuma, kSocket };

  Launch launch = Launch::kMpi;
  std::vector<std::uint32_t> ranks_per_node;  // one for each node, or one for all; none: 1
  std::uint32_t cores_per_rank = 0;           // 0: what there is, shared alike
  Bind bind = Bind::kCompact;
  BindTo bind_to = BindTo::kCore;
  std::vector<std::string> coordination;
  std::string interfaces;

  std::uint32_t ranks_on(std::size_t member) const;
  friend bool operator==(const GangSpec&, const GangSpec&) = default;
};

// The part of a stage's specification that an agent needs.
struct StageSpec {
  Program program;
  IndexList indices;  // of the whole stage; a task's position is its place in here
  Inputs inputs;
  Resources resources;
  bool exclusive = false;  // it runs alone on its node
  Duration time_limit{0};  // 0: none
  Duration grace{5'000'000};
  std::int32_t warning_signal = 0;  // sent `warning_before` the time limit; 0: none
  Duration warning_before{0};
  // Of a retry: the indices by which input lines are counted. Empty: `indices`.
  IndexList origin;
  std::optional<GangSpec> gang;  // its tasks are gangs; `resources` are those of a member

  // Which part of the input belongs to the task at `position`, whose index is `index`.
  std::uint64_t input_position(Index index, std::uint64_t position) const {
    return origin.empty() ? position : origin.position_of(index).value_or(position);
  }
  // Of how many tasks the input is.
  std::uint64_t input_tasks() const { return origin.empty() ? indices.size() : origin.size(); }

  friend bool operator==(const StageSpec&, const StageSpec&) = default;
};

// Where a part of a reduce step's input is.
struct InputPart {
  RunSet runs;
  NodeRef node;
  std::string address;
  std::string ticket;
  bool of_gangs = false;  // of what ranks have written, rank 0's counts

  friend bool operator==(const InputPart&, const InputPart&) = default;
};
using TaskInputs = std::vector<InputPart>;  // in index order

// Where the members of a gang meet, and what makes each of them one (schema GangHub). A secret.
struct GangHub {
  std::string address;  // host:port
  std::string authority_pem;
  std::string certificate_pem;
  std::string key_pem;

  friend bool operator==(const GangHub&, const GangHub&) = default;
};

// One member of a gang.
struct GangStart {
  struct Node {
    NodeRef node;
    std::string host_name;

    friend bool operator==(const Node&, const Node&) = default;
  };

  std::uint32_t member = 0;
  std::vector<Node> nodes;
  std::optional<GangHub> hub;  // not of the first member
  std::string interfaces;      // of the pool; a job's own go before it

  friend bool operator==(const GangStart&, const GangStart&) = default;
};

struct StartSet {
  RunSet runs;
  std::uint32_t claims = 1;               // how many of this stage may run at once here
  std::shared_ptr<const StageSpec> spec;  // null: as sent before
  std::uint64_t task_count = 0;
  std::vector<TaskInputs> inputs;  // of reduce steps, one per run in the order of `runs`
  std::string job_name;
  bool is_result = false;
  std::string store_ticket;
  std::string input_ticket;
  std::optional<GangStart> gang;  // then `runs` is a single run

  // The right to read input blobs.
  const std::string& read_ticket() const {
    return input_ticket.empty() ? store_ticket : input_ticket;
  }
};

struct StartBatch {
  HeadEpoch head_epoch;
  std::uint64_t session = 0;
  std::uint64_t sequence = 0;
  std::vector<StartSet> sets;
};

struct EndOrder {
  RunSet runs;
  Outcome why = Outcome::kCancelled;
  Duration grace{0};
};

// Runs of one stage and attempt that ended.
struct Ended {
  RunSet runs;
  RunColumns columns;
  std::optional<BlobRef> result;  // then `runs` is a single run

  friend bool operator==(const Ended&, const Ended&) = default;
};

struct ReportBatch {
  std::uint64_t id = 0;  // the agent's own number, for on_reported(); not sent
  std::vector<Ended> ended;

  std::uint64_t run_count() const;
};

}  // namespace leat::agent
