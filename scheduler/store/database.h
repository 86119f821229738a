#pragma once

// database.h - SQLite as the store uses it: open rules, statements, transactions.
//
// What fails after the file is open throws kj::Exception with a line for people; store_file.cc
// turns it into a refusal, or into the end of the process.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace leat::store {

// A parameter or column of raw bytes; text is a plain string_view.
struct Bytes {
  std::string_view view;
};

// One run through the rows of a statement. Ends the statement when it goes.
//
// Borrows the statement; what was bound must live as long as the cursor.
class Cursor {
 public:
  explicit Cursor(sqlite3_stmt* statement) : statement_(statement) {}
  Cursor(Cursor&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor();

  // Moves to the next row; false after the last.
  bool next();

  // Columns of the row, from 0.
  std::int64_t number(int column) const;
  std::string bytes(int column) const;
  bool is_null(int column) const;

 private:
  sqlite3_stmt* statement_;
};

// Prepared once, run often.
class Statement {
 public:
  Statement(sqlite3* database, std::string_view sql);
  Statement(Statement&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Binds the parameters in order and begins.
  template <typename... Parameters>
  Cursor start(const Parameters&... parameters) {
    Cursor cursor(statement_);
    int at = 0;
    (bind(++at, parameters), ...);
    return cursor;
  }

  // The same for statements without rows.
  template <typename... Parameters>
  void run(const Parameters&... parameters) {
    Cursor cursor = start(parameters...);
    while (cursor.next()) {
    }
  }

 private:
  void bind(int at, std::int64_t value);
  void bind(int at, std::uint64_t value) { bind(at, static_cast<std::int64_t>(value)); }
  void bind(int at, std::uint32_t value) { bind(at, std::int64_t{value}); }
  void bind(int at, std::int32_t value) { bind(at, std::int64_t{value}); }
  void bind(int at, std::uint16_t value) { bind(at, std::int64_t{value}); }
  void bind(int at, std::uint8_t value) { bind(at, std::int64_t{value}); }
  void bind(int at, std::string_view text);
  void bind(int at, const std::string& text) { bind(at, std::string_view(text)); }
  void bind(int at, const char* text) { bind(at, std::string_view(text)); }
  void bind(int at, Bytes bytes);
  void bind(int at, std::nullptr_t);
  template <typename T>
  void bind(int at, const std::optional<T>& value) {
    value ? bind(at, *value) : bind(at, nullptr);
  }

  sqlite3_stmt* statement_ = nullptr;
};

// The one connection to the one file. Holds the exclusive lock until it goes.
//
// Thread: one at a time.
class Database {
 public:
  // Opens `path`, or creates it (0600) with the statements of `tables`, which are version 1, in one
  // transaction that also writes `application_id`. Then each upgrade that it lacks is run, in a
  // transaction that also writes the version. Refused, and nothing changed: a file that is not
  // ours, of a newer version, damaged at the start, not a plain file of our own that only we can
  // read, locked by another head (kConflict), on a network file system.
  static Result<Database> open(const std::string& path, std::uint32_t application_id,
                               const char* tables, std::span<const char* const> upgrades);
  Database(Database&& other) noexcept = default;
  ~Database();

  Statement prepare(std::string_view sql) { return Statement(handle_.get(), sql); }
  void execute(const char* sql);

  // For history_copy.cc, which moves rows without looking at them.
  sqlite3* handle() { return handle_.get(); }

  // Bytes in the write-ahead log after the last commit.
  std::uint64_t log_bytes() const;
  // Copies the log into the file, without waiting for anybody. A full disk is no failure here:
  // the log stays.
  void checkpoint();

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };

  Database() = default;

  std::unique_ptr<int> log_pages_;  // written by SQLite's hook, so at a place that stays
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace leat::store
