#pragma once

// little_endian.h - numbers as records of the spool hold them.

#include <cstdint>
#include <string>

namespace leat::spool {

inline void put_u32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8)
    out.push_back(static_cast<char>((value >> shift) & 0xff));
}

// REQUIRES of `bytes`: four of them.
inline std::uint32_t get_u32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace leat::spool
