#pragma once

// start_batch.h - runs as the core places them, into batches as agents take them.

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"
#include "scheduler/engine/gang_desk.h"
#include "scheduler/engine/tickets.h"
#include "schema/agent.capnp.h"

namespace leat::engine {

inline constexpr std::uint64_t kRunsPerBatch = 4'096;
// Pieces of reduce inputs in one batch: with tickets and addresses they must fit a message.
inline constexpr std::size_t kPartsPerBatch = 16'384;
// Bytes of job specs in one batch that may be met before it counts as full.
inline constexpr std::size_t kSpecBytesPerBatch = 4u << 20;
// Pieces of one reduce step's input; a step that has more cannot be sent.
inline constexpr std::size_t kPartsPerRunMax = 65'536;

// One piece of a reduce step's input: outputs of one attempt on one node that follow each other.
// No node if the output is not held anywhere (it went with its node): the agent will say so.
struct InputPart {
  core::RunSet runs;
  NodeRef node;
};
using RunInputs = std::vector<InputPart>;

// Where the inputs of the reduce step at `position` are, by the state as it is now, in index
// order. Precondition: the stage reduces another.
RunInputs find_inputs(const core::State& state, StageRef ref, std::uint64_t position);

// Runs that go out as one StartSet.
struct OutgoingSet {
  core::StartRuns start;
  std::vector<RunInputs> inputs;  // of a reduce stage, one per run
};

// What fills one call to an agent.
struct OutgoingBatch {
  std::vector<OutgoingSet> sets;
  std::vector<core::RunSet> too_scattered;  // over kPartsPerRunMax
  std::uint64_t runs = 0;
  std::size_t parts = 0;
  std::size_t spec_bytes = 0;

  bool full() const {
    return runs >= kRunsPerBatch || parts >= kPartsPerBatch || spec_bytes >= kSpecBytesPerBatch;
  }
};

// Moves runs from `start` into `batch` until it is full; what is left stays in `start`. Runs of
// jobs that are over are dropped. `known` are the stages whose spec went out before.
void take_runs(const core::State& state, const std::set<StageRef>& known, core::StartRuns& start,
               OutgoingBatch& batch);

// What goes with the runs of a batch beyond what the state knows. All is borrowed.
struct BatchWords {
  const std::string& reader;  // the agent's common name
  TicketOffice& tickets;
  const GangDesk& gangs;
};

// Writes a batch's sets. `known` is added to.
void write_sets(const core::State& state, const OutgoingBatch& batch, const BatchWords& words,
                std::set<StageRef>& known, schema::StartBatch::Builder to);

GangHub read_hub(schema::GangHub::Reader from);

}  // namespace leat::engine
