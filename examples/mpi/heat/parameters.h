#pragma once

// parameters.h - what a run of the heat solver is told.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include <leat/task.h>

namespace heat {

inline constexpr std::int64_t kSizeMax = 4096;  // a checkpoint of it is one envelope of the SDK
inline constexpr std::int64_t kStepsMax = 1'000'000'000;

// A square plate whose upper edge is kept at `edge` degrees and whose other edges are kept at 0.
struct Parameters {
  std::int64_t size = 256;     // cells from edge to edge
  std::int64_t steps = 2000;   // at most
  double tolerance = 0;        // done earlier once no cell changes by more in a step; 0: never
  double conductivity = 0.25;  // of the difference to a neighbour, what flows in a step. At the
                               // most there can be, 0.25, a step is one of Jacobi's method
  double edge = 100;
  std::string start = "spots";  // what it begins with: "cold", hot "spots", or a "wave"
  std::uint64_t seed = 1;       // of the spots

  std::int64_t checkpoint_every = 500;  // steps; 0: never
  std::string picture;                  // where the last field becomes a PNG; empty: nowhere
  std::string field;                    // where it becomes doubles, the upper row first
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Parameters, size, steps, tolerance, conductivity, edge, start,
                                   seed, checkpoint_every, picture, field)

// Of the task's input, a JSON object, then of its arguments, `--size 64 --checkpoint-every 100`.
// Throws BadInput for what is no parameter, or not of its kind or range.
Parameters read_parameters(const leat::Task& task);

// All by which two runs may differ after as many steps: a checkpoint of one is of use to the other
// if this is the same.
std::string identity_of(const Parameters& parameters);

}  // namespace heat
