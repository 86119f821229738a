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
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "examples/mpi/latency/pair.h"

namespace {

using latency::Pair;
using latency::PairTest;

constexpr std::size_t kLatencyBytes = 8;  // what all pairs are tried with
constexpr std::size_t kBandwidthBytes = 1024 * 1024;

struct Options {
  bool json = false;
  double effort = 1;
};

struct Row {
  std::size_t bytes = 0;
  double latency_us = 0;
  double bandwidth_mb_s = 0;
};

struct Worst {
  Pair slowest, narrowest;
  double latency_us = 0;
  double bandwidth_mb_s = 0;
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

// At rank 0; the first rank of every pair tells it.
Worst worst_of(PairTest& test, int rank, int ranks) {
  Worst worst;
  for (int first = 0; first < ranks; ++first)
    for (int second = first + 1; second < ranks; ++second) {
      const Pair pair{first, second};
      double found[2] = {0, 0};
      if (rank == first || rank == second) {
        found[0] = test.latency_us(pair, kLatencyBytes);
        found[1] = test.bandwidth_mb_s(pair, kBandwidthBytes);
      }
      // Nobody else sends anything meanwhile.
      MPI_Bcast(found, 2, MPI_DOUBLE, first, MPI_COMM_WORLD);
      if (found[0] > worst.latency_us) worst.latency_us = found[0], worst.slowest = pair;
      if (worst.bandwidth_mb_s == 0 || found[1] < worst.bandwidth_mb_s)
        worst.bandwidth_mb_s = found[1], worst.narrowest = pair;
    }
  return worst;
}

void print_json(int ranks, const std::vector<Row>& rows, const Worst* worst) {
  nlohmann::ordered_json sizes = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    sizes.push_back({{"bytes", row.bytes}, {"latency_us", row.latency_us}});
    if (row.bytes > 0) sizes.back()["bandwidth_mb_s"] = row.bandwidth_mb_s;
  }
  nlohmann::ordered_json all{{"version", 1}, {"ranks", ranks}, {"pair", {0, 1}}, {"sizes", sizes}};
  if (worst != nullptr)
    all["worst"] = {{"latency_us", worst->latency_us},
                    {"latency_bytes", kLatencyBytes},
                    {"latency_pair", {worst->slowest.first, worst->slowest.second}},
                    {"bandwidth_mb_s", worst->bandwidth_mb_s},
                    {"bandwidth_bytes", kBandwidthBytes},
                    {"bandwidth_pair", {worst->narrowest.first, worst->narrowest.second}}};
  std::cout << all.dump(2) << '\n';
}

void print_table(int ranks, const std::vector<Row>& rows, const Worst* worst) {
  std::printf("ranks 0 and 1 of %d\n%10s %12s %14s\n", ranks, "bytes", "latency us",
              "bandwidth MB/s");
  for (const Row& row : rows) {
    std::printf("%10zu %12.2f", row.bytes, row.latency_us);
    if (row.bytes > 0) std::printf(" %14.2f", row.bandwidth_mb_s);
    std::printf("\n");
  }
  if (worst != nullptr)
    std::printf(
        "worst of all pairs: %zu bytes %.2f us (ranks %d and %d), %zu bytes %.2f MB/s "
        "(ranks %d and %d)\n",
        kLatencyBytes, worst->latency_us, worst->slowest.first, worst->slowest.second,
        kBandwidthBytes, worst->bandwidth_mb_s, worst->narrowest.first, worst->narrowest.second);
}

void measure(const Options& options, int rank, int ranks) {
  PairTest test(MPI_COMM_WORLD, options.effort);
  const std::vector<Row> rows = rank < 2 ? rows_of(test) : std::vector<Row>{};
  MPI_Barrier(MPI_COMM_WORLD);
  const Worst worst = ranks > 2 ? worst_of(test, rank, ranks) : Worst{};
  if (rank != 0) return;
  (options.json ? print_json : print_table)(ranks, rows, ranks > 2 ? &worst : nullptr);
  if (std::fflush(stdout) != 0 || !std::cout.flush())
    throw std::runtime_error("cannot write to standard output");
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
