#include "scheduler/store/history_copy.h"

#include <fcntl.h>
#include <kj/debug.h>
#include <kj/io.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace leat::store {
namespace {

[[noreturn]] void fail(const std::string& text) {
  kj::throwFatalException(
      kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__, kj::heapString(text.c_str())));
}

// A prepared statement of either side, ended when it goes.
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Prepared = std::unique_ptr<sqlite3_stmt, Finalize>;

Prepared prepare(sqlite3* database, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK)
    fail(sqlite3_errmsg(database));
  return Prepared(statement);
}

// True for a row.
bool advance(sqlite3_stmt* statement) {
  const int code = sqlite3_step(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE) fail(sqlite3_errmsg(sqlite3_db_handle(statement)));
  return code == SQLITE_ROW;
}

std::string text(sqlite3_stmt* statement, int column) {
  const unsigned char* const bytes = sqlite3_column_text(statement, column);
  return bytes == nullptr ? "" : reinterpret_cast<const char*>(bytes);
}

}  // namespace

void HistoryCopy::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

HistoryCopy::~HistoryCopy() {
  if (made_) (void)::unlink(path_.c_str());
}

void HistoryCopy::execute(const char* sql) {
  if (sqlite3_exec(target_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(path_ + ": " + sqlite3_errmsg(target_.get()));
}

void HistoryCopy::begin(Database& source) {
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail(path_ + ": " + std::strerror(errno));
  const kj::AutoCloseFd made(fd);
  made_ = true;
  sqlite3* handle = nullptr;
  const int opened =
      sqlite3_open_v2(path_.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  target_.reset(handle);
  if (opened != SQLITE_OK) fail(path_ + ": " + sqlite3_errstr(opened));
  execute(
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
      "PRAGMA user_version = 1;");
  const Prepared schema =
      prepare(source.handle(),
              "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name NOT IN ('head', 'fact',"
              " 'snapshot') AND sql IS NOT NULL ORDER BY type DESC, name");
  while (advance(schema.get())) {
    execute(text(schema.get(), 2).c_str());
    if (text(schema.get(), 0) == "table") tables_.push_back({text(schema.get(), 1), 0, 0});
  }
  for (Table& table : tables_) {
    const Prepared last =
        prepare(source.handle(), "SELECT coalesce(max(rowid), 0) FROM " + table.name);
    if (advance(last.get())) table.last = sqlite3_column_int64(last.get(), 0);
  }
}

bool HistoryCopy::step(Database& source) {
  if (!std::exchange(begun_, true)) begin(source);
  while (!tables_.empty() && tables_.back().next > tables_.back().last) tables_.pop_back();
  if (!tables_.empty()) copy_rows(source, tables_.back());
  if (!tables_.empty()) return false;
  target_.reset();
  return true;
}

void HistoryCopy::copy_rows(Database& source, Table& table) {
  const Prepared rows =
      prepare(source.handle(), "SELECT rowid, * FROM " + table.name +
                                   " WHERE rowid BETWEEN ? AND ? ORDER BY rowid LIMIT ?");
  sqlite3_bind_int64(rows.get(), 1, table.next);
  sqlite3_bind_int64(rows.get(), 2, table.last);
  sqlite3_bind_int64(rows.get(), 3, kRowsPerStep);
  std::string marks;
  const int columns = sqlite3_column_count(rows.get()) - 1;
  for (int n = 0; n < columns; ++n) marks += n == 0 ? "?" : ", ?";
  execute("BEGIN");
  const Prepared add =
      prepare(target_.get(), "INSERT INTO " + table.name + " VALUES (" + marks + ")");
  std::size_t bytes = 0;
  std::int64_t copied = 0;
  bool more = true;
  while (bytes < kBytesPerStep && (more = advance(rows.get()))) {
    for (int n = 1; n <= columns; ++n) {
      sqlite3_bind_value(add.get(), n, sqlite3_column_value(rows.get(), n));
      const int type = sqlite3_column_type(rows.get(), n);
      if (type == SQLITE_BLOB || type == SQLITE_TEXT)
        bytes += static_cast<std::size_t>(sqlite3_column_bytes(rows.get(), n));
    }
    advance(add.get());
    sqlite3_reset(add.get());
    table.next = sqlite3_column_int64(rows.get(), 0) + 1;
    ++copied;
  }
  if (!more && copied < kRowsPerStep) table.next = table.last + 1;
  execute("COMMIT");
}

}  // namespace leat::store
