// pi.cc - pi by quadrature, and what the curve under which it lies is like.
//
// Pi is the area under 4 / (1 + x^2) from 0 to 1. The range is cut into slices; each slice gives
// its area by the midpoint rule, and mean, variance and extremes of the curve at those points. The
// program is written once and runs alone, as tasks with a reduce, and, compiled WITH_MPI, as ranks;
// the reducer being ordered, all of them print the same digits.

#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <limits>
#include <ostream>

#ifdef WITH_MPI
#include <leat/mpi_program.h>
#else
#include <leat/program.h>
#endif

namespace {

constexpr std::uint64_t kSlices = 256;
constexpr std::uint64_t kPointsOfSlice = 20'000;

struct Curve {
  double area = 0;
  std::uint64_t points = 0;
  double mean = 0;
  double squares = 0;  // the sum of squared distances from the mean
  double lowest = std::numeric_limits<double>::infinity();
  double highest = -std::numeric_limits<double>::infinity();

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& area& points& mean& squares& lowest& highest;
  }
};

std::ostream& operator<<(std::ostream& to, const Curve& curve) {
  return to << std::setprecision(17) << "pi " << curve.area << "\npoints " << curve.points
            << "\nmean " << curve.mean << "\nvariance "
            << curve.squares / static_cast<double>(curve.points) << "\nlowest " << curve.lowest
            << "\nhighest " << curve.highest;
}

struct Join : leat::Reducer<Curve> {
  static constexpr bool kOrdered = true;

  Curve combine(const Curve& left, const Curve& right) const {
    const double of_left = static_cast<double>(left.points);
    const double of_right = static_cast<double>(right.points);
    const double distance = right.mean - left.mean;
    const double share = of_right / (of_left + of_right);
    return {left.area + right.area,
            left.points + right.points,
            left.mean + distance * share,
            left.squares + right.squares + distance * distance * of_left * share,
            std::min(left.lowest, right.lowest),
            std::max(left.highest, right.highest)};
  }
};

Curve slice(std::uint64_t number) {
  constexpr double kWidth = 1.0 / static_cast<double>(kSlices * kPointsOfSlice);
  Curve curve;
  for (std::uint64_t i = number * kPointsOfSlice; i < (number + 1) * kPointsOfSlice; ++i) {
    const double x = (static_cast<double>(i) + 0.5) * kWidth;
    const double y = 4 / (1 + x * x);
    const double distance = y - curve.mean;
    curve.area += y * kWidth;
    curve.mean += distance / static_cast<double>(++curve.points);
    curve.squares += distance * (y - curve.mean);
    curve.lowest = std::min(curve.lowest, y);
    curve.highest = std::max(curve.highest, y);
  }
  return curve;
}

}  // namespace

int main(int argc, char** argv) {
#ifdef WITH_MPI
  return leat::mpi_program_main<Join>(argc, argv, kSlices, slice);
#else
  return leat::program_main<Join>(argc, argv, kSlices, slice);
#endif
}
