#pragma once

// time.h - instants and spans, as values. Nothing here reads a clock.

#include <chrono>
#include <compare>
#include <cstdint>

namespace leat {

// Microseconds, the resolution of everything that is stored or sent.
using Duration = std::chrono::microseconds;

// An instant: microseconds since the store was created. Never backwards, not even across
// restarts and reboots; a ClockMapped fact ties it to wall time.
struct Time {
  Duration since_start{0};

  friend constexpr auto operator<=>(Time, Time) = default;
  friend constexpr Time operator+(Time t, Duration d) { return {t.since_start + d}; }
  friend constexpr Duration operator-(Time a, Time b) { return a.since_start - b.since_start; }
  constexpr std::int64_t us() const { return since_start.count(); }
};

inline constexpr Time kNever{Duration::max()};

}  // namespace leat
