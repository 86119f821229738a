#pragma once

// line_words.h - a line of words and numbers, taken apart.

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

namespace leat::spool {

// Takes the next word off `line`.
inline std::string_view next_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

// False if it is not all of `text`.
template <typename Number>
bool read_whole(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace leat::spool
