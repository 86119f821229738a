#include "spool/spool_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace leat::spool {

std::string file_name(const SegmentFile& file) {
  return "slot-" + std::to_string(file.slot) + "." + std::to_string(file.segment) +
         (file.stream == Stream::kError ? ".err" : ".out");
}

SpoolReader::~SpoolReader() {
  for (const auto& [file, open] : open_) ::close(open.fd);
}

Result<int> SpoolReader::open(const SegmentFile& file) {
  if (const auto found = open_.find(file); found != open_.end()) {
    newest_first_.splice(newest_first_.begin(), newest_first_, found->second.age);
    return found->second.fd;
  }
  const std::string path = directory_ + "/" + file_name(file);
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const Reason reason = errno == ENOENT ? Reason::kNotFound : Reason::kInvalid;
    return Refusal{reason, path + ": cannot be opened: " + std::strerror(errno)};
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != ::geteuid()) {
    ::close(fd);
    return invalid(path + ": is not a regular file of ours");
  }
  if (open_.size() == kOpenMax) forget(newest_first_.back());
  newest_first_.push_front(file);
  open_.emplace(file, Open{fd, newest_first_.begin()});
  return fd;
}

Result<std::size_t> SpoolReader::read(const SegmentFile& file, std::uint64_t offset,
                                      std::span<std::byte> buffer) {
  const Result<int> fd = open(file);
  if (!fd.ok()) return fd.refusal();
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t n = ::pread(fd.value(), buffer.data() + done, buffer.size() - done,
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return invalid(file_name(file) + ": cannot be read: " + std::strerror(errno));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Result<std::uint64_t> SpoolReader::size(const SegmentFile& file) {
  const Result<int> fd = open(file);
  if (!fd.ok()) return fd.refusal();
  struct stat info {};
  if (::fstat(fd.value(), &info) != 0)
    return invalid(file_name(file) + ": cannot be examined: " + std::strerror(errno));
  return static_cast<std::uint64_t>(info.st_size);
}

void SpoolReader::forget(const SegmentFile& file) {
  const auto found = open_.find(file);
  if (found == open_.end()) return;
  ::close(found->second.fd);
  newest_first_.erase(found->second.age);
  open_.erase(found);
}

}  // namespace leat::spool
