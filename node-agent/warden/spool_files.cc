#include "node-agent/warden/spool_files.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "base/check.h"
#include "node-agent/warden/records.h"

namespace leat::warden {

namespace {

constexpr std::uint64_t kChunkBytes = 1u << 20;

}  // namespace

int SpoolFiles::use(std::uint16_t slot, std::uint32_t segment) {
  LEAT_CHECK(slot < kSlotsMax);
  if (slot >= slots_.size()) slots_.resize(slot + std::size_t{1});
  if (!slots_[slot]) slots_[slot] = std::make_unique<Slot>();
  Slot& files = *slots_[slot];
  if (files.open && files.segment == segment) return 0;
  files.open = false;
  files.segment = segment;
  if (const int error = open_file(slot, segment, false, files.out); error != 0) return error;
  if (const int error = open_file(slot, segment, true, files.err); error != 0) return error;
  files.open = true;
  return 0;
}

int SpoolFiles::open_file(std::uint16_t slot, std::uint32_t segment, bool is_error_stream,
                          SpoolFile& file) {
  const std::string name = spool_file_name(slot, segment, is_error_stream);
  file.fd = Fd(openat(directory_fd_, name.c_str(),
                      O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  if (!file.fd) return errno;
  struct stat status {};
  if (fstat(file.fd.get(), &status) != 0) return errno;
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
    return EPERM;
  file.end = static_cast<std::uint64_t>(status.st_size);
  return 0;
}

Capture::Capture(Fd pipe, SpoolFile& file, int null_fd, std::uint64_t limit_bytes)
    : pipe_(std::move(pipe)),
      file_(&file),
      null_fd_(null_fd),
      limit_bytes_(limit_bytes),
      offset_(file.end) {}

Capture::Flow Capture::drain(std::uint64_t bytes_max) {
  while (bytes_max > 0) {
    const std::uint64_t chunk = std::min(bytes_max, kChunkBytes);
    const bool keeps = error_ == 0 && bytes_ < limit_bytes_;
    const std::int64_t moved =
        keeps ? move_to_file(std::min(chunk, limit_bytes_ - bytes_)) : move_to_nowhere(chunk);
    if (moved > 0) {
      bytes_max -= std::min(bytes_max, static_cast<std::uint64_t>(moved));
      if (keeps) {
        bytes_ += static_cast<std::uint64_t>(moved);
      } else if (error_ == 0) {
        truncated_ = true;
      }
    } else if (moved == -EAGAIN) {
      return Flow::kOpen;
    } else if (moved < 0 && keeps) {
      error_ = static_cast<int>(-moved);  // from now on to nowhere
    } else {
      return Flow::kEnded;
    }
  }
  return Flow::kMore;
}

void Capture::finish() {
  if (!pipe_) return;
  // Asking for the amount first bounds the work against a left-over process that writes on.
  int waiting = 0;
  if (ioctl(pipe_.get(), FIONREAD, &waiting) == 0 && waiting > 0 &&
      drain(static_cast<std::uint64_t>(waiting)) == Flow::kOpen) {
    // It would have had to wait for what is there: whatever splice means by that, reading does not.
    copies_ = true;
    drain(static_cast<std::uint64_t>(waiting));
  }
  pipe_.reset();
}

std::int64_t Capture::move_to_file(std::uint64_t bytes_max) {
  if (!copies_) {
    auto offset = static_cast<off64_t>(file_->end);
    const ssize_t moved = splice(pipe_.get(), nullptr, file_->fd.get(), &offset, bytes_max,
                                 SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) file_->end += static_cast<std::uint64_t>(moved);
    if (moved >= 0) return moved;
    if (errno != EINVAL) return -errno;
    copies_ = true;
  }
  return copy_to_file(bytes_max);
}

std::int64_t Capture::copy_to_file(std::uint64_t bytes_max) {
  // Only our end of the pipe becomes non-blocking: the task's end is a description of its own.
  fcntl(pipe_.get(), F_SETFL, O_NONBLOCK);
  std::array<char, 16u << 10> buffer;
  const ssize_t got =
      read(pipe_.get(), buffer.data(), std::min<std::uint64_t>(bytes_max, buffer.size()));
  if (got <= 0) return got == 0 ? 0 : -errno;
  for (ssize_t done = 0; done < got;) {
    const ssize_t put =
        pwrite(file_->fd.get(), buffer.data() + done, static_cast<std::size_t>(got - done),
               static_cast<off_t>(file_->end));
    // A part that was written before the error stays out of bytes(): the next run overwrites it.
    if (put <= 0) {
      file_->end -= static_cast<std::uint64_t>(done);
      return put == 0 ? -EIO : -errno;
    }
    file_->end += static_cast<std::uint64_t>(put);
    done += put;
  }
  return got;
}

std::int64_t Capture::move_to_nowhere(std::uint64_t bytes_max) {
  const ssize_t moved =
      splice(pipe_.get(), nullptr, null_fd_, nullptr, bytes_max, SPLICE_F_NONBLOCK);
  return moved >= 0 ? moved : -errno;
}

}  // namespace leat::warden
