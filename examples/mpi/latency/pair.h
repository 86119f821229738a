#pragma once

// pair.h - how fast messages pass between two ranks.
//
// Units:   bytes, microseconds, and megabytes (10^6) per second.
// Thread:  the one that may call MPI. Both ranks of the pair call alike, nobody else need.
// Errors:  what MPI refuses ends the program, by its own default; a message that arrives changed
//          is thrown at the rank that finds it, as std::runtime_error.

#include <mpi.h>

#include <cstddef>
#include <vector>

namespace latency {

inline constexpr std::size_t kBytesMax = 4 * 1024 * 1024;

struct Pair {
  int first = 0;
  int second = 1;
};

class PairTest {
 public:
  // `effort` multiplies how often everything is repeated.
  PairTest(MPI_Comm ranks, double effort);

  // Half of a message's way there and back; at both ranks. As of the bandwidth, what is given is
  // the median of several averages, which a moment's disturbance does not change.
  double latency_us(const Pair& pair, std::size_t bytes);

  // What arrives at `second` if `first` has several messages on their way at once; at both ranks.
  // REQUIRES: bytes > 0.
  double bandwidth_mb_s(const Pair& pair, std::size_t bytes);

 private:
  // How often messages of so many bytes are exchanged, in each of the batches.
  [[nodiscard]] int repetitions(std::size_t bytes) const;
  void there_and_back(const Pair& pair, int bytes, int times);
  void one_window(const Pair& pair, int bytes);
  void check(const char* begin, std::size_t bytes) const;

  MPI_Comm ranks_;
  double effort_;
  int rank_ = 0;
  std::vector<char> sent_;
  std::vector<char> received_;  // a slot for each message of a window
};

}  // namespace latency
