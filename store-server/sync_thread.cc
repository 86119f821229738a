#include "store-server/sync_thread.h"

#include <csignal>

namespace leat::blobs {

SyncThread::SyncThread(BlobStore& store, kj::UnixEventPort& port) : store_(store), done_(port) {
  delivering_ = deliver_all().eagerlyEvaluate(nullptr);
  // Signals are the loop's: the thread inherits a mask that blocks them all.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

SyncThread::~SyncThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

kj::Promise<Result<Stored>> SyncThread::make_durable(SealedBlob sealed) {
  auto promise = kj::newPromiseAndFulfiller<Result<Stored>>();
  Job job;
  job.number = ++jobs_begun_;
  job.sealed = std::make_shared<SealedBlob>(kj::mv(sealed));
  callers_.emplace(job.number, kj::mv(promise.fulfiller));
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  wake_.notify_one();
  return kj::mv(promise.promise);
}

void SyncThread::run() {
  for (;;) {
    std::vector<Job> jobs;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      jobs.swap(waiting_);
    }
    for (Job& job : jobs) {
      job.stored = store_.make_durable(*job.sealed);
      done_.put(std::move(job));
    }
  }
}

kj::Promise<void> SyncThread::deliver_all() {
  return done_.take().then([this](std::vector<Job> jobs) {
    for (Job& job : jobs) {
      store_.settle(*job.sealed, job.stored);
      const auto caller = callers_.find(job.number);
      caller->second->fulfill(kj::mv(job.stored));
      callers_.erase(caller);
    }
    return deliver_all();
  });
}

}  // namespace leat::blobs
