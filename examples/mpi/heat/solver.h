#pragma once

// solver.h - the steps of a plate's cells, rank by rank, with what neighbours must know of each
// other.
//
// Borrows: the blocks, which outlive it.
// Thread:  the one that may call MPI. step() is collective, but waits for neighbours only.

#include <mpi.h>

#include <array>
#include <span>
#include <vector>

#include "examples/mpi/heat/blocks.h"

namespace heat {

class Solver {
 public:
  // REQUIRES: `cells` is this rank's block, row by row.
  Solver(const Blocks& blocks, std::span<const double> cells, double conductivity, double edge);
  Solver(const Solver&) = delete;
  Solver& operator=(const Solver&) = delete;
  ~Solver() { MPI_Type_free(&column_); }

  // Takes every cell one step on; the largest change of a cell of this rank. Each cell comes of the
  // same arithmetic however the plate is cut, so the field is the same to the last bit.
  double step();

  // This rank's block, row by row.
  [[nodiscard]] std::vector<double> cells() const;

 private:
  // From a row or column up to, not with, another; the halo is 0 and count + 1.
  struct Part {
    std::size_t rows_from, rows_to, columns_from, columns_to;
  };
  using Requests = std::array<MPI_Request, 8>;

  [[nodiscard]] double* at(std::size_t row, std::size_t column) {
    return &now_[row * width_ + column];
  }
  void exchange_halo(Requests& requests);
  double update(const Part& part);

  const Blocks& blocks_;
  Neighbours neighbours_;
  std::size_t rows_;
  std::size_t columns_;
  std::size_t width_;  // of a row with its halo
  double conductivity_;
  MPI_Datatype column_ = MPI_DATATYPE_NULL;
  std::vector<double> now_;
  std::vector<double> next_;
};

}  // namespace heat
