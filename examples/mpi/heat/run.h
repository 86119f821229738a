#pragma once

// run.h - a whole run of the heat solver by the ranks of a communicator.

#include <mpi.h>

#include <cstdint>
#include <vector>

#include <leat/task.h>

#include "examples/mpi/heat/parameters.h"

namespace heat {

struct Outcome {
  std::int64_t steps = 0;     // taken in all, also by attempts before
  double change = 0;          // the largest of a cell in the last step
  bool cancelled = false;     // asked to end; a checkpoint has what is there
  std::vector<double> field;  // row by row from the upper edge; at rank 0 only
};

// Goes on from the checkpoint of an earlier attempt if there is one. Collective. Throws
// BadInput, or leat::TaskError, perhaps at one rank only.
Outcome run(const leat::Task& task, const Parameters& parameters, MPI_Comm ranks);

// To be called at rank 0 once the outcome is handed over: nobody needs the checkpoint any more.
void forget(const leat::Task& task, const Parameters& parameters);

struct Summary {
  double mean = 0;
  double lowest = 0;
  double highest = 0;
};
// REQUIRES: there are cells.
Summary summary_of(const std::vector<double>& field);

}  // namespace heat
