#pragma once

// string_block.h - many strings in one piece of memory, the way a process is given them.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leat::warden {

// Strings one after the other, each ended by a NUL: arguments or environment.
//
// Invariants: empty, or the last byte is NUL; no string holds a NUL.
class StringBlock {
 public:
  StringBlock() = default;

  // From the bytes of an untrusted record; nothing if the last string has no end.
  static std::optional<StringBlock> from_bytes(std::string bytes) {
    if (!bytes.empty() && bytes.back() != '\0') return std::nullopt;
    StringBlock block;
    block.bytes_ = std::move(bytes);
    return block;
  }

  // Precondition (checked): no NUL in `text`.
  void add(std::string_view text);

  // `NAME=VALUE`, for environments.
  void add(std::string_view name, std::string_view value);

  const std::string& bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  void clear() { bytes_.clear(); }

  // Calls visit(std::string_view) for each string, in order; the view's data() is NUL-terminated.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (std::size_t at = 0; at < bytes_.size();) {
      const std::string_view text(bytes_.data() + at);
      visit(text);
      at += text.size() + 1;
    }
  }

  std::size_t count() const;

  friend bool operator==(const StringBlock&, const StringBlock&) = default;

 private:
  std::string bytes_;
};

// The name in `NAME=VALUE`; the whole text if there is no `=`.
std::string_view variable_name(std::string_view variable);

// Fills `pointers` with `first` and then `more`, ended by a null pointer. The pointers hold as long
// as both blocks stay unchanged.
void point_at_arguments(const StringBlock& first, const StringBlock& more,
                        std::vector<char*>& pointers);

// Fills `pointers` with one environment, ended by a null pointer: `token` (a whole variable), then
// `more`, then what of `base` neither of them sets. A variable set twice in `more` is given twice,
// and what a program makes of that is up to it.
void point_at_environment(const std::string& token, const StringBlock& base,
                          const StringBlock& more, std::vector<char*>& pointers);

// The value of `name` in a null-ended environment; nothing if it is not set.
std::optional<std::string_view> value_of(std::string_view name, char* const* environment);

}  // namespace leat::warden
