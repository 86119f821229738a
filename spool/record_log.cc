#include "spool/record_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "spool/little_endian.h"

namespace leat::spool {
namespace {

constexpr std::string_view kMagic = "leatlog1";
constexpr std::size_t kFrameBytes = 8;

Refusal broken(const std::string& what, const std::string& path) {
  return invalid(path + ": " + what + ": " + std::strerror(errno));
}

std::span<const std::byte> bytes_of(const char* data, std::size_t size) {
  return std::as_bytes(std::span(data, size));
}

// False if it cannot all be written.
bool write_all(int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

bool read_all(int fd, std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  bytes.resize(done);
  return true;
}

// Calls on_record for the good records; returns where the first bad one starts.
std::size_t scan(const std::string& text, const RecordLog::OnRecord& on_record) {
  std::size_t at = kMagic.size();
  while (text.size() - at >= kFrameBytes) {
    const std::uint32_t length = get_u32(&text[at]);
    if (length > kRecordBytesMax || length > text.size() - at - kFrameBytes) break;
    const std::span<const std::byte> content = bytes_of(&text[at] + kFrameBytes, length);
    if (crc32c(content, crc32c(bytes_of(&text[at], 4))) != get_u32(&text[at + 4])) break;
    on_record(content);
    at += kFrameBytes + length;
  }
  return at;
}

}  // namespace

RecordLog::RecordLog(RecordLog&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      end_(other.end_),
      dropped_(other.dropped_),
      unwritten_(std::move(other.unwritten_)) {}

RecordLog& RecordLog::operator=(RecordLog&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(end_, other.end_);
  std::swap(dropped_, other.dropped_);
  std::swap(unwritten_, other.unwritten_);
  return *this;
}

RecordLog::~RecordLog() {
  if (fd_ >= 0) ::close(fd_);
}

Result<RecordLog> RecordLog::open(const std::string& path, const OnRecord& on_record) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return broken("cannot be opened", path);
  RecordLog log(path, fd);
  struct stat info {};
  if (::fstat(fd, &info) != 0) return broken("cannot be examined", path);
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077) != 0)
    return invalid(path + ": must be a regular file, ours, mode 0600");
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  if (!read_all(fd, text)) return broken("cannot be read", path);
  const bool is_new = text.size() < kMagic.size();  // or torn at its very start
  if (!is_new && !text.starts_with(kMagic)) return invalid(path + ": is not a log of ours");
  const std::size_t good = is_new ? 0 : scan(text, on_record);
  log.dropped_ = text.size() - good;
  if (::ftruncate(fd, static_cast<off_t>(good)) != 0) return broken("cannot be cut", path);
  log.end_ = good;
  if (is_new) {
    if (!write_all(fd, kMagic, 0)) return broken("cannot be written", path);
    log.end_ = kMagic.size();
  }
  return log;
}

void RecordLog::frame(std::string& out, std::string_view record) {
  LEAT_CHECK(record.size() <= kRecordBytesMax);
  const std::size_t at = out.size();
  put_u32(out, static_cast<std::uint32_t>(record.size()));
  const std::uint32_t crc = crc32c(bytes_of(&out[at], 4));
  put_u32(out, crc32c(bytes_of(record.data(), record.size()), crc));
  out.append(record);
}

void RecordLog::append(std::string_view record) {
  frame(unwritten_, record);
}

Result<Done> RecordLog::write() {
  if (unwritten_.empty()) return Done{};
  // Always from the end of what is good: what a refused write left behind is written over.
  if (!write_all(fd_, unwritten_, end_)) return broken("cannot be written", path_);
  end_ += unwritten_.size();
  unwritten_.clear();
  return Done{};
}

Result<Done> RecordLog::rewrite(const std::vector<std::string>& records) {
  const std::string path = path_ + ".new";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return broken("cannot be made", path);
  RecordLog fresh(path_, fd);
  std::string piece(kMagic);
  bool good = true;
  for (const std::string& record : records) {
    frame(piece, record);
    if (piece.size() < (1u << 20)) continue;
    good = good && write_all(fd, piece, fresh.end_);
    fresh.end_ += piece.size();
    piece.clear();
  }
  piece += unwritten_;
  good = good && write_all(fd, piece, fresh.end_) && ::fsync(fd) == 0 &&
         ::rename(path.c_str(), path_.c_str()) == 0;
  if (!good) {
    Refusal refusal = broken("cannot be rewritten", path_);
    ::unlink(path.c_str());
    return refusal;
  }
  fresh.end_ += piece.size();
  const std::string directory = std::filesystem::path(path_).parent_path().string();
  const int directory_fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd >= 0) {
    ::fsync(directory_fd);
    ::close(directory_fd);
  }
  *this = std::move(fresh);
  unwritten_.clear();
  return Done{};
}

}  // namespace leat::spool
