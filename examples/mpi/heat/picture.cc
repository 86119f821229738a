#include "examples/mpi/heat/picture.h"

#include <png.h>

#include <algorithm>
#include <cmath>

#include <leat/task.h>

namespace heat {
namespace {

// Of 0 to 1: first red grows, then green, then blue.
void append_colour(std::vector<png_byte>& pixels, double heat) {
  for (int colour = 0; colour < 3; ++colour)
    pixels.push_back(
        static_cast<png_byte>(std::lround(255 * std::clamp(3 * heat - colour, 0.0, 1.0))));
}

}  // namespace

void write_picture(const std::string& path, const std::vector<double>& field, std::uint64_t size) {
  const auto [lowest, highest] = std::minmax_element(field.begin(), field.end());
  const double range = *highest > *lowest ? *highest - *lowest : 1;
  std::vector<png_byte> pixels;
  pixels.reserve(3 * field.size());
  for (const double degrees : field) append_colour(pixels, (degrees - *lowest) / range);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(size);
  image.height = static_cast<png_uint_32>(size);
  image.format = PNG_FORMAT_RGB;
  if (png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr) == 0)
    throw leat::TaskError("cannot write the picture " + path + ": " + image.message);
}

}  // namespace heat
