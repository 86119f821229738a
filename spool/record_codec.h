#pragma once

// record_codec.h - numbers and strings in our append-only files: little-endian, checked.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/index_list.h"

namespace leat::spool {

// Puts together one record.
class RecordWriter {
 public:
  template <std::unsigned_integral T>
  void put(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
  void put_signed(std::int64_t value) { put(static_cast<std::uint64_t>(value)); }
  void put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    bytes_.append(text);
  }
  void put_list(const IndexList& list);

  const std::string& text() const { return bytes_; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }
  void clear() { bytes_.clear(); }

 private:
  std::string bytes_;
};

// Takes one apart. After anything that does not fit it is failed(), and gives zeroes.
class RecordReader {
 public:
  explicit RecordReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <std::unsigned_integral T>
  T take() {
    T value = 0;
    const std::span<const std::byte> raw = take_bytes(sizeof(T));
    for (std::size_t i = 0; i < raw.size(); ++i)
      value = static_cast<T>(value | static_cast<T>(std::to_integer<T>(raw[i])) << (8 * i));
    return value;
  }
  std::int64_t take_signed() { return static_cast<std::int64_t>(take<std::uint64_t>()); }
  std::string take_text();
  IndexList take_list();
  // Exactly `count` bytes, or none and failed().
  std::span<const std::byte> take_bytes(std::size_t count);

  std::size_t left() const { return bytes_.size(); }
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }
  // Everything was taken, and all of it fitted.
  bool done() const { return !failed_ && bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
  bool failed_ = false;
};

}  // namespace leat::spool
