#include "base/labels.h"

#include <algorithm>

namespace leat {
namespace {

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_word(std::string_view text) {
  return !text.empty() && is_plain(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_plain(c) || std::string_view("-_.:/").find(c) != std::string_view::npos;
         });
}

}  // namespace

bool is_label(std::string_view text) {
  if (text.size() > kLabelBytesMax) return false;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return is_word(text);
  return is_word(text.substr(0, equals)) && is_word(text.substr(equals + 1));
}

bool is_given_label(std::string_view text) {
  return is_label(text) && !text.starts_with(kOwnLabelPrefix);
}

bool Requirement::met_by(std::span<const std::string> labels) const {
  const bool has = std::any_of(labels.begin(), labels.end(), [this](std::string_view own) {
    return own.starts_with(label) && (own.size() == label.size() || own[label.size()] == '=');
  });
  return has != negated;
}

Result<Requirement> parse_requirement(std::string_view text) {
  Requirement requirement;
  requirement.negated = text.starts_with('!');
  requirement.label = text.substr(requirement.negated ? 1 : 0);
  if (is_label(requirement.label)) return requirement;
  return invalid('"' + std::string(text.substr(0, 2 * kLabelBytesMax)) +
                 "\" is no label: write fast, rack=7, or !fast for nodes without it");
}

std::optional<std::string_view> label_value(std::span<const std::string> labels,
                                            std::string_view label) {
  if (label.empty()) return std::string_view();
  std::optional<std::string_view> least;
  for (const std::string_view own : labels) {
    if (!own.starts_with(label)) continue;
    const std::string_view rest = own.substr(label.size());
    if (!rest.empty() && rest.front() != '=') continue;
    const std::string_view value = rest.substr(rest.empty() ? 0 : 1);
    if (!least || value < *least) least = value;
  }
  return least;
}

bool all_met(std::span<const Requirement> requirements, std::span<const std::string> labels) {
  return std::all_of(requirements.begin(), requirements.end(),
                     [labels](const Requirement& r) { return r.met_by(labels); });
}

}  // namespace leat
