#include "examples/mpi/heat/blocks.h"

#include <algorithm>
#include <string>

#include "examples/mpi/heat/rank_main.h"

namespace heat {
namespace {

// Calls `copy(where in the whole, where in the block, cells)` for each row of a block.
template <typename Copy>
void each_row(const Block& block, std::uint64_t size, const Copy& copy) {
  for (std::uint64_t row = 0; row < block.rows.count; ++row)
    copy((block.rows.first + row) * size + block.columns.first, row * block.columns.count,
         block.columns.count);
}

}  // namespace

Blocks::Blocks(MPI_Comm ranks, std::int64_t size) : size_(static_cast<std::uint64_t>(size)) {
  MPI_Comm_size(ranks, &ranks_);
  MPI_Dims_create(ranks_, 2, dimensions_);
  if (size < dimensions_[0])  // the larger of the two
    throw BadInput(std::to_string(ranks_) + " ranks want a size of at least " +
                   std::to_string(dimensions_[0]));
  const int not_around[2] = {0, 0};
  MPI_Cart_create(ranks, 2, dimensions_, not_around, 0, &comm_);
  MPI_Comm_rank(comm_, &rank_);
}

Block Blocks::of(int rank) const {
  int at[2] = {0, 0};
  MPI_Cart_coords(comm_, rank, 2, at);
  const auto share = [&](int dimension) {
    return leat::share_of({0, size_}, static_cast<std::uint64_t>(at[dimension]),
                          static_cast<std::uint64_t>(dimensions_[dimension]));
  };
  return {share(0), share(1)};
}

Neighbours Blocks::neighbours() const {
  Neighbours found;
  MPI_Cart_shift(comm_, 0, 1, &found.north, &found.south);
  MPI_Cart_shift(comm_, 1, 1, &found.west, &found.east);
  return found;
}

Blocks::Layout Blocks::layout() const {
  Layout layout;
  int begin = 0;
  for (int rank = 0; rank < ranks_; ++rank) {
    layout.counts.push_back(static_cast<int>(of(rank).cells()));
    layout.begins.push_back(begin);
    begin += layout.counts.back();
  }
  return layout;
}

std::vector<double> Blocks::gather(std::span<const double> block) const {
  const Layout all = layout();
  std::vector<double> packed(rank_ == 0 ? size_ * size_ : 0);
  MPI_Gatherv(block.data(), static_cast<int>(block.size()), MPI_DOUBLE, packed.data(),
              all.counts.data(), all.begins.data(), MPI_DOUBLE, 0, comm_);
  std::vector<double> whole(packed.size());
  for (int rank = 0; rank_ == 0 && rank < ranks_; ++rank) {
    const double* const from = packed.data() + all.begins[static_cast<std::size_t>(rank)];
    each_row(of(rank), size_, [&](std::uint64_t in_whole, std::uint64_t at, std::uint64_t cells) {
      std::copy_n(from + at, cells, whole.data() + in_whole);
    });
  }
  return whole;
}

std::vector<double> Blocks::scatter(std::span<const double> whole) const {
  const Layout all = layout();
  std::vector<double> packed(rank_ == 0 ? size_ * size_ : 0);
  for (int rank = 0; rank_ == 0 && rank < ranks_; ++rank) {
    double* const to = packed.data() + all.begins[static_cast<std::size_t>(rank)];
    each_row(of(rank), size_, [&](std::uint64_t in_whole, std::uint64_t at, std::uint64_t cells) {
      std::copy_n(whole.data() + in_whole, cells, to + at);
    });
  }
  std::vector<double> block(mine().cells());
  MPI_Scatterv(packed.data(), all.counts.data(), all.begins.data(), MPI_DOUBLE, block.data(),
               static_cast<int>(block.size()), MPI_DOUBLE, 0, comm_);
  return block;
}

}  // namespace heat
