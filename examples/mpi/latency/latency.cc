// latency.cc - latency and bandwidth of a gang's network, by messages there and back.
//
//     mpirun -n 2 latency
//     leat submit --nodes 2 --mpi=required --wait -- latency --json; leat logs last.0
//
// Ranks 0 and 1 exchange messages of growing sizes; of more ranks, all pairs are tried one after
// the other with two of the sizes, and the worst is named. --json prints the same for programs,
// --effort 0.1 takes a tenth of the time. Between ranks that share a core the figures tell how the
// system switches between them, not how messages pass.

#include <mpi.h>

#include <charconv>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "examples/mpi/latency/figures.h"
#include "examples/mpi/latency/pair.h"

namespace {

using latency::Pair;
using latency::PairRow;
using latency::PairTest;
using latency::Row;

struct Options {
  bool json = false;
  double effort = 1;
};

Options options_of(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--json") {
      options.json = true;
    } else if (name == "--effort") {
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), options.effort);
      if (error != std::errc{} || end != value.data() + value.size() || !(options.effort > 0))
        throw std::invalid_argument("--effort needs a number above 0");
      ++i;
    } else {
      throw std::invalid_argument("usage: latency [--json] [--effort N]");
    }
  }
  return options;
}

std::vector<Row> rows_of(PairTest& test) {
  std::vector<Row> rows{{0, test.latency_us({0, 1}, 0), 0}};
  for (std::size_t bytes = 1; bytes <= latency::kBytesMax; bytes *= 2)
    rows.push_back({bytes, test.latency_us({0, 1}, bytes), test.bandwidth_mb_s({0, 1}, bytes)});
  return rows;
}

// Of all pairs, one after the other; at every rank.
std::vector<PairRow> pairs_of(PairTest& test, int rank, int ranks) {
  std::vector<PairRow> rows;
  for (int first = 0; first < ranks; ++first)
    for (int second = first + 1; second < ranks; ++second) {
      const Pair pair{first, second};
      double found[2] = {0, 0};
      if (rank == first || rank == second) {
        found[0] = test.latency_us(pair, latency::kPairLatencyBytes);
        found[1] = test.bandwidth_mb_s(pair, latency::kPairBandwidthBytes);
      }
      // Nobody else sends anything meanwhile.
      MPI_Bcast(found, 2, MPI_DOUBLE, first, MPI_COMM_WORLD);
      rows.push_back({pair, found[0], found[1]});
    }
  return rows;
}

void measure(const Options& options, int rank, int ranks) {
  PairTest test(MPI_COMM_WORLD, options.effort);
  const std::vector<Row> rows = rank < 2 ? rows_of(test) : std::vector<Row>{};
  MPI_Barrier(MPI_COMM_WORLD);
  const auto pairs = ranks > 2 ? pairs_of(test, rank, ranks) : std::vector<PairRow>{};
  if (rank != 0) return;
  const latency::Figures figures{ranks, rows, pairs};
  if (options.json)
    latency::print_json(std::cout, figures);
  else
    latency::print_table(std::cout, figures);
  if (!std::cout.flush()) throw std::runtime_error("cannot write to standard output");
}

}  // namespace

int main(int argc, char** argv) {
  int rank = 0;
  int ranks = 0;
  int code = EXIT_SUCCESS;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  try {
    const Options options = options_of(argc, argv);
    if (ranks < 2) throw std::invalid_argument("needs two ranks or more");
    measure(options, rank, ranks);
  } catch (const std::invalid_argument& error) {  // at every rank alike
    if (rank == 0) std::cerr << "latency: " << error.what() << '\n';
    code = 2;
  } catch (const std::exception& error) {
    std::cerr << "latency: " << error.what() << '\n';
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
  }
  MPI_Finalize();
  return code;
}
