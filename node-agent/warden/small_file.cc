#include "node-agent/warden/small_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "node-agent/warden/fd.h"

namespace leat::warden {

static_assert(AT_FDCWD == -100);  // NOLINT(misc-redundant-expression)

std::string read_small_file(const std::string& path, int directory_fd, std::size_t bytes_max) {
  const Fd fd(openat(directory_fd, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::string text;
  if (!fd) return text;
  while (text.size() < bytes_max) {
    const std::size_t before = text.size();
    text.resize(before + std::min<std::size_t>(bytes_max - before, 8192));
    const ssize_t got = read(fd.get(), text.data() + before, text.size() - before);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got <= 0) break;
  }
  return text;
}

int write_small_file(const std::string& path, std::string_view text, int directory_fd) {
  const Fd fd(openat(directory_fd, path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return errno;
  const ssize_t wrote = write(fd.get(), text.data(), text.size());
  if (wrote < 0) return errno;
  return static_cast<std::size_t>(wrote) == text.size() ? 0 : EIO;
}

}  // namespace leat::warden
