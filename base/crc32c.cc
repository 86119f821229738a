#include "base/crc32c.h"

#include <array>

namespace leat {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected
using Table = std::array<std::array<std::uint32_t, 256>, 4>;

// Table n advances a byte by n further bytes, so that four are taken at a time.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[0][i] = value;
  }
  for (std::size_t n = 1; n < table.size(); ++n)
    for (std::size_t i = 0; i < 256; ++i)
      table[n][i] = (table[n - 1][i] >> 8) ^ table[0][table[n - 1][i] & 0xff];
  return table;
}

constexpr Table kTable = make_table();

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  std::size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    crc ^= std::to_integer<std::uint32_t>(bytes[i]) |
           std::to_integer<std::uint32_t>(bytes[i + 1]) << 8 |
           std::to_integer<std::uint32_t>(bytes[i + 2]) << 16 |
           std::to_integer<std::uint32_t>(bytes[i + 3]) << 24;
    crc = kTable[3][crc & 0xff] ^ kTable[2][(crc >> 8) & 0xff] ^ kTable[1][(crc >> 16) & 0xff] ^
          kTable[0][crc >> 24];
  }
  for (; i < bytes.size(); ++i)
    crc = (crc >> 8) ^ kTable[0][(crc ^ std::to_integer<std::uint32_t>(bytes[i])) & 0xff];
  return ~crc;
}

}  // namespace leat
