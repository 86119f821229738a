#pragma once

// mailbox.h - the one door between threads: put anywhere, take on the loop.
//
// std::mutex and an eventfd, because ThreadSanitizer sees both with stock libraries; kj::Executor
// and kj::MutexGuarded give false reports there.

#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <kj/io.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace leat {

// Owns its descriptor. Thread: put() any, take() and the destructor the loop of `port`.
template <typename T>
class Mailbox {
 public:
  explicit Mailbox(kj::UnixEventPort& port)
      : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        observer_(port, fd_.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ) {}

  // Any thread. Never blocks for long; the loop wakes up if it waits in take().
  void put(T item) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = items_.empty();
      items_.push_back(std::move(item));
    }
    const std::uint64_t one = 1;
    if (first) (void)!::write(fd_.get(), &one, sizeof one);
  }

  // Loop thread. Everything put since the last time, in order, never empty.
  kj::Promise<std::vector<T>> take() {
    std::uint64_t count = 0;
    while (::read(fd_.get(), &count, sizeof count) > 0) {
    }
    {
      const std::lock_guard lock(mutex_);
      if (!items_.empty()) return std::exchange(items_, {});
    }
    return observer_.whenBecomesReadable().then([this] { return take(); });
  }

 private:
  std::mutex mutex_;
  std::vector<T> items_;
  kj::AutoCloseFd fd_;  // must outlive the observer below
  kj::UnixEventPort::FdObserver observer_;
};

}  // namespace leat
