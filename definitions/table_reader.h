#pragma once

// table_reader.h - the fields of one table of a definition, and the first thing wrong with them.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "definitions/document.h"

namespace leat::definitions {

// Reads by key. A key that is not there gives nothing; one that is wrong gives nothing too, and
// the first such is kept as refusal(), which names file, line and column, and what would be right.
//
// Borrows table and file.
class TableReader {
 public:
  // `path` is put before keys in messages, like "counters.".
  TableReader(const Table& table, const std::string& file, std::string path = "");

  // Refuses every key but these. `what` begins the message's list: "a pool has".
  void expect_keys(std::span<const std::string_view> keys, const std::string& what);

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const Item* find(std::string_view key) const;

  std::optional<bool> truth(std::string_view key);
  std::optional<std::string> text(std::string_view key);
  std::optional<std::uint64_t> number(std::string_view key, std::uint64_t min, std::uint64_t max);
  // "90s", "1h30m", or a whole number of seconds.
  std::optional<Duration> duration(std::string_view key, Duration min, Duration max);
  // "8G", or a whole number of bytes; at least 1. `what` is all that is said of
  // a wrong one: "wants …, like \"8G\"".
  std::optional<std::uint64_t> size(std::string_view key, const std::string& what);
  // 4, 0.5 or "0.5" cores.
  std::optional<std::uint32_t> millicores(std::string_view key, const std::string& what);
  // Refused if it is no list, or one of more than `max`.
  std::optional<std::vector<std::string>> texts(std::string_view key, std::size_t max,
                                                const std::string& what);

  // Points at the key's value, or at the top of the file if it is missing.
  void refuse(std::string_view key, const std::string& what, Reason reason = Reason::kInvalid);
  void refuse_at(Place at, const std::string& what, Reason reason = Reason::kInvalid);

  // What was wrong in a table within this one.
  void adopt(const Refusal& refusal);

  const std::optional<Refusal>& refusal() const { return refusal_; }

 private:
  const Table& table_;
  const std::string& file_;
  std::string path_;
  std::optional<Refusal> refusal_;
};

}  // namespace leat::definitions
