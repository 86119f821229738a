#include "scheduler/store/store_file.h"

#include <kj/exception.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "scheduler/store/checksum.h"
#include "scheduler/store/database.h"
#include "scheduler/store/fact_codec.h"
#include "scheduler/store/history_tables.h"
#include "scheduler/store/tables.h"

namespace leat::store {
namespace {

// Carrying on would answer for things that are not on disk; a restart recovers what is.
[[noreturn]] void write_failed(const std::string& path, const char* why) {
  std::fprintf(stderr, "leat-scheduler: store %s: %s\n", path.c_str(), why);
  std::fflush(stderr);
  ::_exit(kExitStoreFailed);
}

std::uint32_t sum_of_turn(std::uint64_t sequence, std::string_view bytes) {
  return checksum(bytes, sequence);
}

std::uint32_t sum_of_row(const RowKey& key, std::uint64_t sequence, std::string_view bytes) {
  const auto kind = static_cast<std::uint64_t>(key.kind);
  return checksum(bytes, sequence ^ (key.id << 16) ^ (key.part << 8) ^ (kind << 56));
}

// A row of `snapshot`, one of several for its key.
struct Version {
  std::int64_t row_number = 0;
  RowKey key;
  bool erased = false;
  std::string bytes;
};

Refusal damaged_row(const std::string& path, const RowKey& key, std::uint64_t sequence) {
  return invalid("store " + path + ": snapshot row " +
                 std::to_string(static_cast<unsigned>(key.kind)) + "/" + std::to_string(key.id) +
                 " of turn " + std::to_string(sequence) + " is damaged; put back a copy");
}

// Runs `read`, which throws kj::Exception when SQLite cannot.
template <typename T, typename Read>
Result<T> guarded(const std::string& path, Read read) {
  Result<T> result = invalid("");
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { result = read(); }))
    return invalid("store " + path + ": " + exception->getDescription().cStr());
  return result;
}

}  // namespace

struct StoreFile::Tables {
  explicit Tables(Database opened) : database(std::move(opened)), history(database) {}

  Database database;
  Statement begin = database.prepare("BEGIN IMMEDIATE");
  Statement commit = database.prepare("COMMIT");
  Statement get_number = database.prepare("SELECT value FROM head WHERE name = ?");
  Statement set_number =
      database.prepare("INSERT OR REPLACE INTO head (name, value) VALUES (?, ?)");
  Statement add_turn =
      database.prepare("INSERT INTO fact (sequence, checksum, turn) VALUES (?, ?, ?)");
  Statement oldest_turn = database.prepare("SELECT min(sequence) FROM fact");
  Statement turns_after = database.prepare(
      "SELECT sequence, checksum, turn FROM fact WHERE sequence > ? ORDER BY sequence");
  Statement turns_from = database.prepare(
      "SELECT sequence, checksum, turn FROM fact WHERE sequence >= ? ORDER BY sequence LIMIT ?");
  Statement delete_turns = database.prepare("DELETE FROM fact WHERE sequence BETWEEN ? AND ?");
  Statement add_row = database.prepare(
      "INSERT OR REPLACE INTO snapshot (kind, id, part, sequence, checksum, row)"
      " VALUES (?, ?, ?, ?, ?, ?)");
  // Oldest version first.
  Statement rows = database.prepare(
      "SELECT rowid, kind, id, part, sequence, checksum, row FROM snapshot"
      " ORDER BY kind, id, part, sequence");
  Statement delete_row = database.prepare("DELETE FROM snapshot WHERE rowid = ?");
  Statement delete_versions = database.prepare(
      "DELETE FROM snapshot WHERE kind = ?1 AND id = ?2 AND part = ?3"
      " AND (sequence < ?4 OR (sequence = ?4 AND row IS NULL))");
  HistoryTables history;

  std::uint64_t number(const char* name) {
    Cursor cursor = get_number.start(name);
    return cursor.next() ? static_cast<std::uint64_t>(cursor.number(0)) : 0;
  }
};

