// mpi_reduce_ranks.cc - ranks for mpi_reduce_test.py: what they reduce, and whether it is right.
//
// The first argument: `values`, each rank reduces its number at every rank in turn; `twice`, the
// last rank claims an element of the first; `large`, every rank has a megabyte.

#include <leat/mpi_reduce.h>

#include <boost/serialization/string.hpp>
#include <cstdio>
#include <string>

namespace {

struct Texts : leat::Reducer<std::string> {
  static constexpr bool kOrdered = true;
  std::string combine(const std::string& left, const std::string& right) const {
    return left + right;
  }
};

struct Ranks {
  int rank = 0;
  int size = 0;
};

bool reduces_at_every_root(const Ranks& ranks) {
  std::string expected;
  for (int rank = 0; rank < ranks.size; ++rank) expected += std::to_string(rank) + ",";
  for (int root = 0; root < ranks.size; ++root) {
    const std::optional<std::string> all =
        leat::mpi_reduce<Texts>(std::to_string(ranks.rank) + ",", MPI_COMM_WORLD, root);
    if (all.has_value() != (ranks.rank == root)) return false;
    if (all && *all != expected) return false;
  }
  return true;
}

bool refuses_an_element_that_comes_twice(const Ranks& ranks) {
  for (int root = 0; root < ranks.size; ++root) {
    leat::Partial<Texts> mine;
    mine.add(static_cast<std::uint64_t>(ranks.rank + 1 == ranks.size ? 0 : ranks.rank), "x");
    bool refused = false;
    try {
      leat::mpi_reduce(std::move(mine), MPI_COMM_WORLD, root);
    } catch (const leat::CoverageError&) {
      refused = true;
    }
    if (ranks.rank == root && !refused) return false;
  }
  return true;
}

bool reduces_large_values(const Ranks& ranks) {
  constexpr std::size_t kBytes = 1'000'000;
  const std::optional<std::string> all =
      leat::mpi_reduce<Texts>(std::string(kBytes, 'x'), MPI_COMM_WORLD, ranks.size - 1);
  return !all || all->size() == kBytes * static_cast<std::size_t>(ranks.size);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  Ranks ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks.size);
  const std::string mode = argc > 1 ? argv[1] : "";
  const bool right = mode == "values"  ? reduces_at_every_root(ranks)
                     : mode == "twice" ? refuses_an_element_that_comes_twice(ranks)
                                       : mode == "large" && reduces_large_values(ranks);
  if (right) std::printf("rank %d is right\n", ranks.rank);
  MPI_Finalize();
  return right ? 0 : 1;
}
