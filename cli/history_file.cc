#include "cli/history_file.h"

#include <sqlite3.h>
#include <unistd.h>

#include "cli/failure.h"

namespace leat::cli {
namespace {

// Between two looks at the time.
constexpr int kStepsBetweenLooks = 4'000;
// No row and no text of a query needs more.
constexpr int kBytesMax = 64 << 20;

int authorise(void*, int action, const char*, const char* name, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION:
      return std::string_view(name) == "load_extension" ? SQLITE_DENY : SQLITE_OK;
    default:
      return SQLITE_DENY;
  }
}

int look_at_time(void* limits) {
  const auto& out_of_time = static_cast<const QueryLimits*>(limits)->out_of_time;
  return out_of_time && out_of_time() ? 1 : 0;
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

std::string hex(const void* bytes, int count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  const auto* const data = static_cast<const unsigned char*>(bytes);
  for (int n = 0; n < count; ++n) {
    text += kDigits[data[n] >> 4];
    text += kDigits[data[n] & 15];
  }
  return text;
}

Value cell(sqlite3_stmt* row, int column) {
  switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
      return Value(std::int64_t{sqlite3_column_int64(row, column)});
    case SQLITE_FLOAT:
      return Value(sqlite3_column_double(row, column));
    case SQLITE_TEXT:
      return Value(std::string(reinterpret_cast<const char*>(sqlite3_column_text(row, column)),
                               static_cast<std::size_t>(sqlite3_column_bytes(row, column))));
    case SQLITE_BLOB:
      return Value(hex(sqlite3_column_blob(row, column), sqlite3_column_bytes(row, column)));
    default:
      return Value();
  }
}

}  // namespace

void HistoryFile::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

HistoryFile::HistoryFile(const std::string& path) {
  sqlite3* handle = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
  handle_.reset(handle);
  // SQLite opens when it is first asked.
  const bool readable =
      opened == SQLITE_OK && sqlite3_exec(handle,
                                          "PRAGMA temp_store = MEMORY; SELECT count(*)"
                                          " FROM sqlite_schema",
                                          nullptr, nullptr, nullptr) == SQLITE_OK;
  (void)::unlink(path.c_str());
  if (!readable) fail(ExitCode::kRefused, path + ": cannot be read: try again");
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kBytesMax);
  sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_set_authorizer(handle, authorise, nullptr);
}

QueryEnd HistoryFile::query(const std::string& sql, const QueryLimits& limits,
                            const Columns& columns, const Row& row) {
  sqlite3_stmt* prepared = nullptr;
  const char* rest = nullptr;
  const int code = sqlite3_prepare_v2(handle_.get(), sql.c_str(), -1, &prepared, &rest);
  const std::unique_ptr<sqlite3_stmt, Finalize> statement(prepared);
  if (code == SQLITE_AUTH)
    fail(ExitCode::kUsage, "history can only be read: write a SELECT, see man leat-history");
  if (code != SQLITE_OK)
    fail(ExitCode::kUsage, std::string("SQL: ") + sqlite3_errmsg(handle_.get()) +
                               ": the tables are in man leat-history");
  if (prepared == nullptr) fail(ExitCode::kUsage, "SQL: nothing to do: write a SELECT");
  if (std::string_view(rest).find_first_not_of(" \t\r\n;") != std::string_view::npos)
    fail(ExitCode::kUsage, "SQL: one statement at a time");
  const int count = sqlite3_column_count(prepared);
  std::vector<std::string> names;
  names.reserve(static_cast<std::size_t>(count));
  for (int n = 0; n < count; ++n) names.emplace_back(sqlite3_column_name(prepared, n));
  columns(names);
  sqlite3_progress_handler(handle_.get(), kStepsBetweenLooks, look_at_time,
                           const_cast<QueryLimits*>(&limits));
  for (std::uint64_t shown = 0;; ++shown) {
    const int step = sqlite3_step(prepared);
    if (step == SQLITE_DONE) return QueryEnd::kComplete;
    if (step == SQLITE_INTERRUPT) return QueryEnd::kOutOfTime;
    if (step != SQLITE_ROW)
      fail(ExitCode::kUsage,
           std::string("SQL: ") + sqlite3_errmsg(handle_.get()) + ": change the query");
    if (shown == limits.rows) return QueryEnd::kMoreRows;
    Value::List cells;
    for (int n = 0; n < count; ++n) cells.push_back(cell(prepared, n));
    row(std::move(cells));
  }
}

}  // namespace leat::cli
