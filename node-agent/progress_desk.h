#pragma once

// progress_desk.h - where tasks tell how far they are, and how the head hears of it.
//
// One datagram socket per node, at a path that all tasks find in LEAT_PROGRESS_SOCKET: a task that
// tells nothing costs nothing (docs/decisions/0016).

#include <kj/async-unix.h>
#include <kj/timer.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "node-agent/node.h"
#include "node-agent/progress_board.h"

namespace leat::agent {

// What is told of runs that do not run here, by another user, or in another form is not heard.
//
// Owns: the socket; its file goes with the next agent's. Borrows: event port and timer.
// Thread: the loop's.
class ProgressDesk final : private kj::TaskSet::ErrorHandler {
 public:
  // The head hears at most so often.
  static constexpr kj::Duration kInterval = 1 * kj::SECONDS;
  // Between so many words the loop has a pause: a task may tell as much as it likes.
  static constexpr std::size_t kWordsAtOnce = 64;
  static constexpr kj::Duration kPause = 10 * kj::MILLISECONDS;

  using IsRunning = std::function<bool(const RunId&)>;
  // Resolves when the head has heard it; rejects if it does not want to.
  using Teller = std::function<kj::Promise<void>(const std::vector<TaskProgress>&)>;

  // `directory`: the node's, which no other agent serves.
  ProgressDesk(kj::UnixEventPort& port, kj::Timer& timer, const std::string& directory,
               const LogLine& say, IsRunning is_running);

  // Where tasks send to; empty: nowhere, and the log has said why.
  const std::string& path() const { return path_; }

  void set_teller(Teller teller) { teller_ = std::move(teller); }
  // A session is up: everything is said again.
  void joined();
  void parted();

 private:
  std::string open(const std::string& path);
  kj::Promise<void> listen();
  kj::Promise<void> drain();
  bool take_one();
  void tell_soon();
  void tell();
  void taskFailed(kj::Exception&& exception) override;

  kj::Timer& timer_;
  IsRunning is_running_;
  Teller teller_;
  std::string path_;
  kj::AutoCloseFd fd_;
  kj::Own<kj::UnixEventPort::FdObserver> observer_;
  ProgressBoard board_;
  bool connected_ = false;
  bool telling_ = false;  // a word to the head is due, or on its way
  std::uint64_t session_ = 0;
  kj::TimePoint told_ = kj::origin<kj::TimePoint>();
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
