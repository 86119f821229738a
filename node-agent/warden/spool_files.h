#pragma once

// spool_files.h - where the output of tasks goes: pipes spliced into packed files.

#include <cstdint>
#include <memory>
#include <vector>

#include "node-agent/warden/fd.h"

namespace leat::warden {

// One spool file of one slot. Only the warden writes to it.
struct SpoolFile {
  Fd fd;
  std::uint64_t end = 0;  // where the next byte goes
};

// The open spool files of all slots, two each.
//
// Owns: the files. Borrows: the directory.
class SpoolFiles {
 public:
  explicit SpoolFiles(int directory_fd) : directory_fd_(directory_fd) {}

  // Makes `segment` the slot's current one, opening its files (0600, made if need be, never
  // through a link) unless it is already. Returns 0 or an errno. Must not be called while a run in
  // that slot still writes.
  int use(std::uint16_t slot, std::uint32_t segment);

  // Precondition: use() has succeeded for the slot. The reference holds as long as this object.
  SpoolFile& out(std::uint16_t slot) { return slots_[slot]->out; }
  SpoolFile& err(std::uint16_t slot) { return slots_[slot]->err; }

 private:
  struct Slot {
    bool open = false;
    std::uint32_t segment = 0;
    SpoolFile out;
    SpoolFile err;
  };

  int open_file(std::uint16_t slot, std::uint32_t segment, bool is_error_stream, SpoolFile& file);

  int directory_fd_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

// One output stream of one run: moves bytes from its pipe to the end of a spool file, and to
// nowhere once the limit is reached or the file takes no more. The task never has to wait for us
// longer than for the disk.
//
// Owns: the pipe's reading end. Borrows: the spool file, /dev/null.
class Capture {
 public:
  Capture() = default;
  Capture(Fd pipe, SpoolFile& file, int null_fd, std::uint64_t limit_bytes);

  enum class Flow : std::uint8_t {
    kMore,   // there is more than was asked for
    kOpen,   // more may come
    kEnded,  // every writer has closed, and everything has been moved
  };

  // Moves what is there, at most about `bytes_max`. Never waits.
  Flow drain(std::uint64_t bytes_max);

  // Moves what the pipe holds now and closes it: whoever still writes gets SIGPIPE.
  void finish();

  bool open() const { return static_cast<bool>(pipe_); }
  int pipe_fd() const { return pipe_.get(); }
  void close() { pipe_.reset(); }

  std::uint64_t offset() const { return offset_; }
  std::uint64_t bytes() const { return bytes_; }
  bool truncated() const { return truncated_; }
  int error() const { return error_; }  // errno that the spool file gave, or 0

 private:
  // What one attempt moved: > 0 bytes, 0 at the end, < 0 a negated errno.
  std::int64_t move_to_file(std::uint64_t bytes_max);
  std::int64_t copy_to_file(std::uint64_t bytes_max);
  std::int64_t move_to_nowhere(std::uint64_t bytes_max);

  Fd pipe_;
  SpoolFile* file_ = nullptr;
  int null_fd_ = -1;
  std::uint64_t limit_bytes_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t bytes_ = 0;
  int error_ = 0;
  bool truncated_ = false;
  bool copies_ = false;  // the file system cannot splice
};

}  // namespace leat::warden
