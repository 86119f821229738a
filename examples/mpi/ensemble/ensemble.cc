// ensemble.cc - many runs of the heat solver, each by the ranks of a gang, and what they have in
// common.
//
//     ensemble                         runs one plate: its parameters are the task's input
//     ensemble reduce                  the reduce step of a job of them
//     leat result last | ensemble show          its result for people,
//     leat result last | ensemble plot > x.svg  and as a drawing
//
// Written to be started by ensemble.toml. It needs no MPI but to run a plate.

#include <mpi.h>

#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <string_view>

#include <leat/reducer.h>
#include <leat/task.h>

#include "examples/mpi/ensemble/plot.h"
#include "examples/mpi/ensemble/statistics.h"
#include "examples/mpi/heat/picture.h"
#include "examples/mpi/heat/rank_main.h"
#include "examples/mpi/heat/run.h"

namespace ensemble {

std::ostream& operator<<(std::ostream& to, const Moments& of) {
  return to << "runs " << of.count << "  mean " << of.mean << "  variance " << of.variance()
            << "  lowest " << of.lowest << "  highest " << of.highest;
}

std::ostream& operator<<(std::ostream& to, const Statistics& statistics) {
  to << std::setprecision(17) << "all  " << statistics.all;
  for (const auto& [conductivity, of] : statistics.by_conductivity)
    to << "\nconductivity " << std::setprecision(6) << conductivity << std::setprecision(17) << "  "
       << of;
  return to;
}

namespace {

int one_plate(leat::Task& task, int rank) {
  const heat::Parameters parameters = heat::read_parameters(task);
  const heat::Outcome outcome = heat::run(task, parameters, MPI_COMM_WORLD);
  if (outcome.cancelled) return heat::kExitCancelled;
  if (rank != 0) return EXIT_SUCCESS;
  if (!parameters.picture.empty())
    heat::write_picture(parameters.picture, outcome.field,
                        static_cast<std::uint64_t>(parameters.size));
  const Moments mean = Moments::of(heat::summary_of(outcome.field).mean);
  task.result(Statistics{mean, {{parameters.conductivity, mean}}});
  heat::forget(task, parameters);
  return EXIT_SUCCESS;
}

// To a stream of results: `leat result`, say.
int look(std::string_view how) {
  try {
    const Statistics all = leat::read_total<Join>(std::cin);
    if (how == "plot") {
      plot(std::cout, all);
    } else {
      std::cout << all << '\n';
    }
    std::cout.flush();
    if (std::cout) return EXIT_SUCCESS;
    std::cerr << "ensemble: cannot write to standard output\n";
  } catch (const std::exception& error) {
    std::cerr << "ensemble: " << error.what() << '\n';
  }
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace ensemble

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "reduce") return leat::reduce_main<ensemble::Join>();
  if (mode == "show" || mode == "plot") return ensemble::look(mode);
  return heat::rank_main(argc, argv, "ensemble", [&](int rank) {
    leat::Task task(argc, argv);
    return ensemble::one_plate(task, rank);
  });
}
