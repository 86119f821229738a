#pragma once

// gang_link.h - messages between two launchers, over one authenticated stream.

#include <kj/async-io.h>

#include <functional>
#include <string>

#include "mpi-tasks/message.h"

namespace leat::mpi {

// Each message goes as its length (u32, little-endian) and then its bytes. What is sent in one turn
// of the loop leaves in one write.
//
// Owns the stream. Thread: one loop. Not to be destroyed from within its own callbacks.
class GangLink final : private kj::TaskSet::ErrorHandler {
 public:
  using OnMessage = std::function<void(Message)>;

  explicit GangLink(kj::Own<kj::AsyncIoStream> stream);
  ~GangLink() noexcept(false);

  // Errors show at on_message's side: run() ends.
  void send(const Message& message) { send_encoded(encode(message)); }
  // The same for what encode() has made.
  void send_encoded(const std::string& bytes);

  // Hands over what arrives until the link is lost, by whatever cause; then resolves.
  kj::Promise<void> run(OnMessage on_message);

  // The next message, of at most `bytes_max`; rejects when the link is lost or it is no message.
  kj::Promise<Message> receive(std::size_t bytes_max);

  // Ends run(), here and at the other end.
  void close();

 private:
  // A peer that takes nothing for so long that this much waits for it is as good as lost.
  static constexpr std::size_t kQueuedBytesMax = 2 * kMessageBytesMax;

  kj::Promise<void> run_on();
  kj::Promise<void> write_on();
  void taskFailed(kj::Exception&& exception) override;

  kj::Own<kj::AsyncIoStream> stream_;
  OnMessage on_message_;
  std::string queued_;
  std::string writing_;
  bool write_pending_ = false;
  bool closed_ = false;
  kj::Own<kj::PromiseFulfiller<void>> close_;
  kj::ForkedPromise<void> closing_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
