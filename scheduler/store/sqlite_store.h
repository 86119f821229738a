#pragma once

// sqlite_store.h - the store over one SQLite file, and the thread that writes it.

#include <kj/async-unix.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "scheduler/store/store.h"
#include "scheduler/store/store_file.h"

namespace leat::store {

// The process ends with this code when a turn cannot be written.
inline constexpr int kExitStoreFailed = 74;

// One transaction per turn, on a thread of its own. Checkpoints when nothing waits, or when the
// write-ahead log has grown past kLogBytesMax.
//
// Owns the file and the thread. Thread: all members the loop of `port`; the destructor waits for
// what has been handed over, and promises that are still open are rejected.
class SqliteStore final : public Store {
 public:
  // `file` has been opened and read by recovery.
  SqliteStore(std::unique_ptr<StoreFile> file, kj::UnixEventPort& port);
  ~SqliteStore() noexcept override;

  kj::Promise<void> append(TurnRecord turn) override;
  kj::Promise<std::optional<RunPlace>> find_run(StageRef stage, Index index) override;
  kj::Promise<std::optional<core::Job>> find_job(JobId job) override;
  kj::Promise<std::vector<core::Job>> find_jobs(JobId before, std::uint32_t limit) override;

 private:
  class Writer;
  kj::Own<Writer> writer_;
};

}  // namespace leat::store
