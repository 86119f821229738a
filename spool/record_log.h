#pragma once

// record_log.h - an append-only file of checked records that survives kill -9.
//
// The file is "leatlog1" and then records: u32 length, u32 CRC32C of length and content, content.
// What write() has written survives the death of this process, not the loss of the machine's
// power: a node that loses power is a lost node, and its work is done again elsewhere. So nothing
// here syncs but rewrite(), which must not leave an empty file under a good name.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace leat::spool {

inline constexpr std::size_t kRecordBytesMax = 48u << 20;

// Owns the descriptor. Blocking calls on a local file. Thread: any one.
class RecordLog {
 public:
  using OnRecord = std::function<void(std::span<const std::byte>)>;

  // Opens or makes `path` (0600, regular, ours, never through a link) and calls on_record for each
  // good record. At the first bad one the file is cut: its end was torn, or a bit has turned.
  static Result<RecordLog> open(const std::string& path, const OnRecord& on_record);

  RecordLog(RecordLog&& other) noexcept;
  RecordLog& operator=(RecordLog&& other) noexcept;
  ~RecordLog();

  // Kept in memory until write(). Precondition: at most kRecordBytesMax bytes.
  void append(std::string_view record);
  bool has_unwritten() const { return !unwritten_.empty(); }

  // Writes what was appended. If refused (disk full) nothing is lost: call again later.
  Result<Done> write();

  // Replaces the whole file by `records` and what is appended but not written, on disk on return.
  // Refused: the old file stays as it was.
  Result<Done> rewrite(const std::vector<std::string>& records);

  std::uint64_t bytes() const { return end_ + unwritten_.size(); }
  // Cut off by open().
  std::uint64_t dropped_bytes() const { return dropped_; }

 private:
  RecordLog(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  static void frame(std::string& out, std::string_view record);

  std::string path_;
  int fd_ = -1;
  std::uint64_t end_ = 0;  // of what is written and good
  std::uint64_t dropped_ = 0;
  std::string unwritten_;
};

}  // namespace leat::spool
