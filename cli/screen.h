#pragma once

// screen.h - the whole terminal, taken for a while and given back as it was.

#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <termios.h>

#include <cstdint>
#include <optional>
#include <string>

namespace leat::cli {

struct ScreenSize {
  std::size_t rows = 24;
  std::size_t columns = 80;
};

// The signals that end or stop us, and the one that says that the size has changed. Call before
// anything waits on the loop of the process; from then on they do nothing by themselves.
void capture_screen_signals();

// Standard output and input are a terminal: it shows our page until this goes, or until a signal
// comes, and is then as it was before.
//
// Borrows the port. Thread: its loop.
class Screen final : private kj::TaskSet::ErrorHandler {
 public:
  explicit Screen(kj::UnixEventPort& port);
  ~Screen() noexcept(false);
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Lines without their ends; what does not fit is cut off at the bottom.
  void show(const std::string& page);
  ScreenSize size() const;

  // Somebody wants to leave: q, ^C, or a signal whose number is in signal().
  bool wants_to_leave() const { return leave_; }
  std::optional<int> signal() const { return signal_; }

  // Resolves when somebody wants to leave or the page has to be drawn again. One waiter.
  kj::Promise<void> on_event();

 private:
  void enter();
  void leave();
  kj::Promise<void> read_keys();
  kj::Promise<void> watch_signal(int number);
  void on_signal(int number);
  void tell();
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port_;
  termios before_{};
  bool entered_ = false;
  bool leave_ = false;
  std::optional<int> signal_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> waiter_;
  kj::UnixEventPort::FdObserver keys_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::cli
