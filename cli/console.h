#pragma once

// console.h - standard output is data, standard error is talk.

#include <optional>
#include <string>
#include <string_view>

namespace leat::cli {

// Where a command's words go. Thread: one. Tests put their own in its place.
class Console {
 public:
  Console() = default;
  virtual ~Console() = default;
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Data, byte for byte. Throws OutputClosed when nobody reads any more, Failure when it cannot be
  // written.
  virtual void out(std::string_view bytes) = 0;

  // One line for a person, without its end. Unprintable bytes are shown, not sent.
  virtual void talk(std::string_view line) = 0;

  // Puts `line` in place of the last one so shown. Nothing unless shows_progress().
  virtual void progress(std::string_view line) = 0;

  // Asks whoever sits at the terminal, and returns the line they type; nothing if nobody does.
  virtual std::optional<std::string> ask(std::string_view question) = 0;

  // Standard error is a terminal: a line can be rewritten.
  virtual bool shows_progress() const = 0;
};

// The process's own descriptors 1 and 2.
class ProcessConsole final : public Console {
 public:
  ProcessConsole();
  ~ProcessConsole() override;

  void out(std::string_view bytes) override;
  void talk(std::string_view line) override;
  void progress(std::string_view line) override;
  std::optional<std::string> ask(std::string_view question) override;
  bool shows_progress() const override { return terminal_; }

 private:
  void clear_progress();

  bool terminal_;
  bool progress_shown_ = false;
};

// `text` as it may be sent to a terminal: control characters, line ends, bidirectional overrides
// and whatever is not UTF-8 become \xNN.
std::string printable(std::string_view text);

}  // namespace leat::cli
