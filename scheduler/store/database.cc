#include "scheduler/store/database.h"

#include <fcntl.h>
#include <kj/exception.h>
#include <kj/io.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>

#include "base/check.h"
#include "scheduler/store/place.h"

namespace leat::store {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

// What a code of SQLite means for the person who has to do something about it.
std::string describe(int code, const char* detail) {
  std::string text;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      text = "the file is damaged; put back a copy";
      break;
    case SQLITE_FULL:
      text = "the disk is full; free some space and start the head again: nothing is lost";
      break;
    case SQLITE_IOERR:
      text = "the disk failed; nothing that was answered is lost, but look after the disk";
      break;
    default:
      text = "unexpected answer of SQLite";
      break;
  }
  return text + " (" + detail + ", code " + std::to_string(code) + ")";
}

[[noreturn]] void fail(sqlite3* database, int code) {
  const std::string text = describe(code, sqlite3_errmsg(database));
  kj::throwFatalException(
      kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__, kj::heapString(text.c_str())));
}

void expect(sqlite3* database, int code) {
  if (code != SQLITE_OK) fail(database, code);
}

// Called by SQLite after each commit.
int note_log_pages(void* log_pages, sqlite3*, const char*, int pages) {
  *static_cast<int*>(log_pages) = pages;
  return SQLITE_OK;
}

// The first look inside: takes the lock, rolls back what a crash left half done.
constexpr const char* kLockFile =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA foreign_keys = ON;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA cache_size = -16384;"
    "PRAGMA synchronous = FULL;"
    "BEGIN EXCLUSIVE; COMMIT;";

void execute_on(sqlite3* handle, const char* sql) {
  expect(handle, sqlite3_exec(handle, sql, nullptr, nullptr, nullptr));
}

std::int64_t pragma(sqlite3* handle, const char* sql) {
  Statement statement(handle, sql);
  Cursor cursor = statement.start();
  return cursor.next() ? cursor.number(0) : 0;
}

// From version `from` to the next.
void upgrade(sqlite3* handle, std::size_t from, const char* statements) {
  execute_on(handle, (std::string("BEGIN EXCLUSIVE;") + statements +
                      "PRAGMA user_version = " + std::to_string(from + 1) + "; COMMIT;")
                         .c_str());
}

// Makes the tables of a new file, checks those of an old one, and switches the log on. The tables
// come first, so that the ids stand in the file's first page from the start.
std::optional<Refusal> prepare_file(sqlite3* handle, const std::string& path,
                                    std::uint32_t application_id, const char* tables,
                                    std::span<const char* const> upgrades) {
  const std::string store = "store " + path + ": ";
  std::optional<Refusal> refusal;
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] {
                 if (pragma(handle, "SELECT count(*) FROM sqlite_schema") == 0)
                   execute_on(handle, ("BEGIN EXCLUSIVE; PRAGMA application_id = " +
                                       std::to_string(application_id) +
                                       "; PRAGMA user_version = 1;" + tables + "COMMIT;")
                                          .c_str());
                 // What a newer version has changed may still be in the log, which is read by now.
                 const auto version =
                     static_cast<std::size_t>(pragma(handle, "PRAGMA user_version"));
                 if (version > upgrades.size() + 1)
                   refusal = invalid(store + "it is from a newer version of leat");
                 if (version == 0) refusal = invalid(store + "it does not say its version");
                 if (refusal) return;
                 for (std::size_t n = version; n <= upgrades.size(); ++n)
                   upgrade(handle, n, upgrades[n - 1]);
                 execute_on(handle,
                            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"
                            "PRAGMA journal_size_limit = 67108864;");
                 Statement mode(handle, "PRAGMA journal_mode");
                 Cursor cursor = mode.start();
                 if (!cursor.next() || cursor.bytes(0) != "wal")
                   refusal = invalid(store + "its file system does not support a write-ahead log");
               })) {
    return invalid(store + exception->getDescription().cStr());
  }
  return refusal;
}

// The directory entry of a new file must be as durable as what will stand in it.
void sync_directory_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  const kj::AutoCloseFd directory(fd);
  (void)::fsync(fd);
}

}  // namespace

Cursor::~Cursor() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Cursor::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(sqlite3_db_handle(statement_), code);
  return false;
}

std::int64_t Cursor::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string Cursor::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr
             ? std::string()
             : std::string(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

bool Cursor::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Statement::Statement(sqlite3* database, std::string_view sql) {
  expect(database, sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
}

Statement::~Statement() {
  sqlite3_finalize(statement_);
}

void Statement::bind(int at, std::int64_t value) {
  expect(sqlite3_db_handle(statement_), sqlite3_bind_int64(statement_, at, value));
}

void Statement::bind(int at, std::string_view text) {
  expect(sqlite3_db_handle(statement_),
         sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind(int at, Bytes bytes) {
  // A null pointer would be NULL, not an empty blob.
  const char* data = bytes.view.empty() ? "" : bytes.view.data();
  expect(sqlite3_db_handle(statement_),
         sqlite3_bind_blob64(statement_, at, data, bytes.view.size(), SQLITE_STATIC));
}

void Statement::bind(int at, std::nullptr_t) {
  expect(sqlite3_db_handle(statement_), sqlite3_bind_null(statement_, at));
}

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

Database::~Database() = default;

Result<Database> Database::open(const std::string& path, std::uint32_t application_id,
                                const char* tables, std::span<const char* const> upgrades) {
  Result<Place> place =
      inspect(path, application_id, static_cast<std::uint32_t>(upgrades.size() + 1));
  if (!place.ok()) return place.refusal();

  Database database;
  sqlite3* handle = nullptr;
  const int opened = sqlite3_open_v2(
      place.value().path.c_str(), &handle,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE,
      nullptr);
  database.handle_.reset(handle);
  if (opened != SQLITE_OK)
    return invalid("store " + path + ": " + describe(opened, sqlite3_errstr(opened)));

  const int locked = sqlite3_exec(handle, kLockFile, nullptr, nullptr, nullptr);
  if ((locked & 0xff) == SQLITE_BUSY) {
    database.handle_.reset();
    const auto pid = lock_holder(place.value().path);
    return Refusal{Reason::kConflict,
                   "store " + path + ": another head" +
                       (pid ? " (pid " + std::to_string(*pid) + ")" : std::string()) +
                       " uses this store"};
  }
  if (locked != SQLITE_OK)
    return invalid("store " + path + ": " + describe(locked, sqlite3_errmsg(handle)));

  if (auto refusal = prepare_file(handle, path, application_id, tables, upgrades)) return *refusal;
  sync_directory_of(place.value().path);
  database.log_pages_ = std::make_unique<int>(0);
  sqlite3_wal_hook(handle, note_log_pages, database.log_pages_.get());
  return database;
}

void Database::execute(const char* sql) {
  execute_on(handle_.get(), sql);
}

std::uint64_t Database::log_bytes() const {
  return static_cast<std::uint64_t>(*log_pages_) * kPageBytes;
}

void Database::checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                             nullptr, nullptr);
  if (code == SQLITE_OK) *log_pages_ = 0;
  const int kind = code & 0xff;
  if (kind != SQLITE_OK && kind != SQLITE_BUSY && kind != SQLITE_FULL) fail(handle_.get(), code);
}

}  // namespace leat::store
