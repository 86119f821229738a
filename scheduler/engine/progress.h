#pragma once

// progress.h - tells watchers that a job has changed: pushed, coalesced, bounded.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <map>
#include <set>

#include "base/ids.h"
#include "base/result.h"

namespace leat::engine {

// Per job the *cursor*: the store's number of the turn that last changed it. Cursors hold across
// restarts of the head: after recovery every active job's is that of the last turn on disk, which
// is at least what any client has seen.
//
// Watchers of a job wake together, at most every kWakeInterval, and at once when the job ends.
// What they then read is a summary, so a slow watcher has no backlog.
//
// Borrows: timer. Thread: engine loop.
class Progress final : private kj::TaskSet::ErrorHandler {
 public:
  static constexpr std::size_t kWatchersMax = 1'024;
  static constexpr kj::Duration kWakeInterval = 100 * kj::MILLISECONDS;

  // `recovered`: the last turn on disk when the head started.
  Progress(kj::Timer& timer, std::uint64_t recovered);
  // Calls that still wait may outlive it; they never resolve.
  ~Progress() noexcept(false);

  // The job was changed by the turn `sequence`, which is on disk. `over`: it has ended.
  void changed(JobId job, std::uint64_t sequence, bool over);

  // Of an active job.
  std::uint64_t cursor(JobId job) const;

  // Resolves when the active job's cursor is beyond `seen`, or the job has ended; kOverloaded when
  // kWatchersMax wait. Resolves at once for `seen` = 0.
  kj::Promise<Result<Done>> wait(JobId job, std::uint64_t seen);

  std::size_t watchers() const { return waiting_.size(); }

 private:
  class Watcher;
  struct Watched {
    std::uint64_t cursor = 0;
    kj::TimePoint woken = kj::origin<kj::TimePoint>();
    bool ever_woken = false;
    bool timer_set = false;
    std::set<Watcher*> watchers;
  };

  Watched& watched(JobId job);
  void wake_soon(JobId job, Watched& entry);
  void wake(JobId job);
  void taskFailed(kj::Exception&& exception) override;

  kj::Timer& timer_;
  std::uint64_t recovered_;
  std::set<Watcher*> waiting_;
  std::map<JobId, Watched> jobs_;  // active ones that changed or are watched
  kj::TaskSet tasks_;              // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
