#include "cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "cli/failure.h"

namespace leat::cli {
namespace {

constexpr std::array kEnding{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

constexpr char kEnter[] = "\033[?1049h\033[?25l\033[2J";
constexpr char kLeave[] = "\033[0m\033[?25h\033[?1049l";

void write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // the terminal is gone: SIGHUP says so
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

void capture_screen_signals() {
  for (const int number : kEnding) kj::UnixEventPort::captureSignal(number);
  kj::UnixEventPort::captureSignal(SIGWINCH);
  kj::UnixEventPort::captureSignal(SIGTSTP);
}

Screen::Screen(kj::UnixEventPort& port)
    : port_(port),
      keys_(port, STDIN_FILENO, kj::UnixEventPort::FdObserver::OBSERVE_READ),
      tasks_(*this) {
  if (::tcgetattr(STDIN_FILENO, &before_) != 0)
    fail(ExitCode::kUsage, "standard input is no terminal: use --once");
  for (const int number : kEnding) tasks_.add(watch_signal(number));
  tasks_.add(watch_signal(SIGWINCH));
  tasks_.add(watch_signal(SIGTSTP));
  tasks_.add(read_keys());
  enter();
}

Screen::~Screen() noexcept(false) {
  leave();
}

void Screen::enter() {
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;  // reading never waits
  raw.c_cc[VTIME] = 0;
  (void)::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  write_all(kEnter);
  entered_ = true;
}

void Screen::leave() {
  if (!std::exchange(entered_, false)) return;
  write_all(kLeave);
  (void)::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

ScreenSize Screen::size() const {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2 || size.ws_row < 2)
    return {};
  return {size.ws_row, size.ws_col};
}

void Screen::show(const std::string& page) {
  // Written over what is there, each line's rest cleared, so that nothing flickers.
  std::string bytes = "\033[H";
  std::size_t rows = size().rows;
  for (std::size_t at = 0; at < page.size() && rows > 0; --rows) {
    const std::size_t end = std::min(page.find('\n', at), page.size());
    bytes += page.substr(at, end - at) + "\033[0m\033[K";
    if (rows > 1) bytes += "\r\n";
    at = end + 1;
  }
  write_all(bytes + "\033[J");
}

kj::Promise<void> Screen::on_event() {
  if (leave_) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  waiter_ = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void Screen::tell() {
  KJ_IF_MAYBE (waiter, waiter_) (*waiter)->fulfill();
  waiter_ = nullptr;
}

kj::Promise<void> Screen::read_keys() {
  return keys_.whenBecomesReadable().then([this]() -> kj::Promise<void> {
    // All that is there: the observer tells of what comes after that.
    std::array<char, 64> keys{};
    bool quit = false;
    ssize_t count = 0;
    while ((count = ::read(STDIN_FILENO, keys.data(), keys.size())) > 0)
      quit = quit ||
             std::string_view(keys.data(), static_cast<std::size_t>(count)).find_first_of("qQ") !=
                 std::string_view::npos;
    // A terminal that is gone says EIO.
    quit = quit || (count < 0 && errno != EINTR && errno != EAGAIN);
    leave_ = leave_ || quit;
    if (leave_) {
      tell();
      return kj::READY_NOW;
    }
    return read_keys();
  });
}

kj::Promise<void> Screen::watch_signal(int number) {
  return port_.onSignal(number).then([this, number](siginfo_t) {
    on_signal(number);
    return watch_signal(number);
  });
}

void Screen::on_signal(int number) {
  if (number == SIGTSTP) {
    leave();
    (void)::raise(SIGSTOP);  // until somebody says fg
    enter();
  } else if (number != SIGWINCH) {
    leave_ = true;
    signal_ = number;
  }
  tell();
}

void Screen::taskFailed(kj::Exception&& exception) {
  (void)exception;
  leave_ = true;
  tell();
}

}  // namespace leat::cli