StoreFile::StoreFile(std::string path, std::unique_ptr<Tables> tables)
    : path_(std::move(path)), tables_(std::move(tables)) {}

StoreFile::~StoreFile() = default;

static_assert(std::size(kUpgrades) + 1 == kFormatVersion);

Result<std::unique_ptr<StoreFile>> StoreFile::open(const std::string& path) {
  Result<Database> database = Database::open(path, kApplicationId, kTables, kUpgrades);
  if (!database.ok()) return database.refusal();
  return guarded<std::unique_ptr<StoreFile>>(path, [&]() -> Result<std::unique_ptr<StoreFile>> {
    std::unique_ptr<StoreFile> file(
        new StoreFile(path, std::make_unique<Tables>(std::move(database).value())));
    Tables& tables = *file->tables_;
    file->seal_ = {tables.number("snapshot_sequence"),
                   Time{Duration{static_cast<std::int64_t>(tables.number("snapshot_time_us"))}}};
    Cursor oldest = tables.oldest_turn.start();
    const bool some = oldest.next() && !oldest.is_null(0);
    file->oldest_turn_ =
        some ? static_cast<std::uint64_t>(oldest.number(0)) : file->seal_.sequence + 1;
    return file;
  });
}

Result<Seal> StoreFile::seal() {
  return seal_;
}

Result<Done> StoreFile::each_row(const VisitRow& visit) {
  leftovers_.clear();
  const auto settle = [&](const Version& newest) -> Result<Done> {
    if (!newest.erased) return visit(newest.key, newest.bytes);
    leftovers_.push_back(newest.row_number);
    return Done{};
  };
  return guarded<Done>(path_, [&]() -> Result<Done> {
    std::optional<Version> newest;
    Cursor rows = tables_->rows.start();
    while (rows.next()) {
      const RowKey key{static_cast<RowKind>(rows.number(1)),
                       static_cast<std::uint64_t>(rows.number(2)),
                       static_cast<std::uint64_t>(rows.number(3))};
      const auto sequence = static_cast<std::uint64_t>(rows.number(4));
      if (sequence > seal_.sequence) {
        leftovers_.push_back(rows.number(0));
        continue;
      }
      // The newest version of a key is known when the next key comes.
      if (newest && newest->key != key) {
        Result<Done> done = settle(*newest);
        if (!done.ok()) return done;
        newest.reset();
      }
      if (newest) leftovers_.push_back(newest->row_number);
      newest = Version{rows.number(0), key, rows.is_null(6), rows.bytes(6)};
      if (rows.number(5) != sum_of_row(key, sequence, newest->bytes))
        return damaged_row(path_, key, sequence);
    }
    return newest ? settle(*newest) : Done{};
  });
}

Result<Done> StoreFile::each_turn(const VisitTurn& visit) {
  return guarded<Done>(path_, [&]() -> Result<Done> {
    Cursor turns = tables_->turns_after.start(seal_.sequence);
    while (turns.next()) {
      const auto sequence = static_cast<std::uint64_t>(turns.number(0));
      std::string bytes = turns.bytes(2);
      if (turns.number(1) != sum_of_turn(sequence, bytes))
        return invalid("store " + path_ + ": turn " + std::to_string(sequence) +
                       " is damaged; put back a copy");
      Result<Done> done = visit(sequence, std::move(bytes));
      if (!done.ok()) return done;
    }
    return Done{};
  });
}

void StoreFile::append(const TurnRecord& turn) {
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { write(turn); }))
    write_failed(path_, exception->getDescription().cStr());
}

void StoreFile::write(const TurnRecord& turn) {
  tables_->begin.run();
  for (const std::int64_t row : std::exchange(leftovers_, {})) tables_->delete_row.run(row);
  tables_->add_turn.run(turn.sequence, sum_of_turn(turn.sequence, turn.facts), Bytes{turn.facts});
  write_snapshot(turn);
  delete_old(turn);
  tables_->history.add(turn.history);
  tables_->commit.run();
}

