#pragma once

// line_index.h - where each task's lines begin in a file of lines.

#include <cstdint>
#include <functional>
#include <string_view>

namespace leat::cli {

// Fed with a file from front to end, tells the offset of every `chunk`th line. A line ends with
// '\n'; the last may lack it. Pure.
class LineIndex {
 public:
  // Precondition: chunk >= 1. `on_offset` gets the offsets in order.
  LineIndex(std::uint64_t chunk, std::function<void(std::uint64_t)> on_offset)
      : chunk_(chunk), on_offset_(std::move(on_offset)) {}

  void feed(std::string_view bytes);
  // Once, at the end: tells where the last line ends.
  void finish() { on_offset_(length_); }

  std::uint64_t length() const { return length_; }
  std::uint64_t lines() const { return lines_; }
  std::uint64_t tasks() const { return (lines_ + chunk_ - 1) / chunk_; }

 private:
  std::uint64_t chunk_;
  std::function<void(std::uint64_t)> on_offset_;
  std::uint64_t length_ = 0;
  std::uint64_t lines_ = 0;
  bool at_line_start_ = true;
};

}  // namespace leat::cli
