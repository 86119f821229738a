#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace leat {
namespace {

TEST(Crc32c, IsTheCastagnoliChecksum) {
  const std::string digits = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(digits))), 0xe3069283u);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(digits));
  EXPECT_EQ(crc32c(bytes.subspan(3), crc32c(bytes.first(3))), 0xe3069283u);
}

}  // namespace
}  // namespace leat
