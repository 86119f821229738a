#pragma once

// waits.h - what makes jobs of the simulation wait: other jobs, delays, people.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "scheduler/core/state.h"
#include "tests/sim/events.h"

namespace leat::sim {

class Evidence;

// What one user wants of a job. Every third comes after the one before it; others are tried again
// after a delay, or held for a while.
struct Waits {
  std::optional<std::size_t> after_user;
  core::After after;  // its job is known when it has been acknowledged
  std::optional<Duration> held_from;
  Duration held_for{0};
};

// Deterministic in `n` and `random`.
Waits plan_waits(std::size_t n, Random& random);

// `spec` with its delays, and its dependency, whose job is known. `tasks`: of that job; task by
// task both have as many.
core::JobSpec with_waits(const core::JobSpec& spec, std::size_t n, const Waits& waits);

// What is wrong with the launch of a task before what it comes after; empty: nothing. `tasks` is
// the size of the other job. Evidence is from outside: what tasks themselves left behind.
std::string check_launch(const Waits& waits, std::uint64_t tasks, const Evidence& evidence,
                         Index index);

// Whether a job may have ended as skipped: what it came after really ended otherwise.
bool may_be_skipped(const Waits& waits, const core::Job& target);

}  // namespace leat::sim
