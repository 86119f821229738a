#pragma once

// crc32c.h - the checksum of our records and envelopes (Castagnoli polynomial).

#include <cstddef>
#include <cstdint>
#include <span>

namespace leat {

// The checksum of `bytes`; `before` is that of what comes before them.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace leat
