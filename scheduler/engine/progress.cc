#include "scheduler/engine/progress.h"

#include <utility>

namespace leat::engine {

// One waiting call. Registers itself, and leaves when its promise is dropped.
class Progress::Watcher {
 public:
  Watcher(kj::PromiseFulfiller<Result<Done>>& fulfiller, Progress& progress, JobId job,
          std::uint64_t seen)
      : fulfiller_(fulfiller), progress_(&progress), job_(job), seen_(seen) {
    progress_->watched(job_).watchers.insert(this);
    progress_->waiting_.insert(this);
  }
  ~Watcher() {
    if (progress_ == nullptr) return;
    progress_->waiting_.erase(this);
    const auto at = progress_->jobs_.find(job_);
    if (at != progress_->jobs_.end()) at->second.watchers.erase(this);
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  std::uint64_t seen() const { return seen_; }
  void forget_progress() { progress_ = nullptr; }
  void wake() { fulfiller_.fulfill(Result<Done>(Done{})); }

 private:
  kj::PromiseFulfiller<Result<Done>>& fulfiller_;
  Progress* progress_;  // null once it is gone
  JobId job_;
  std::uint64_t seen_;
};

Progress::Progress(kj::Timer& timer, std::uint64_t recovered)
    : timer_(timer), recovered_(recovered), tasks_(*this) {}

Progress::~Progress() noexcept(false) {
  for (Watcher* watcher : waiting_) watcher->forget_progress();
}

Progress::Watched& Progress::watched(JobId job) {
  const auto [at, fresh] = jobs_.try_emplace(job);
  if (fresh) at->second.cursor = recovered_;
  return at->second;
}

std::uint64_t Progress::cursor(JobId job) const {
  const auto at = jobs_.find(job);
  return at == jobs_.end() ? recovered_ : at->second.cursor;
}

void Progress::changed(JobId job, std::uint64_t sequence, bool over) {
  Watched& entry = watched(job);
  entry.cursor = sequence;
  if (over) {
    for (Watcher* watcher : std::exchange(entry.watchers, {})) watcher->wake();
    jobs_.erase(job);
  } else if (!entry.watchers.empty()) {
    wake_soon(job, entry);
  }
}

kj::Promise<Result<Done>> Progress::wait(JobId job, std::uint64_t seen) {
  if (seen == 0) return Result<Done>(Done{});
  if (waiting_.size() >= kWatchersMax)
    return Result<Done>(Refusal{Reason::kOverloaded, "too many watchers: try again in a moment"});
  kj::Promise<Result<Done>> woken = kj::newAdaptedPromise<Result<Done>, Watcher>(*this, job, seen);
  Watched& entry = watched(job);
  if (entry.cursor > seen) wake_soon(job, entry);
  return woken;
}

void Progress::wake_soon(JobId job, Watched& entry) {
  if (entry.timer_set) return;
  const kj::TimePoint due = entry.woken + kWakeInterval;
  if (!entry.ever_woken || due <= timer_.now()) {
    wake(job);
    return;
  }
  entry.timer_set = true;
  tasks_.add(timer_.atTime(due).then([this, job] {
    const auto at = jobs_.find(job);
    if (at == jobs_.end()) return;
    at->second.timer_set = false;
    wake(job);
  }));
}

void Progress::wake(JobId job) {
  Watched& entry = watched(job);
  entry.woken = timer_.now();
  entry.ever_woken = true;
  for (auto at = entry.watchers.begin(); at != entry.watchers.end();) {
    Watcher* watcher = *at;
    if (watcher->seen() < entry.cursor) {
      at = entry.watchers.erase(at);
      watcher->wake();
    } else {
      ++at;
    }
  }
}

void Progress::taskFailed(kj::Exception&& exception) {
  // Timers do not fail.
  kj::throwFatalException(kj::mv(exception));
}

}  // namespace leat::engine
