#include "examples/mpi/heat/solver.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace heat {

Solver::Solver(const Blocks& blocks, std::span<const double> cells, double conductivity,
               double edge)
    : blocks_(blocks),
      neighbours_(blocks.neighbours()),
      rows_(blocks.mine().rows.count),
      columns_(blocks.mine().columns.count),
      width_(columns_ + 2),
      conductivity_(conductivity),
      now_((rows_ + 2) * width_) {
  MPI_Type_vector(static_cast<int>(rows_), 1, static_cast<int>(width_), MPI_DOUBLE, &column_);
  MPI_Type_commit(&column_);
  if (neighbours_.north == MPI_PROC_NULL) std::fill_n(now_.begin(), width_, edge);
  for (std::size_t row = 0; row < rows_; ++row)
    std::copy_n(cells.data() + row * columns_, columns_, at(row + 1, 1));
  next_ = now_;  // the edges never change, so both have them
}

std::vector<double> Solver::cells() const {
  std::vector<double> cells(rows_ * columns_);
  for (std::size_t row = 0; row < rows_; ++row)
    std::copy_n(&now_[(row + 1) * width_ + 1], columns_, cells.data() + row * columns_);
  return cells;
}

double Solver::step() {
  Requests requests;
  exchange_halo(requests);
  // What needs no neighbour, while the halo is on its way.
  double change = update({2, rows_, 2, columns_});
  MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  change = std::max(change, update({1, 2, 1, columns_ + 1}));
  if (rows_ > 1) change = std::max(change, update({rows_, rows_ + 1, 1, columns_ + 1}));
  change = std::max(change, update({2, rows_, 1, 2}));
  if (columns_ > 1) change = std::max(change, update({2, rows_, columns_, columns_ + 1}));
  std::swap(now_, next_);
  return change;
}

void Solver::exchange_halo(Requests& requests) {
  // A message is tagged with the way it goes.
  enum Way { kNorthward, kSouthward, kWestward, kEastward };
  const MPI_Comm comm = blocks_.comm();
  const int columns = static_cast<int>(columns_);
  const auto& [north, south, west, east] = neighbours_;
  MPI_Request* request = requests.data();
  MPI_Irecv(at(0, 1), columns, MPI_DOUBLE, north, kSouthward, comm, request++);
  MPI_Irecv(at(rows_ + 1, 1), columns, MPI_DOUBLE, south, kNorthward, comm, request++);
  MPI_Irecv(at(1, 0), 1, column_, west, kEastward, comm, request++);
  MPI_Irecv(at(1, columns_ + 1), 1, column_, east, kWestward, comm, request++);
  MPI_Isend(at(1, 1), columns, MPI_DOUBLE, north, kNorthward, comm, request++);
  MPI_Isend(at(rows_, 1), columns, MPI_DOUBLE, south, kSouthward, comm, request++);
  MPI_Isend(at(1, 1), 1, column_, west, kWestward, comm, request++);
  MPI_Isend(at(1, columns_), 1, column_, east, kEastward, comm, request++);
}

double Solver::update(const Part& part) {
  double change = 0;
  for (std::size_t row = part.rows_from; row < part.rows_to; ++row) {
    const double* const here = &now_[row * width_];
    const double* const above = here - width_;
    const double* const below = here + width_;
    double* const next = &next_[row * width_];
    for (std::size_t i = part.columns_from; i < part.columns_to; ++i) {
      const double around = (above[i] + below[i]) + (here[i - 1] + here[i + 1]);
      const double flow = conductivity_ * (around - 4 * here[i]);
      next[i] = here[i] + flow;
      change = std::max(change, std::abs(flow));
    }
  }
  return change;
}

}  // namespace heat
