#pragma once

// loss.h - what the end of a run costs its task.

#include <cstdint>

#include "base/run_columns.h"

namespace leat::core {

enum class Cost : std::uint8_t {
  kNothing,  // the task waits again as if nothing had been
  kRetry,    // one of the user's retries
  kLoss,     // not the task's fault, perhaps; kLossesMax of them set it aside
};

constexpr bool ended_well(const RunRow& row) {
  return row.outcome == Outcome::kExit && row.code == 0;
}

// For runs that did not succeed.
constexpr Cost cost_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kNodeLost:
    case Outcome::kSpoolFull:
      return Cost::kLoss;
    case Outcome::kWithdrawn:
    case Outcome::kInputLost:
    case Outcome::kOutputLost:
    case Outcome::kCancelled:
      return Cost::kNothing;
    default:
      return Cost::kRetry;
  }
}

}  // namespace leat::core
