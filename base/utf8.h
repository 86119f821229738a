#pragma once

// utf8.h - characters out of bytes, as RFC 3629 has them.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace leat {

// One character: how many bytes it has, and its number. No bytes: it is none.
struct Utf8Character {
  std::size_t length = 0;
  std::uint32_t number = 0;
};

// The character at the front of `text`. None if the bytes are cut short, in more bytes than it
// needs, half of a surrogate pair, or beyond U+10FFFF. Precondition: `text` is not empty.
Utf8Character decode_utf8(std::string_view text);

// Whether every byte belongs to a character.
bool is_utf8(std::string_view text);

}  // namespace leat
