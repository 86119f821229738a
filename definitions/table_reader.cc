#include "definitions/table_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "definitions/units.h"

namespace leat::definitions {
namespace {

constexpr double kCoresMax = kMillicoresMax / 1000.0;
constexpr std::int64_t kSecond = 1'000'000;

}  // namespace

TableReader::TableReader(const Table& table, const std::string& file, std::string path)
    : table_(table), file_(file), path_(std::move(path)) {}

void TableReader::expect_keys(std::span<const std::string_view> keys, const std::string& what) {
  for (const Entry& entry : table_) {
    if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) continue;
    std::string known;
    for (const std::string_view key : keys) known.append(known.empty() ? "" : ", ").append(key);
    std::string said = "unknown key \"" + path_;
    said.append(entry.key).append("\": ").append(what).append(" ").append(known);
    refuse_at(entry.at, said);
  }
}

const Item* TableReader::find(std::string_view key) const {
  const auto at = std::find_if(table_.begin(), table_.end(),
                               [key](const Entry& entry) { return entry.key == key; });
  return at == table_.end() ? nullptr : &at->item;
}

void TableReader::refuse_at(Place at, const std::string& what, Reason reason) {
  if (!refusal_) refusal_ = refusal_at(file_, at, what, reason);
}

void TableReader::adopt(const Refusal& refusal) {
  if (!refusal_) refusal_ = refusal;
}

void TableReader::refuse(std::string_view key, const std::string& what, Reason reason) {
  const Item* const item = find(key);
  refuse_at(item == nullptr ? Place{} : item->at, path_ + std::string(key) + ' ' + what, reason);
}

std::optional<bool> TableReader::truth(std::string_view key) {
  const Item* const item = find(key);
  if (item == nullptr) return std::nullopt;
  if (const bool* const truth = std::get_if<bool>(&item->value)) return *truth;
  refuse(key, "wants true or false");
  return std::nullopt;
}

std::optional<std::string> TableReader::text(std::string_view key) {
  const Item* const item = find(key);
  if (item == nullptr) return std::nullopt;
  if (const std::string* const text = std::get_if<std::string>(&item->value)) return *text;
  refuse(key, "wants a text in quotes");
  return std::nullopt;
}

std::optional<std::uint64_t> TableReader::number(std::string_view key, std::uint64_t min,
                                                 std::uint64_t max) {
  const Item* const item = find(key);
  if (item == nullptr) return std::nullopt;
  const std::int64_t* const number = std::get_if<std::int64_t>(&item->value);
  if (number != nullptr && *number >= 0) {
    const auto value = static_cast<std::uint64_t>(*number);
    if (value >= min && value <= max) return value;
  }
  refuse(key, "wants a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return std::nullopt;
}

std::optional<Duration> TableReader::duration(std::string_view key, Duration min, Duration max) {
  const Item* const item = find(key);
  if (item == nullptr) return std::nullopt;
  std::optional<Duration> value;
  if (const std::string* const text = std::get_if<std::string>(&item->value)) {
    const Result<Duration> parsed = parse_duration(*text);
    if (parsed.ok()) value = parsed.value();
  } else if (const std::int64_t* const seconds = std::get_if<std::int64_t>(&item->value)) {
    if (*seconds >= 0 && *seconds <= kDurationMax.count() / kSecond)
      value = Duration(*seconds * kSecond);
  }
  if (value && *value >= min && *value <= max) return value;
  refuse(key, "wants a time from " + show_duration(min) + " to " + show_duration(max) +
                  ", like \"90s\" or \"1h30m\"");
  return std::nullopt;
}

std::optional<std::uint64_t> TableReader::size(std::string_view key, const std::string& what) {
  const Item* const item = find(key);
  if (item == nullptr) return std::nullopt;
  if (const std::string* const text = std::get_if<std::string>(&item->value)) {
    const Result<std::uint64_t> parsed = parse_size(*text);
    if (parsed.ok() && parsed.value() > 0) return parsed.value();
  } else if (const std::int64_t* const bytes = std::get_if<std::int64_t>(&item->value)) {
    if (*bytes > 0) return static_cast<std::uint64_t>(*bytes);
  }
  refuse(key, what);
  return std::nullopt;
}

std::optional<std::uint32_t> TableReader::millicores(std::string_view key,
                                                     const std::string& what) {
  const Item* const item = find(key);
  if (item == nullptr) return std::nullopt;
  if (const std::int64_t* const whole = std::get_if<std::int64_t>(&item->value)) {
    if (*whole >= 1 && *whole <= kMillicoresMax / 1000)
      return static_cast<std::uint32_t>(*whole * 1000);
  } else if (const std::string* const text = std::get_if<std::string>(&item->value)) {
    const Result<std::uint32_t> parsed = parse_millicores(*text);
    if (parsed.ok()) return parsed.value();
  } else if (const double* const share = std::get_if<double>(&item->value)) {
    if (*share >= 0.001 && *share <= kCoresMax)
      return static_cast<std::uint32_t>(std::lround(*share * 1000));
  }
  refuse(key, what);
  return std::nullopt;
}

std::optional<std::vector<std::string>> TableReader::texts(std::string_view key, std::size_t max,
                                                           const std::string& what) {
  const Item* const item = find(key);
  if (item == nullptr) return std::nullopt;
  const Items* const list = std::get_if<Items>(&item->value);
  if (list == nullptr || list->size() > max) {
    refuse(key, what);
    return std::nullopt;
  }
  std::vector<std::string> texts;
  for (const Item& element : *list) {
    const std::string* const text = std::get_if<std::string>(&element.value);
    if (text == nullptr) {
      refuse_at(element.at, path_ + std::string(key) + ' ' + what);
      return std::nullopt;
    }
    texts.push_back(*text);
  }
  return texts;
}

}  // namespace leat::definitions
