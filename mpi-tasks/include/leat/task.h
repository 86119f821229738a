#pragma once

// task.h - what a program learns from Leat, and tells it.
//
// The same program runs alone: then it is task 0 of 1, or what `--index N --count M` say, has its
// checkpoints in the current directory, and nobody listens to its progress.
//
// Source:  the environment, as leat-submit(1) lists it: LEAT_JOB_ID LEAT_STAGE LEAT_TASK_INDEX
//          LEAT_TASK_COUNT LEAT_ATTEMPT LEAT_CPUS LEAT_INPUT LEAT_ENTRY; and LEAT_DEADLINE
//          LEAT_CHECKPOINT_DIR LEAT_PROGRESS_SOCKET where Leat sets them.
// Units:   a deadline is an instant of the system's clock, in whole seconds; progress is per cent.
// Owns:    a Task owns copies of all it has read; later changes of the environment change nothing.
// Thread:  progress() and cancelled() from any thread, everything else from one at a time.
// Errors:  TaskError: a variable that cannot be understood, a directory that cannot be made, a
//          result that cannot be written.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <leat/coverage.h>
#include <leat/partial.h>
#include <leat/payload.h>

namespace leat {

class TaskError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What a task tells of itself, as one datagram to LEAT_PROGRESS_SOCKET: "1 RUN PERMILLE MESSAGE",
// the first number being the version of this form, RUN being JOB.STAGE.INDEX.ATTEMPT; at most
// kProgressBytesMax bytes; line ends and other control characters of the message are blanks.
inline constexpr std::size_t kProgressBytesMax = 512;
std::string progress_record(std::string_view run, double percent, std::string_view message);

template <typename T>
concept Printable = requires(std::ostream& to, const T& value) {
  to << value;
};

class Task {
 public:
  // A variable of the environment by its name; nothing if it is not set.
  using Variables = std::function<std::optional<std::string>(const char*)>;

  // REQUIRES of `argv`: that of main. Throws TaskError.
  Task(int argc, const char* const* argv);
  // The same with another environment, for tests.
  Task(int argc, const char* const* argv, const Variables& variables);

  // Whether Leat runs it.
  [[nodiscard]] bool in_leat() const { return job_ != 0; }
  [[nodiscard]] std::uint64_t job() const { return job_; }      // 0: alone
  [[nodiscard]] std::uint32_t stage() const { return stage_; }  // of its job, the first is 0
  [[nodiscard]] std::uint64_t index() const { return index_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }      // tasks of the stage
  [[nodiscard]] std::uint32_t attempt() const { return attempt_; }  // the first is 1; 0: alone
  // Cores it may use; 0 when alone: all there are.
  [[nodiscard]] unsigned cpus() const { return cpus_; }
  // What main was given, without the program's name and what an alone Task has taken for itself.
  [[nodiscard]] const std::vector<std::string>& arguments() const { return arguments_; }

  // Its part of work of so many elements, the tasks being numbered from 0. Throws TaskError if
  // they are not.
  [[nodiscard]] Share share(std::uint64_t elements) const;

  // The line the task is for: the object of --from-json, the line of --each-line, the path of
  // --each-file; alone, what `--input TEXT` says. Nothing: there is none, or it stands only on
  // standard input, as chunks of several lines and lines over 128 KiB do; read std::cin then. See
  // leat/input_json.h for the object as a type.
  [[nodiscard]] const std::optional<std::string>& input() const { return input_; }

  // Hands over what the task is for; once. As an envelope on standard output, so nothing else may
  // be printed there; readable instead if it runs alone at a terminal and the type can be printed.
  // Throws TaskError if it cannot be written, or was before.
  template <typename T>
  void result(const T& value) {
    result(Pieces<T>{{job_, stage_, count_}, {{index_, index_}}, {value}}, value);
  }
  // The same, of a share of the elements.
  template <AReducer R>
  void result(const Partial<R>& partial) {
    if (prints()) {
      result(partial.pieces(), partial.total());
    } else {
      send(pack(partial.pieces()));
    }
  }
  // What a partial result must say that it is a part of, if the whole has so many elements.
  [[nodiscard]] Origin origin(std::uint64_t elements) const { return {job_, stage_, elements}; }

  // Tells how far it has come and what it does; a few microseconds, never waits, and if nobody
  // listens or the listener is slow the word is dropped. Only the newest counts, looked at about
  // once a second. 0 to 100; what is outside counts as the nearest of them.
  void progress(double percent, std::string_view message = {}) const;

  // A directory that the next attempt finds as this one left it; made if it is not there. Alone it
  // is "checkpoint.INDEX" in the current one. Throws TaskError.
  [[nodiscard]] const std::string& checkpoint_directory() const;

  // Whether the task was asked to end (SIGTERM), that is, cancelled or at its limit; it is killed
  // a while later. The first call takes the signal over: a program that never asks dies of it.
  static bool cancelled();

  // When it will be asked to end; nothing: at no time that is known.
  [[nodiscard]] std::optional<std::chrono::sys_seconds> deadline() const { return deadline_; }

 private:
  void read_alone();

  // Whether results are to be shown to somebody who looks at a terminal.
  [[nodiscard]] bool prints() const;
  void send(const std::string& bytes);

  template <typename T, typename Shown>
  void result(const Pieces<T>& pieces, const Shown& value) {
    if constexpr (Printable<Shown>) {
      if (prints()) {
        std::ostringstream text;
        text << value << '\n';
        send(text.str());
        return;
      }
    }
    send(pack(pieces));
  }

  std::uint64_t job_ = 0;
  std::uint32_t stage_ = 0;
  std::uint64_t index_ = 0;
  std::uint64_t count_ = 1;
  std::uint32_t attempt_ = 0;
  unsigned cpus_ = 0;
  bool has_result_ = false;
  std::vector<std::string> arguments_;
  std::optional<std::string> input_;
  std::optional<std::chrono::sys_seconds> deadline_;
  std::string checkpoint_directory_;
  std::string progress_socket_;  // a path; empty: nobody listens
};

}  // namespace leat
