#include "base/placeholders.h"

#include <algorithm>

namespace leat {
namespace {

bool is_name_part(char c) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

}  // namespace

std::string fill_placeholders(std::string_view text, const ValueOf& value_of) {
  std::string filled;
  while (!text.empty()) {
    const std::size_t open = std::min(text.find('{'), text.size());
    filled += text.substr(0, open);
    text.remove_prefix(open);
    if (text.empty()) break;
    std::size_t end = 1;
    while (end < text.size() && end <= kPlaceholderNameMax && is_name_part(text[end])) ++end;
    const bool closed = end < text.size() && text[end] == '}';
    const std::optional<std::string> value =
        closed ? value_of(text.substr(1, end - 1)) : std::nullopt;
    const std::size_t taken = value ? end + 1 : 1;
    filled += value ? std::string_view(*value) : text.substr(0, 1);
    text.remove_prefix(taken);
  }
  return filled;
}

}  // namespace leat
