// heat.cc - heat spreads over a plate: a two-dimensional solver by ranks of MPI.
//
//     mpirun -n 4 heat --size 512 --steps 5000 --picture plate.png
//     leat submit --nodes 2 --ranks-per-node 2 --mpi -- heat --picture plate.png
//
// Every rank has a block of the plate, and tells its four neighbours of its outermost cells while
// it computes the others. Any number of ranks gives the same field to the last bit. What it may be
// told stands in parameters.h. A run that was cancelled or lost goes on from its last checkpoint.

#include <mpi.h>

#include <fstream>
#include <iomanip>
#include <iostream>

#include "examples/mpi/heat/picture.h"
#include "examples/mpi/heat/rank_main.h"
#include "examples/mpi/heat/run.h"

namespace {

void write_field(const std::string& path, const std::vector<double>& field) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(field.data()),
             static_cast<std::streamsize>(field.size() * sizeof(double)));
  file.close();
  if (!file) throw leat::TaskError("cannot write the field " + path);
}

void report(const heat::Outcome& outcome) {
  const heat::Summary summary = heat::summary_of(outcome.field);
  std::cout << std::setprecision(17) << "steps " << outcome.steps << "\nchange " << outcome.change
            << "\nmean " << summary.mean << "\nlowest " << summary.lowest << "\nhighest "
            << summary.highest << std::endl;
  if (!std::cout) throw leat::TaskError("cannot write to standard output");
}

int heat_main(const leat::Task& task, int rank) {
  const heat::Parameters parameters = heat::read_parameters(task);
  const heat::Outcome outcome = heat::run(task, parameters, MPI_COMM_WORLD);
  if (outcome.cancelled) {
    if (rank == 0) std::cerr << "heat: asked to end after step " << outcome.steps << '\n';
    return heat::kExitCancelled;
  }
  if (rank != 0) return EXIT_SUCCESS;
  if (!parameters.picture.empty())
    heat::write_picture(parameters.picture, outcome.field,
                        static_cast<std::uint64_t>(parameters.size));
  if (!parameters.field.empty()) write_field(parameters.field, outcome.field);
  report(outcome);
  heat::forget(task, parameters);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  return heat::rank_main(argc, argv, "heat",
                         [&](int rank) { return heat_main(leat::Task(argc, argv), rank); });
}