void StoreFile::write_snapshot(const TurnRecord& turn) {
  for (const SnapshotRow& row : turn.rows) {
    const RowKey& key = row.key;
    const std::optional<Bytes> bytes = row.erased ? std::nullopt : std::optional(Bytes{row.bytes});
    tables_->add_row.run(static_cast<std::uint8_t>(key.kind), key.id, key.part, turn.round,
                         sum_of_row(key, turn.round, row.bytes), bytes);
  }
  if (!turn.seal) return;
  tables_->set_number.run("snapshot_sequence", turn.seal->sequence);
  tables_->set_number.run("snapshot_time_us", turn.seal->at.us());
  seal_ = *turn.seal;
}

void StoreFile::delete_old(const TurnRecord& turn) {
  for (const RowKey& key : turn.superseded)
    tables_->delete_versions.run(static_cast<std::uint8_t>(key.kind), key.id, key.part,
                                 seal_.sequence);
  if (oldest_turn_ + kTurnsKept > seal_.sequence) return;
  const std::uint64_t last =
      std::min(seal_.sequence - kTurnsKept, oldest_turn_ + kTurnsDeletedPerTurn - 1);
  tables_->delete_turns.run(oldest_turn_, last);
  oldest_turn_ = last + 1;
}

Result<std::optional<RunPlace>> StoreFile::find_run(StageRef stage, Index index) {
  return guarded<std::optional<RunPlace>>(
      path_, [&] { return Result(tables_->history.find_run(stage, index)); });
}

Result<IndexList> StoreFile::find_tasks(StageRef stage) {
  return guarded<IndexList>(path_, [&] { return Result(tables_->history.find_tasks(stage)); });
}

Result<std::int64_t> StoreFile::find_end_of(NodeRef node) {
  return guarded<std::int64_t>(path_, [&] { return Result(tables_->history.find_end_of(node)); });
}

Result<std::optional<core::Job>> StoreFile::find_job(JobId job) {
  return guarded<std::optional<core::Job>>(path_, [&] { return tables_->history.find_job(job); });
}

Result<std::vector<core::Job>> StoreFile::find_jobs(JobId before, std::uint32_t limit) {
  return guarded<std::vector<core::Job>>(
      path_, [&] { return tables_->history.find_jobs(before, std::min(limit, Store::kJobsMax)); });
}

Result<StoredTurns> StoreFile::find_turns(std::uint64_t from) {
  return guarded<StoredTurns>(path_, [&]() -> Result<StoredTurns> {
    StoredTurns found;
    Cursor oldest = tables_->oldest_turn.start();
    if (!oldest.next() || oldest.is_null(0)) return found;
    found.oldest = static_cast<std::uint64_t>(oldest.number(0));
    Cursor turns =
        tables_->turns_from.start(std::max(from, found.oldest), std::uint64_t{Archive::kTurnsMax});
    std::size_t bytes = 0;
    while (bytes < Archive::kTurnBytesMax && turns.next()) {
      const auto sequence = static_cast<std::uint64_t>(turns.number(0));
      std::string facts = turns.bytes(2);
      if (turns.number(1) != sum_of_turn(sequence, facts))
        return invalid("store " + path_ + ": turn " + std::to_string(sequence) + " is damaged");
      bytes += facts.size();
      found.turns.push_back({sequence, std::move(facts)});
    }
    return found;
  });
}

Result<bool> StoreFile::step(HistoryCopy& copy) {
  return guarded<bool>(path_, [&] { return Result(copy.step(tables_->database)); });
}

Result<bool> StoreFile::step(HistoryPrune& prune) {
  Result<bool> done = guarded<bool>(path_, [&] { return Result(prune.step(tables_->database)); });
  // Whatever was wrong, the next turn must find no transaction open.
  if (!done.ok()) (void)kj::runCatchingExceptions([&] { tables_->database.execute("ROLLBACK"); });
  return done;
}

std::uint64_t StoreFile::log_bytes() const {
  return tables_->database.log_bytes();
}

void StoreFile::checkpoint() {
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { tables_->database.checkpoint(); }))
    write_failed(path_, exception->getDescription().cStr());
}

}  // namespace leat::store
