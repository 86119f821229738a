#pragma once

// sync_thread.h - the one other thread of leat-store: it waits for the disk.
//
// A sync of a large blob takes seconds; the loop must go on serving reads meanwhile.

#include <kj/async-io.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/loop/mailbox.h"
#include "base/result.h"
#include "store-server/blob_store.h"

namespace leat::blobs {

// Makes sealed blobs durable, one after the other, and books them in the store on the loop.
// Borrows store. Thread: the loop, all public members. The destructor waits for the blob in hand.
//
// Bounded by its callers: an upload has at most one blob here.
class SyncThread {
 public:
  SyncThread(BlobStore& store, kj::UnixEventPort& port);
  ~SyncThread();
  SyncThread(const SyncThread&) = delete;
  SyncThread& operator=(const SyncThread&) = delete;

  // Resolves once the blob is on disk and booked, or refused and gone. Dropping the promise
  // changes nothing but that nobody hears of it.
  kj::Promise<Result<Stored>> make_durable(SealedBlob sealed);

 private:
  struct Job {
    std::uint64_t number = 0;
    std::shared_ptr<SealedBlob> sealed;
    Result<Stored> stored = Stored::kNew;
  };

  void run();  // the thread's own
  kj::Promise<void> deliver_all();

  BlobStore& store_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job> waiting_;  // guarded by mutex_
  bool stopping_ = false;     // guarded by mutex_

  std::uint64_t jobs_begun_ = 0;
  std::map<std::uint64_t, kj::Own<kj::PromiseFulfiller<Result<Stored>>>> callers_;
  Mailbox<Job> done_;
  kj::Promise<void> delivering_ = nullptr;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace leat::blobs
