#pragma once

// history_file.h - a copy of history, asked with SQL; nothing but reading is allowed.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/value.h"

struct sqlite3;

namespace leat::cli {

// Where a query ends, whatever it would still find.
struct QueryLimits {
  std::uint64_t rows = 0;
  std::function<bool()> out_of_time;  // asked every few thousand steps of the query
};

enum class QueryEnd : std::uint8_t { kComplete, kMoreRows, kOutOfTime };

// Owns the file: it is removed as soon as it is open. Throws Failure.
class HistoryFile {
 public:
  using Columns = std::function<void(const std::vector<std::string>&)>;
  using Row = std::function<void(Value::List)>;

  explicit HistoryFile(const std::string& path);

  // Runs one SELECT: calls `columns` once, then `row` for each. kUsage for what is no SELECT, or
  // is wrong in it.
  QueryEnd query(const std::string& sql, const QueryLimits& limits, const Columns& columns,
                 const Row& row);

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };

  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace leat::cli
