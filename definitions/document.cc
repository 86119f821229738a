#include "definitions/document.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

// NOLINTBEGIN(readability-identifier-naming): these names are the library's.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// NOLINTEND(readability-identifier-naming)
#include <toml++/toml.h>

namespace leat::definitions {
namespace {

Place place_of(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

Table to_table(const toml::table& from);

Item to_item(const toml::node& from) {
  Item item{place_of(from.source()), {}};
  if (const auto* const truth = from.as_boolean()) {
    item.value = truth->get();
  } else if (const auto* const number = from.as_integer()) {
    item.value = number->get();
  } else if (const auto* const real = from.as_floating_point()) {
    item.value = real->get();
  } else if (const auto* const text = from.as_string()) {
    item.value = text->get();
  } else if (const auto* const list = from.as_array()) {
    Items items;
    for (const toml::node& element : *list) items.push_back(to_item(element));
    item.value = std::move(items);
  } else if (const auto* const table = from.as_table()) {
    item.value = to_table(*table);
  }
  return item;
}

// The library sorts by key; people read from the top.
Table to_table(const toml::table& from) {
  Table table;
  for (auto&& [key, value] : from)
    table.push_back({std::string(key.str()), place_of(key.source()), to_item(value)});
  std::sort(table.begin(), table.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  return table;
}

}  // namespace

Refusal refusal_at(const std::string& file, Place at, const std::string& what, Reason reason) {
  return {reason,
          file + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) + ": " + what};
}

Result<Table> parse_document(std::string_view text, const std::string& file) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed)
    return refusal_at(file, place_of(parsed.error().source()),
                      std::string(parsed.error().description()));
  return to_table(parsed.table());
}

Result<std::string> read_definition(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return invalid(path + ": " + std::strerror(errno));
  std::string text(kDefinitionBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return invalid(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kDefinitionBytesMax)
    return invalid(path + ": larger than 1 MiB, which no definition is");
  return text;
}

}  // namespace leat::definitions
