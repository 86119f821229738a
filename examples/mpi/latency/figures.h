#pragma once

// figures.h - what was measured, for people and for programs.

#include <cstddef>
#include <ostream>
#include <vector>

#include "examples/mpi/latency/pair.h"

namespace latency {

// What all pairs are tried with.
inline constexpr std::size_t kPairLatencyBytes = 8;
inline constexpr std::size_t kPairBandwidthBytes = 1024 * 1024;

struct Row {
  std::size_t bytes = 0;
  double latency_us = 0;
  double bandwidth_mb_s = 0;  // of no bytes, none
};

struct PairRow {
  Pair pair;
  double latency_us = 0;
  double bandwidth_mb_s = 0;
};

struct Figures {
  int ranks = 0;
  std::vector<Row> sizes;      // between ranks 0 and 1
  std::vector<PairRow> pairs;  // of two ranks, none
};

// An object with `version`, to which later versions only add.
void print_json(std::ostream& to, const Figures& figures);
void print_table(std::ostream& to, const Figures& figures);

}  // namespace latency
