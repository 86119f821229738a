#pragma once

// sqlite_store.h - the store over one SQLite file, and the thread that writes it.

#include <kj/async-unix.h>

#include <memory>

#include "scheduler/store/archive.h"
#include "scheduler/store/store.h"
#include "scheduler/store/store_file.h"

namespace leat::store {

// The write-ahead log is copied into the file at the latest when it has grown to this.
inline constexpr std::uint64_t kLogBytesMax = 64u << 20;

// One transaction per turn, on a thread of its own. Copies the log into the file when nothing has
// come in for a moment, or when the log has grown past kLogBytesMax.
//
// Owns the file and the thread. Thread: all members the loop of `port`, which must outlive this.
// The destructor waits until everything handed over is on disk; promises still open then are
// rejected.
class SqliteStore final : public Store, public Archive {
 public:
  // `file` has been read by recovery.
  SqliteStore(std::unique_ptr<StoreFile> file, kj::UnixEventPort& port);
  ~SqliteStore() noexcept override;

  kj::Promise<void> append(TurnRecord turn) override;
  kj::Promise<std::optional<RunPlace>> find_run(StageRef stage, Index index) override;
  kj::Promise<IndexList> find_tasks(StageRef stage) override;
  kj::Promise<std::int64_t> find_end_of(NodeRef node) override;
  kj::Promise<std::optional<core::Job>> find_job(JobId job) override;
  kj::Promise<std::vector<core::Job>> find_jobs(JobId before, std::uint32_t limit) override;

  kj::Promise<StoredTurns> find_turns(std::uint64_t from) override;
  kj::Promise<Result<Done>> copy_history(std::string path) override;
  kj::Promise<Result<Pruned>> prune_history(Prune prune) override;

 private:
  class Writer;
  // Asks for step after step of `work` until it is done.
  template <typename Work>
  kj::Promise<void> work_through(std::shared_ptr<Work> work);

  std::unique_ptr<Writer> writer_;
  std::size_t long_work_ = 0;  // copies and prunings under way
};

}  // namespace leat::store
