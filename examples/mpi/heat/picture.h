#pragma once

// picture.h - a field of temperatures as a picture.

#include <cstdint>
#include <string>
#include <vector>

namespace heat {

// A PNG of a pixel for each cell, from black for the coldest over red and yellow to white for the
// hottest. Throws leat::TaskError if it cannot be written.
void write_picture(const std::string& path, const std::vector<double>& field, std::uint64_t size);

}  // namespace heat
