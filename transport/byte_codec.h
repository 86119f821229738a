#pragma once

// byte_codec.h - little-endian fields written to and read from bytes, every bound checked.
//
// For the few records that are signed, or read before there is a session: tokens, tickets, the
// enrolment frame. Everything else is Cap'n Proto.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace leat::transport {

inline std::span<const std::byte> as_byte_span(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ByteWriter {
 public:
  template <std::integral T>
  void number(T value) {
    auto rest = static_cast<std::make_unsigned_t<T>>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_.push_back(static_cast<char>(static_cast<std::uint64_t>(rest) >> (8 * i) & 0xff));
  }
  void raw(std::string_view bytes) { bytes_ += bytes; }
  void raw(std::span<const std::byte> bytes) { bytes_ += as_text(bytes); }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Reading past the end gives zeros and makes ok() false for good: check once, at the end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <std::integral T>
  T number() {
    const std::string_view field = raw(sizeof(T));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < field.size(); ++i)
      value |= std::uint64_t{static_cast<unsigned char>(field[i])} << (8 * i);
    return static_cast<T>(value);
  }

  // The next `size` bytes, within the given buffer; nothing if there are fewer.
  std::string_view raw(std::size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
    }
    const std::string_view field = rest_.substr(0, ok_ ? size : 0);
    rest_.remove_prefix(field.size());
    return field;
  }

  // Fills `out` with the next bytes.
  void raw_into(std::span<std::byte> out) {
    const std::string_view field = raw(out.size());
    if (!field.empty()) std::memcpy(out.data(), field.data(), field.size());
  }

  std::size_t remaining() const { return rest_.size(); }
  bool ok() const { return ok_; }
  // Everything was there, and nothing more.
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace leat::transport
