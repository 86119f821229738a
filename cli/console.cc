#include "cli/console.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "cli/failure.h"

namespace leat::cli {
namespace {

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

// The character at the front of `text`: its length and number; length 0 if it is not UTF-8.
struct Character {
  std::size_t length = 0;
  std::uint32_t number = 0;
};

Character decode_front(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  std::uint32_t number = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    number = number << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = number >= 0xd800 && number <= 0xdfff;
  if (number < kLeast[length] || number > 0x10ffff || surrogate) return {};
  return {length, number};
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
    const Character character = decode_front(text);
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
