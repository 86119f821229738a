#include "scheduler/store/sqlite_store.h"

#include <kj/debug.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/loop/mailbox.h"

namespace leat::store {
namespace {

// After this long without work the log is copied.
constexpr std::chrono::milliseconds kIdle(100);

// One thing to do: made, answered and destroyed on the loop, worked on by the thread.
class Call {
 public:
  virtual ~Call() noexcept(false) = default;  // as fulfillers say
  virtual void work(StoreFile& file) = 0;
  virtual void answer() = 0;
};

class Append final : public Call {
 public:
  Append(TurnRecord turn, kj::Own<kj::PromiseFulfiller<void>> done)
      : turn_(std::move(turn)), done_(kj::mv(done)) {}
  void work(StoreFile& file) override { file.append(turn_); }
  void answer() override { done_->fulfill(); }

 private:
  TurnRecord turn_;
  kj::Own<kj::PromiseFulfiller<void>> done_;
};

template <typename T, typename Find>
class Query final : public Call {
 public:
  Query(Find find, kj::Own<kj::PromiseFulfiller<T>> done, std::size_t& open)
      : find_(std::move(find)), done_(kj::mv(done)), open_(open) {
    ++open_;
  }
  ~Query() noexcept(false) override { --open_; }
  void work(StoreFile& file) override { found_ = find_(file); }
  void answer() override {
    if (found_.ok()) return done_->fulfill(std::move(found_).value());
    done_->reject(KJ_EXCEPTION(FAILED, found_.refusal().message.c_str()));
  }

 private:
  Find find_;
  Result<T> found_ = invalid("not looked up yet");
  kj::Own<kj::PromiseFulfiller<T>> done_;
  std::size_t& open_;
};

const Refusal kBusy{Reason::kOverloaded,
                    "history is being copied or pruned already: try again in a moment"};

Refusal refusal_of(const kj::Exception& exception) {
  return {Reason::kConflict, exception.getDescription().cStr()};
}

}  // namespace

class SqliteStore::Writer {
 public:
  Writer(std::unique_ptr<StoreFile> file, kj::UnixEventPort& port)
      : file_(std::move(file)),
        finished_(port),
        thread_([this] { run(); }),
        answers_(answer().eagerlyEvaluate(nullptr)) {}

  ~Writer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void put(std::unique_ptr<Call> call) {
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(std::move(call));
    }
    changed_.notify_one();
  }

  template <typename T, typename Find>
  kj::Promise<T> query(Find find) {
    if (open_queries_ >= kQueriesMax) return KJ_EXCEPTION(OVERLOADED, "too many look-ups at once");
    auto paf = kj::newPromiseAndFulfiller<T>();
    put(std::make_unique<Query<T, Find>>(std::move(find), kj::mv(paf.fulfiller), open_queries_));
    return kj::mv(paf.promise);
  }

 private:
  // The thread.
  void run() {
    while (std::unique_ptr<Call> call = next()) {
      call->work(*file_);
      finished_.put(std::move(call));
      if (file_->log_bytes() > kLogBytesMax) file_->checkpoint();
    }
  }

  // The next call, in order; nothing when all is done and the store is closing.
  std::unique_ptr<Call> next() {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return !calls_.empty() || stopping_; };
    while (!ready()) {
      if (file_->log_bytes() == 0) {
        changed_.wait(lock, ready);
      } else if (!changed_.wait_for(lock, kIdle, ready)) {
        lock.unlock();
        file_->checkpoint();
        lock.lock();
      }
    }
    if (calls_.empty()) return nullptr;
    std::unique_ptr<Call> call = std::move(calls_.front());
    calls_.pop_front();
    return call;
  }

  kj::Promise<void> answer() {
    return finished_.take().then([this](const std::vector<std::unique_ptr<Call>>& calls) {
      for (const std::unique_ptr<Call>& call : calls) call->answer();
      return answer();
    });
  }

  std::unique_ptr<StoreFile> file_;  // the thread's
  std::size_t open_queries_ = 0;     // the loop's

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Call>> calls_;  // under mutex_, as is:
  bool stopping_ = false;

  Mailbox<std::unique_ptr<Call>> finished_;
  std::thread thread_;         // joined before anything above goes
  kj::Promise<void> answers_;  // last: its continuation uses all of this
};

SqliteStore::SqliteStore(std::unique_ptr<StoreFile> file, kj::UnixEventPort& port)
    : writer_(std::make_unique<Writer>(std::move(file), port)) {}

SqliteStore::~SqliteStore() noexcept = default;

kj::Promise<void> SqliteStore::append(TurnRecord turn) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  writer_->put(std::make_unique<Append>(std::move(turn), kj::mv(paf.fulfiller)));
  return kj::mv(paf.promise);
}

kj::Promise<std::optional<RunPlace>> SqliteStore::find_run(StageRef stage, Index index) {
  return writer_->query<std::optional<RunPlace>>(
      [stage, index](StoreFile& file) { return file.find_run(stage, index); });
}

kj::Promise<IndexList> SqliteStore::find_tasks(StageRef stage) {
  return writer_->query<IndexList>([stage](StoreFile& file) { return file.find_tasks(stage); });
}

kj::Promise<std::int64_t> SqliteStore::find_end_of(NodeRef node) {
  return writer_->query<std::int64_t>([node](StoreFile& file) { return file.find_end_of(node); });
}

kj::Promise<std::optional<core::Job>> SqliteStore::find_job(JobId job) {
  return writer_->query<std::optional<core::Job>>(
      [job](StoreFile& file) { return file.find_job(job); });
}

kj::Promise<std::vector<core::Job>> SqliteStore::find_jobs(JobId before, std::uint32_t limit) {
  return writer_->query<std::vector<core::Job>>(
      [before, limit](StoreFile& file) { return file.find_jobs(before, limit); });
}

kj::Promise<StoredTurns> SqliteStore::find_turns(std::uint64_t from) {
  return writer_->query<StoredTurns>([from](StoreFile& file) { return file.find_turns(from); });
}

// Each step stands at the end of the queue anew, so whatever came in meanwhile goes first.
template <typename Work>
kj::Promise<void> SqliteStore::work_through(std::shared_ptr<Work> work) {
  return writer_->query<bool>([work](StoreFile& file) { return file.step(*work); })
      .then([this, work](bool over) -> kj::Promise<void> {
        if (over) return kj::READY_NOW;
        return work_through(work);
      });
}

kj::Promise<Result<Done>> SqliteStore::copy_history(std::string path) {
  if (long_work_ >= kLongWorkMax) return Result<Done>(kBusy);
  ++long_work_;
  const auto copy = std::make_shared<HistoryCopy>(std::move(path));
  return work_through(copy)
      .then(
          [copy]() -> Result<Done> {
            copy->keep();
            return Done{};
          },
          [](kj::Exception&& exception) -> Result<Done> { return refusal_of(exception); })
      .attach(kj::defer([this] { --long_work_; }));
}

kj::Promise<Result<Pruned>> SqliteStore::prune_history(Prune prune) {
  if (long_work_ >= kLongWorkMax) return Result<Pruned>(kBusy);
  ++long_work_;
  const auto pruning = std::make_shared<HistoryPrune>(std::move(prune));
  return work_through(pruning)
      .then([pruning]() -> Result<Pruned> { return pruning->pruned(); },
            [](kj::Exception&& exception) -> Result<Pruned> { return refusal_of(exception); })
      .attach(kj::defer([this] { --long_work_; }));
}

}  // namespace leat::store
