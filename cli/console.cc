#include "cli/console.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/utf8.h"
#include "cli/failure.h"

namespace leat::cli {
namespace {

constexpr std::size_t kAnswerMax = 256;

// Writes all of `bytes`; 0 or the errno.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{fd, POLLOUT, 0};
      (void)::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

bool is_harmless(std::uint32_t number) {
  if (number < 0x20 || (number >= 0x7f && number < 0xa0)) return false;
  const bool line_or_direction = (number >= 0x2028 && number <= 0x202e) ||
                                 (number >= 0x2066 && number <= 0x2069) || number == 0x200e ||
                                 number == 0x200f || number == 0xfeff;
  return !line_or_direction;
}

// `text` cut to what fits on one line of the terminal.
std::string fit_to_terminal(std::string text) {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return text;
  text.resize(std::min<std::size_t>(text.size(), size.ws_col - 1u));
  return text;
}

}  // namespace

ProcessConsole::ProcessConsole() : terminal_(::isatty(STDERR_FILENO) == 1) {}

ProcessConsole::~ProcessConsole() {
  clear_progress();
}

void ProcessConsole::out(std::string_view bytes) {
  clear_progress();
  const int error = write_all(STDOUT_FILENO, bytes);
  if (error == EPIPE) throw OutputClosed{};
  if (error != 0)
    fail(ExitCode::kWorkFailed, std::string("standard output: ") + std::strerror(error));
}

void ProcessConsole::talk(std::string_view line) {
  clear_progress();
  (void)write_all(STDERR_FILENO, printable(line) + '\n');
}

std::optional<std::string> ProcessConsole::ask(std::string_view question) {
  if (!terminal_ || ::isatty(STDIN_FILENO) != 1) return std::nullopt;
  clear_progress();
  (void)write_all(STDERR_FILENO, printable(question));
  std::string line;
  char c = 0;
  while (line.size() < kAnswerMax && ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

void ProcessConsole::progress(std::string_view line) {
  if (!terminal_) return;
  // Erasing after the text, not before, does not flicker.
  (void)write_all(STDERR_FILENO, '\r' + fit_to_terminal(printable(line)) + "\033[K");
  progress_shown_ = true;
}

void ProcessConsole::clear_progress() {
  if (!progress_shown_) return;
  (void)write_all(STDERR_FILENO, "\r\033[K");
  progress_shown_ = false;
}

std::string printable(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string shown;
  while (!text.empty()) {
    const Utf8Character character = decode_utf8(text);
    const std::size_t length = std::max<std::size_t>(1, character.length);
    if (character.length > 0 && is_harmless(character.number)) {
      shown += text.substr(0, length);
    } else {
      for (const char c : text.substr(0, length)) {
        const auto byte = static_cast<unsigned char>(c);
        shown += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
      }
    }
    text.remove_prefix(length);
  }
  return shown;
}

}  // namespace leat::cli
