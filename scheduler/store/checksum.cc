#include "scheduler/store/checksum.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace leat::store {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected

using Table = std::array<std::uint32_t, 256>;

// tables[k][b]: what byte b does to the sum when k bytes follow it.
constexpr std::array<Table, 8> make_tables() {
  std::array<Table, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = sum;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xff];
  return tables;
}

constexpr std::array<Table, 8> kSumTables = make_tables();

std::uint32_t fold(std::uint32_t sum, std::uint64_t word) {
  word ^= sum;
  sum = 0;
  for (std::size_t k = 0; k < 8; ++k) sum ^= kSumTables[7 - k][(word >> (8 * k)) & 0xff];
  return sum;
}

}  // namespace

std::uint32_t checksum(std::string_view bytes, std::uint64_t seed) {
  std::uint32_t sum = fold(0xffffffff, seed);
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    sum = fold(sum, word);
    bytes.remove_prefix(sizeof word);
  }
  for (const char c : bytes)
    sum = (sum >> 8) ^ kSumTables[0][(sum ^ static_cast<unsigned char>(c)) & 0xff];
  return ~sum;
}

}  // namespace leat::store
