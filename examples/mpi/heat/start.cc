#include "examples/mpi/heat/start.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace heat {
namespace {

constexpr double kHottest = 100;
constexpr int kSpots = 6;

struct Spot {
  double x, y, radius, degrees;
};

std::vector<Spot> spots_of(std::uint64_t seed) {
  std::mt19937_64 chance(seed);  // the same numbers with every library
  const auto between = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(chance() >> 11) * 0x1p-53;
  };
  std::vector<Spot> spots;
  for (int i = 0; i < kSpots; ++i) {
    Spot spot{};
    spot.x = between(0.1, 0.9);
    spot.y = between(0.1, 0.9);
    spot.radius = between(0.05, 0.2);
    spot.degrees = between(kHottest / 2, kHottest);
    spots.push_back(spot);
  }
  return spots;
}

double cell(const std::string& start, const std::vector<Spot>& spots, double x, double y) {
  if (start == "wave")
    return kHottest * std::sin(std::numbers::pi * x) * std::sin(std::numbers::pi * y);
  double degrees = 0;
  for (const Spot& spot : spots)
    if (std::hypot(x - spot.x, y - spot.y) <= spot.radius)
      degrees = std::max(degrees, spot.degrees);
  return degrees;
}

}  // namespace

std::vector<double> start_of(const Parameters& parameters, const Block& block) {
  const std::vector<Spot> spots =
      parameters.start == "spots" ? spots_of(parameters.seed) : std::vector<Spot>{};
  const double width = 1 / static_cast<double>(parameters.size + 1);
  std::vector<double> cells;
  cells.reserve(block.cells());
  for (std::uint64_t row = 0; row < block.rows.count; ++row)
    for (std::uint64_t column = 0; column < block.columns.count; ++column)
      cells.push_back(cell(parameters.start, spots,
                           static_cast<double>(block.columns.first + column + 1) * width,
                           static_cast<double>(block.rows.first + row + 1) * width));
  return cells;
}

}  // namespace heat
