#pragma once

// placeholders.h - words in braces that stand for something of a task's input.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace leat {

// Longer names are text like any other.
inline constexpr std::size_t kPlaceholderNameMax = 64;

// What `{name}` stands for; nothing if it stands for itself.
using ValueOf = std::function<std::optional<std::string>(std::string_view name)>;

// `text` with each `{name}` replaced by value_of(name), from left to right, once: what came in is
// not looked at again. A name is made of letters, digits, `_`, `-` and `.`, or is empty.
std::string fill_placeholders(std::string_view text, const ValueOf& value_of);

}  // namespace leat
