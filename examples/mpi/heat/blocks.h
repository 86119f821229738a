#pragma once

// blocks.h - a square of cells cut into blocks, one for each rank.
//
// Owns:    a communicator of its own, in which ranks keep their numbers.
// Thread:  the one that may call MPI. The constructor, gather and scatter are collective.
// Errors:  what MPI refuses ends the program, by its own default.

#include <mpi.h>

#include <cstdint>
#include <span>
#include <vector>

#include <leat/coverage.h>

namespace heat {

struct Block {
  leat::Share rows;
  leat::Share columns;

  [[nodiscard]] std::uint64_t cells() const { return rows.count * columns.count; }
};

// The ranks next to one, MPI_PROC_NULL beyond the edges.
struct Neighbours {
  int north = MPI_PROC_NULL;
  int south = MPI_PROC_NULL;
  int west = MPI_PROC_NULL;
  int east = MPI_PROC_NULL;
};

class Blocks {
 public:
  // Throws BadInput if there are too few cells for so many.
  Blocks(MPI_Comm ranks, std::int64_t size);
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks() { MPI_Comm_free(&comm_); }

  [[nodiscard]] MPI_Comm comm() const { return comm_; }
  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] Block mine() const { return of(rank_); }
  [[nodiscard]] Neighbours neighbours() const;

  // The whole, row by row, of all ranks' blocks: at rank 0, empty elsewhere.
  [[nodiscard]] std::vector<double> gather(std::span<const double> block) const;
  // This rank's block of the whole that rank 0 has.
  [[nodiscard]] std::vector<double> scatter(std::span<const double> whole) const;

 private:
  // How many cells each rank has, and where they begin in the blocks one after the other.
  struct Layout {
    std::vector<int> counts;
    std::vector<int> begins;
  };

  [[nodiscard]] Block of(int rank) const;
  [[nodiscard]] Layout layout() const;

  MPI_Comm comm_ = MPI_COMM_NULL;
  std::uint64_t size_ = 0;
  int rank_ = 0;
  int ranks_ = 0;
  int dimensions_[2] = {0, 0};  // blocks from north to south, from west to east
};

}  // namespace heat
