#pragma once

// random.h - a seeded generator that gives the same numbers on every machine and library.

#include <cstdint>

#include "base/check.h"

namespace leat {

// splitmix64 (Steele, Lea, Flood 2014). Not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform enough for tests and jitter: 0 <= result < bound.
  std::uint64_t below(std::uint64_t bound) {
    LEAT_CHECK(bound > 0);
    return next() % bound;
  }

  // True `percent` times in a hundred.
  bool chance(std::uint32_t percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

}  // namespace leat
