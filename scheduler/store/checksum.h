#pragma once

// checksum.h - CRC-32C, so that what the disk has changed is never taken for what was written.

#include <cstdint>
#include <string_view>

namespace leat::store {

// Continues from `seed`, so that a row's place can be part of its sum.
std::uint32_t checksum(std::string_view bytes, std::uint64_t seed);

}  // namespace leat::store
