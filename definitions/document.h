#pragma once

// document.h - a TOML file as a tree in which everything knows its line and column.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace leat::definitions {

inline constexpr std::uint64_t kDefinitionBytesMax = 1 << 20;

// Both count from 1.
struct Place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

struct Item;
struct Entry;
using Items = std::vector<Item>;
// In the order of the file.
using Table = std::vector<Entry>;

// A value. Dates and times, which no definition has, are monostate.
struct Item {
  Place at;
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Items, Table> value;
};

struct Entry {
  std::string key;
  Place at;  // of the key
  Item item;
};

// Refused with "FILE:LINE:COLUMN: what the parser says".
Result<Table> parse_document(std::string_view text, const std::string& file);

// The text of a definition file; refused if it cannot be read or is over kDefinitionBytesMax.
Result<std::string> read_definition(const std::string& path);

// "FILE:LINE:COLUMN: what".
Refusal refusal_at(const std::string& file, Place at, const std::string& what,
                   Reason reason = Reason::kInvalid);

}  // namespace leat::definitions
