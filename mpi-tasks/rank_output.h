#pragma once

// rank_output.h - what ranks write to one of their two streams, packed into that stream of ours.

#include <kj/async-io.h>
#include <kj/async-unix.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mpi-tasks/layout.h"

namespace leat::mpi {

// Reads the pipes of any number of ranks and writes what comes to one descriptor, as records of
// spool/rank_frames.h or, if `plain`, as it comes. Whoever reads slowly slows the ranks down: no
// more than kBufferedMax bytes wait here. If nobody reads any more, ranks get SIGPIPE as they would
// without us.
//
// Borrows the descriptor it writes to. Thread: the loop's.
class RankOutput final : private kj::TaskSet::ErrorHandler {
 public:
  RankOutput(kj::UnixEventPort& port, int fd, bool plain);
  ~RankOutput() noexcept(false);

  // Gets what comes as well. Nothing more is read until its promise resolves.
  using Tap = std::function<kj::Promise<void>(std::string_view bytes)>;

  // Takes the reading end of a rank's pipe, until its end; then calls `ended`.
  void add(Rank rank, kj::AutoCloseFd pipe, Tap tap = nullptr,
           std::function<void()> ended = nullptr);

  // A line of the launcher's own, without its end.
  void say(std::string_view line);

  // Lines of spool/rank_places.h or spool/subtasks.h. Nothing if `plain`: who reads that reads no
  // records.
  void tell_places(std::string_view lines);

  // Resolves when all pipes have ended and everything has been written.
  kj::Promise<void> drained();

 private:
  static constexpr std::size_t kBufferedMax = 256 * 1024;
  static constexpr std::size_t kReadBytes = 32 * 1024;

  struct Pipe {
    Pipe(kj::UnixEventPort& port, Rank whose, kj::AutoCloseFd end, Tap also);
    Rank rank;
    Tap tap;
    kj::AutoCloseFd fd;
    kj::UnixEventPort::FdObserver observer;
  };

  kj::Promise<void> read_on(Pipe& pipe);
  kj::Promise<void> write_on();
  void append(std::uint32_t rank, std::string_view bytes);
  void begin_writing();
  void check_drained();
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port_;
  const bool plain_;
  kj::AutoCloseFd own_;  // the descriptor anew, if only so it can be made non-blocking
  int fd_;
  kj::Own<kj::UnixEventPort::FdObserver> observer_;  // once a write had to wait
  std::string waiting_;
  std::size_t written_ = 0;  // of waiting_
  bool writing_ = false;
  bool broken_ = false;
  std::size_t open_pipes_ = 0;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> for_room_;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> for_end_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::mpi
