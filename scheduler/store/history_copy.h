#pragma once

// history_copy.h - the tables of history, copied into a file of their own a little at a time.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/store/database.h"

struct sqlite3;

namespace leat::store {

// Copies every table but those that the head runs on, up to the rows that are there when it begins.
//
// The copy is for reading and can be made again, so nothing of it is synced. The file goes with
// this object unless keep() has been called.
//
// Throws kj::Exception when SQLite fails, on either side. Thread: one at a time.
class HistoryCopy {
 public:
  // What one step reads at most: a few milliseconds of the store thread.
  static constexpr std::int64_t kRowsPerStep = 512;
  static constexpr std::size_t kBytesPerStep = 1u << 20;

  explicit HistoryCopy(std::string path) : path_(std::move(path)) {}
  ~HistoryCopy();
  HistoryCopy(const HistoryCopy&) = delete;
  HistoryCopy& operator=(const HistoryCopy&) = delete;

  // Copies some more rows. True when all is there; the file is whole and closed then.
  bool step(Database& source);

  void keep() { made_ = false; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  struct Table {
    std::string name;
    std::int64_t next = 0;  // row number
    std::int64_t last = 0;
  };

  void begin(Database& source);
  void copy_rows(Database& source, Table& table);
  void execute(const char* sql);

  std::string path_;
  bool begun_ = false;
  bool made_ = false;  // the file is ours to remove
  std::unique_ptr<sqlite3, Close> target_;
  std::vector<Table> tables_;  // those not yet done; the last is being copied
};

}  // namespace leat::store
