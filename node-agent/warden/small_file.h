#pragma once

// small_file.h - files of the kernel that are read or written whole, as text.

#include <string>
#include <string_view>

namespace leat::warden {

// Longer files are cut here.
inline constexpr std::size_t kSmallFileBytesMax = 4u << 20;

// Empty if it cannot be read. Relative paths start at `directory_fd`, by default where we are.
std::string read_small_file(const std::string& path, int directory_fd = -100,
                            std::size_t bytes_max = kSmallFileBytesMax);

// In one call, as such files want it. Returns 0 or errno.
int write_small_file(const std::string& path, std::string_view text, int directory_fd = -100);

}  // namespace leat::warden
