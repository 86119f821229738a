#pragma once

// reducers.h - one reducer of each kind, for the tests.

#include <leat/partial.h>

#include <boost/serialization/string.hpp>
#include <cstdint>
#include <string>

namespace leat {

// Shows the order in which it was done, and that each element came once.
struct InOrder : Reducer<std::string> {
  std::string combine(const std::string& left, const std::string& right) const {
    return left + right;
  }
};

// Shows the tree as well.
struct AlongTree : Reducer<std::string> {
  static constexpr bool kOrdered = true;
  std::string combine(const std::string& left, const std::string& right) const {
    return "(" + left + right + ")";
  }
};

struct AnyOrder : Reducer<std::uint64_t> {
  static constexpr bool kCommutative = true;
  std::uint64_t combine(std::uint64_t left, std::uint64_t right) const { return left + right; }
  std::uint64_t identity() const { return 0; }
};

struct OrderedSum : Reducer<double> {
  static constexpr bool kOrdered = true;
  static constexpr bool kCommutative = true;
  double combine(double left, double right) const { return left + right; }
};

// Without `kOrdered`, to show what it is good for.
struct PlainSum : Reducer<double> {
  double combine(double left, double right) const { return left + right; }
};

// Numbers of very different size, whose sum depends on the order.
inline double rough(std::uint64_t index) {
  const double small = 1.0 / static_cast<double>(3 * index + 1);
  return index % 3 == 0 ? small * 1e16 : -small;
}

}  // namespace leat
