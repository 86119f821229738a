#pragma once

// coalescing_stream.h - one write per turn, read-ahead, and counters of what passed.
//
// Cap'n Proto 0.9 makes one write and two reads per message; under TLS each write is a record.

#include <kj/async-io.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace leat::transport {

// KJ's interfaces have no virtual destructor: kj::Own remembers how to destroy what it holds.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// A stream around another. Written bytes are copied and leave together when the loop has nothing
// else to do; a write waits only while more than kBufferedMax bytes are under way.
//
// A write's success says "accepted", not "sent": errors appear at the next write, at the pending
// read, and at on_lost(). All errors are DISCONNECTED, also the stream's end within the min_bytes
// of a read (where KJ's contract would return what there was). Owns the inner stream. Thread: one
// loop.
class CoalescingStream final : public kj::AsyncIoStream {
 public:
  static constexpr std::size_t kBufferedMax = 256 * 1024;
  static constexpr std::size_t kReadAhead = 64 * 1024;

  // With `answers_first`, nothing more is read while more than kBufferedMax bytes wait to be sent:
  // who does not take our answers gets no further with questions. Both ends must not do so.
  explicit CoalescingStream(kj::Own<kj::AsyncIoStream> inner, bool answers_first = false);
  ~CoalescingStream() noexcept(false);

  // Bytes of ours, before encryption, read from and accepted for the inner stream.
  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }

  // Resolves when a write would not wait; rejects when the stream is lost.
  kj::Promise<void> when_writable();

  // Resolves once the stream has ended or failed in either direction.
  kj::Promise<void> on_lost();

  kj::Promise<std::size_t> tryRead(void* buffer, std::size_t min_bytes,
                                   std::size_t max_bytes) override;
  kj::Promise<void> write(const void* buffer, std::size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  kj::Promise<void> whenWriteDisconnected() override;
  void shutdownWrite() override;
  void abortRead() override;
  void getsockopt(int level, int option, void* value, kj::uint* length) override;
  void setsockopt(int level, int option, const void* value, kj::uint length) override;

 private:
  void append(const void* buffer, std::size_t size);
  bool is_full() const { return gathering_.size() + leaving_.size() > kBufferedMax; }
  kj::Promise<void> accepted();
  void schedule_flush();
  kj::Promise<void> flush();
  void lose(const kj::Exception& reason);
  std::size_t take_ahead(void* buffer, std::size_t max_bytes);
  kj::Promise<std::size_t> read_more(kj::byte* buffer, std::size_t min_bytes, std::size_t max_bytes,
                                     std::size_t done);

  kj::Own<kj::AsyncIoStream> inner_;
  bool answers_first_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;

  kj::Array<kj::byte> ahead_;  // bytes ahead_first_..ahead_last_ are read but not taken
  std::size_t ahead_first_ = 0;
  std::size_t ahead_last_ = 0;

  std::vector<kj::byte> gathering_;  // leaves with the next flush
  std::vector<kj::byte> leaving_;    // being written
  bool flush_scheduled_ = false;
  bool shutdown_asked_ = false;
  kj::Maybe<kj::Exception> lost_reason_;
  kj::Own<kj::PromiseFulfiller<void>> drained_;  // null unless a writer waits
  kj::ForkedPromise<void> drained_promise_ = nullptr;
  kj::Own<kj::PromiseFulfiller<void>> lost_;
  kj::ForkedPromise<void> lost_promise_ = nullptr;
  kj::Canceler reads_;
  kj::Promise<void> flushing_ = nullptr;  // last: cancelled before the buffers go
};

#pragma GCC diagnostic pop

}  // namespace leat::transport
