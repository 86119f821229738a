#pragma once

// statistics.h - what an ensemble of runs makes of their results, and how two such are joined.

#include <algorithm>
#include <boost/serialization/map.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include <leat/partial.h>
#include <leat/payload.h>

namespace ensemble {

// Mean, variance and extremes of values, of which one is enough.
struct Moments {
  std::uint64_t count = 0;
  double mean = 0;
  double squares = 0;  // the sum of squared distances from the mean
  double lowest = std::numeric_limits<double>::infinity();
  double highest = -std::numeric_limits<double>::infinity();

  static Moments of(double value) { return {1, value, 0, value, value}; }
  // Of the values, not an estimate for others.
  [[nodiscard]] double variance() const { return squares / static_cast<double>(count); }
  [[nodiscard]] double sigma() const { return std::sqrt(variance()); }

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& count& mean& squares& lowest& highest;
  }
};

// Chan's way: exact but for rounding however many values there are on either side, where sums of
// squares would cancel. REQUIRES: one of them is not empty.
inline Moments joined(const Moments& left, const Moments& right) {
  const auto of_left = static_cast<double>(left.count);
  const auto of_right = static_cast<double>(right.count);
  const double distance = right.mean - left.mean;
  const double share = of_right / (of_left + of_right);
  return {left.count + right.count, left.mean + distance * share,
          left.squares + right.squares + distance * distance * of_left * share,
          std::min(left.lowest, right.lowest), std::max(left.highest, right.highest)};
}

// Of the plates' mean temperatures: of all, and of those of each conductivity.
struct Statistics {
  Moments all;
  std::map<double, Moments> by_conductivity;

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& all& by_conductivity;
  }
};

// Ordered: whatever ran where, and twice, the last digit is the same.
struct Join : leat::Reducer<Statistics> {
  static constexpr bool kOrdered = true;

  Statistics combine(Statistics left, const Statistics& right) const {
    left.all = joined(left.all, right.all);
    for (const auto& [conductivity, moments] : right.by_conductivity) {
      Moments& mine = left.by_conductivity[conductivity];
      mine = joined(mine, moments);
    }
    return left;
  }
};

}  // namespace ensemble

template <>
struct leat::PayloadName<ensemble::Statistics> {
  static std::string of() { return "statistics of an ensemble, 1"; }
};
