#include "examples/mpi/heat/run.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "examples/mpi/heat/blocks.h"
#include "examples/mpi/heat/checkpoint.h"
#include "examples/mpi/heat/solver.h"
#include "examples/mpi/heat/start.h"

namespace heat {
namespace {

// After so many steps all ranks agree whether to go on. Between, they only know their neighbours.
constexpr std::int64_t kStepsPerRound = 20;

// Where the steps begin. Only rank 0 looks for a checkpoint, and all do as it found.
struct Beginning {
  std::int64_t step = 0;
  double change = std::numeric_limits<double>::infinity();
  std::vector<double> cells;
};

Beginning begin(const leat::Task& task, const Parameters& parameters, const Blocks& blocks) {
  std::optional<Checkpoint> found;
  if (blocks.rank() == 0 && parameters.checkpoint_every > 0)
    found = find(task.checkpoint_directory(), identity_of(parameters));
  Beginning at;
  if (found) {
    at.step = found->step;
    at.change = found->change;
  }
  MPI_Bcast(&at.step, 1, MPI_INT64_T, 0, blocks.comm());
  MPI_Bcast(&at.change, 1, MPI_DOUBLE, 0, blocks.comm());
  at.cells = at.step == 0 ? start_of(parameters, blocks.mine())
                          : blocks.scatter(found ? found->field : std::vector<double>{});
  return at;
}

// The largest change anywhere, and whether any rank was asked to end: the signal need not have
// come to all of them, and not between the same two steps.
struct Agreed {
  double change = 0;
  bool cancelled = false;
};

Agreed agree(double change, MPI_Comm comm) {
  double highest[2] = {change, leat::Task::cancelled() ? 1.0 : 0.0};
  MPI_Allreduce(MPI_IN_PLACE, highest, 2, MPI_DOUBLE, MPI_MAX, comm);
  return {highest[0], highest[1] > 0};
}

void tell(const leat::Task& task, const Parameters& parameters, const Outcome& at) {
  task.progress(100 * static_cast<double>(at.steps) / static_cast<double>(parameters.steps),
                "step " + std::to_string(at.steps) + ", changes by " + std::to_string(at.change));
}

void checkpoint(const leat::Task& task, const Parameters& parameters, const Blocks& blocks,
                const Solver& solver, const Outcome& at) {
  std::vector<double> field = blocks.gather(solver.cells());
  if (blocks.rank() == 0)
    save(task.checkpoint_directory(),
         {identity_of(parameters), at.steps, at.change, std::move(field)});
}

}  // namespace

Outcome run(const leat::Task& task, const Parameters& parameters, MPI_Comm ranks) {
  const Blocks blocks(ranks, parameters.size);
  const Beginning from = begin(task, parameters, blocks);
  Solver solver(blocks, from.cells, parameters.conductivity, parameters.edge);
  Outcome at{from.step, from.change, false, {}};
  const std::int64_t every = parameters.checkpoint_every;
  const auto is_at_rest = [&] {
    return parameters.tolerance > 0 && at.change <= parameters.tolerance;
  };
  while (at.steps < parameters.steps && !is_at_rest() && !at.cancelled) {
    const std::int64_t before = at.steps;
    const std::int64_t round_end = (before / kStepsPerRound + 1) * kStepsPerRound;
    const std::int64_t until = std::min(round_end, parameters.steps);
    for (; at.steps < until; ++at.steps) at.change = solver.step();
    const Agreed agreed = agree(at.change, blocks.comm());
    at.change = agreed.change;
    at.cancelled = agreed.cancelled && at.steps < parameters.steps;
    if (blocks.rank() == 0) tell(task, parameters, at);
    const bool is_due = every > 0 && at.steps / every != before / every;
    if (is_due || (at.cancelled && every > 0)) checkpoint(task, parameters, blocks, solver, at);
  }
  at.field = blocks.gather(solver.cells());
  return at;
}

void forget(const leat::Task& task, const Parameters& parameters) {
  if (parameters.checkpoint_every == 0) return;
  remove(task.checkpoint_directory());
  std::error_code ignored;  // alone it is the program's own, and nobody else clears it away
  if (!task.in_leat()) std::filesystem::remove(task.checkpoint_directory(), ignored);
}

Summary summary_of(const std::vector<double>& field) {
  const auto [lowest, highest] = std::minmax_element(field.begin(), field.end());
  const double sum = std::accumulate(field.begin(), field.end(), 0.0);
  return {sum / static_cast<double>(field.size()), *lowest, *highest};
}

}  // namespace heat
