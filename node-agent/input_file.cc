#include "node-agent/input_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace leat::agent {
namespace {

// Free space is looked at once in so many bytes.
constexpr std::uint64_t kLookEvery = 4u << 20;

}  // namespace

Result<InputFile> InputFile::create(const std::string& path) {
  ::unlink(path.c_str());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return invalid(path + ": cannot be made: " + std::strerror(errno));
  return InputFile(path, fd);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      is_kept_(std::exchange(other.is_kept_, true)),
      unchecked_(other.unchecked_) {}

InputFile::~InputFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!is_kept_) ::unlink(path_.c_str());
}

Result<Done> InputFile::append(std::span<const std::byte> bytes) {
  if (unchecked_ == 0 || unchecked_ + bytes.size() > kLookEvery) {
    struct statvfs disk {};
    const bool known = ::fstatvfs(fd_, &disk) == 0;
    if (known && std::uint64_t{disk.f_bavail} * disk.f_frsize < kDiskKeptFree + bytes.size())
      return invalid(path_ + ": the disk is nearly full");
    unchecked_ = 0;
  }
  unchecked_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return invalid(path_ + ": cannot be written: " + std::strerror(errno));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return Done{};
}

std::string input_path(const std::string& node_directory, const RunId& run) {
  return node_directory + "/inputs/" + std::to_string(run.job.value) + "." +
         std::to_string(run.stage) + "." + std::to_string(run.index) + "." +
         std::to_string(run.attempt);
}

}  // namespace leat::agent
