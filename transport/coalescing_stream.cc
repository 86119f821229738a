#include "transport/coalescing_stream.h"

#include <kj/debug.h>

#include <algorithm>
#include <cstring>

namespace leat::transport {
namespace {

// Whatever broke the stream, all that is left to do is to connect anew.
kj::Exception as_disconnected(const kj::Exception& cause) {
  return KJ_EXCEPTION(DISCONNECTED, "session lost", cause.getDescription());
}

}  // namespace

CoalescingStream::CoalescingStream(kj::Own<kj::AsyncIoStream> inner, bool answers_first)
    : inner_(kj::mv(inner)),
      answers_first_(answers_first),
      ahead_(kj::heapArray<kj::byte>(kReadAhead)) {
  auto lost = kj::newPromiseAndFulfiller<void>();
  lost_ = kj::mv(lost.fulfiller);
  lost_promise_ = lost.promise.fork();
}

CoalescingStream::~CoalescingStream() noexcept(false) {}

kj::Promise<void> CoalescingStream::on_lost() {
  return lost_promise_.addBranch();
}

void CoalescingStream::lose(const kj::Exception& reason) {
  if (lost_reason_ != nullptr) return;
  lost_reason_ = kj::cp(reason);
  gathering_.clear();
  if (drained_.get() != nullptr) drained_->reject(kj::cp(reason));
  lost_->fulfill();
}

kj::Promise<std::size_t> CoalescingStream::tryRead(void* buffer, std::size_t min_bytes,
                                                   std::size_t max_bytes) {
  if (answers_first_ && is_full())
    return when_writable().then([=, this]() { return tryRead(buffer, min_bytes, max_bytes); });
  const std::size_t done = take_ahead(buffer, max_bytes);
  if (done >= min_bytes) return done;
  KJ_IF_MAYBE (reason, lost_reason_) {
    return kj::cp(*reason);
  }
  return read_more(static_cast<kj::byte*>(buffer), min_bytes, max_bytes, done);
}

std::size_t CoalescingStream::take_ahead(void* buffer, std::size_t max_bytes) {
  const std::size_t n = std::min(ahead_last_ - ahead_first_, max_bytes);
  if (n > 0) std::memcpy(buffer, ahead_.begin() + ahead_first_, n);
  ahead_first_ += n;
  return n;
}

// Precondition: nothing is read ahead, done < min_bytes.
kj::Promise<std::size_t> CoalescingStream::read_more(kj::byte* buffer, std::size_t min_bytes,
                                                     std::size_t max_bytes, std::size_t done) {
  const std::size_t need = min_bytes - done;
  // What would fill the read-ahead anyway goes straight to its place.
  const bool direct = max_bytes - done >= kReadAhead;
  auto read = direct ? inner_->tryRead(buffer + done, need, max_bytes - done)
                     : inner_->tryRead(ahead_.begin(), need, kReadAhead);
  return reads_.wrap(kj::mv(read))
      .then(
          [this, buffer, max_bytes, done, need, direct](std::size_t n) -> std::size_t {
            bytes_in_ += n;
            std::size_t total = done;
            if (direct) {
              total += n;
            } else {
              ahead_first_ = 0;
              ahead_last_ = n;
              total += take_ahead(buffer + done, max_bytes - done);
            }
            if (n < need) {
              kj::Exception ended = KJ_EXCEPTION(DISCONNECTED, "session lost: the peer closed it");
              lose(ended);
              if (total > 0) kj::throwFatalException(kj::mv(ended));
            }
            return total;
          },
          [this](kj::Exception&& exception) -> std::size_t {
            kj::Exception reason = as_disconnected(exception);
            lose(reason);
            kj::throwFatalException(kj::mv(reason));
          });
}

kj::Promise<void> CoalescingStream::write(const void* buffer, std::size_t size) {
  append(buffer, size);
  return accepted();
}

kj::Promise<void> CoalescingStream::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  for (const kj::ArrayPtr<const kj::byte>& piece : pieces) append(piece.begin(), piece.size());
  return accepted();
}

void CoalescingStream::append(const void* buffer, std::size_t size) {
  KJ_REQUIRE(!shutdown_asked_, "write after shutdownWrite");
  if (lost_reason_ != nullptr || size == 0) return;
  const auto* first = static_cast<const kj::byte*>(buffer);
  gathering_.insert(gathering_.end(), first, first + size);
  bytes_out_ += size;
}

kj::Promise<void> CoalescingStream::accepted() {
  KJ_IF_MAYBE (reason, lost_reason_) {
    return kj::cp(*reason);
  }
  schedule_flush();
  return when_writable();
}

kj::Promise<void> CoalescingStream::when_writable() {
  KJ_IF_MAYBE (reason, lost_reason_) {
    return kj::cp(*reason);
  }
  if (!is_full()) return kj::READY_NOW;
  if (drained_.get() == nullptr) {
    auto drained = kj::newPromiseAndFulfiller<void>();
    drained_ = kj::mv(drained.fulfiller);
    drained_promise_ = drained.promise.fork();
  }
  return drained_promise_.addBranch();
}

void CoalescingStream::schedule_flush() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  flushing_ =
      kj::evalLast([this] { return flush(); }).eagerlyEvaluate([this](kj::Exception&& exception) {
        const kj::Exception reason = as_disconnected(exception);
        lose(reason);
        // The reader may wait for bytes that will never come.
        reads_.cancel(reason);
      });
}

kj::Promise<void> CoalescingStream::flush() {
  if (gathering_.empty()) {
    flush_scheduled_ = false;
    if (shutdown_asked_ && lost_reason_ == nullptr) inner_->shutdownWrite();
    return kj::READY_NOW;
  }
  std::swap(gathering_, leaving_);
  return inner_->write(leaving_.data(), leaving_.size()).then([this] {
    // One huge message must not hold its memory for the life of the session.
    if (leaving_.capacity() > 2 * kBufferedMax) leaving_.shrink_to_fit();
    leaving_.clear();
    if (drained_.get() != nullptr && gathering_.size() <= kBufferedMax) {
      drained_->fulfill();
      drained_ = nullptr;
    }
    return kj::evalLast([this] { return flush(); });
  });
}

kj::Promise<void> CoalescingStream::whenWriteDisconnected() {
  return inner_->whenWriteDisconnected();
}

void CoalescingStream::shutdownWrite() {
  shutdown_asked_ = true;
  if (lost_reason_ == nullptr) schedule_flush();
}

void CoalescingStream::abortRead() {
  inner_->abortRead();
}

void CoalescingStream::getsockopt(int level, int option, void* value, kj::uint* length) {
  inner_->getsockopt(level, option, value, length);
}

void CoalescingStream::setsockopt(int level, int option, const void* value, kj::uint length) {
  inner_->setsockopt(level, option, value, length);
}

}  // namespace leat::transport
