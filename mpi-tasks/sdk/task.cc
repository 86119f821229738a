// task.cc - the environment of a task, its progress and its end.

#include <leat/reducer.h>
#include <leat/task.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <limits>
#include <system_error>

namespace leat {
namespace {

constexpr int kPermille = 1000;

std::optional<std::string> variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

template <typename Number>
Number number_of(std::string_view name, std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw TaskError(std::string(name) + "=" + std::string(text) + " is not a number of its range");
  return value;
}

template <typename Number>
void read_number(const Task::Variables& variables, const char* name, Number& into) {
  if (const std::optional<std::string> text = variables(name))
    into = number_of<Number>(name, *text);
}

// Only a signal handler writes it.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
volatile std::sig_atomic_t g_cancelled = 0;

void on_cancel(int /*signal*/) {
  g_cancelled = 1;
}

bool take_over_cancel() {
  struct sigaction action {};
  action.sa_handler = on_cancel;
  sigemptyset(&action.sa_mask);
  return sigaction(SIGTERM, &action, nullptr) == 0;
}

// Cuts inside no character.
std::string_view cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

std::string progress_record(std::string_view run, double percent, std::string_view message) {
  const double inside = std::isnan(percent) ? 0 : std::clamp(percent, 0.0, 100.0);
  std::string record = "1 ";
  record += run;
  record += ' ' + std::to_string(std::lround(inside * kPermille / 100)) + ' ';
  record += cut(message, kProgressBytesMax - std::min(kProgressBytesMax, record.size()));
  std::replace_if(
      record.begin(), record.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; },
      ' ');
  return record;
}

Task::Task(int argc, const char* const* argv) : Task(argc, argv, variable) {}

Task::Task(int argc, const char* const* argv, const Variables& variables)
    : arguments_(argv + std::min(argc, 1), argv + argc) {
  input_ = variables("LEAT_INPUT");
  if (!input_) input_ = variables("LEAT_ENTRY");
  read_number(variables, "LEAT_JOB_ID", job_);
  read_number(variables, "LEAT_STAGE", stage_);
  read_number(variables, "LEAT_TASK_INDEX", index_);
  read_number(variables, "LEAT_TASK_COUNT", count_);
  read_number(variables, "LEAT_ATTEMPT", attempt_);
  read_number(variables, "LEAT_CPUS", cpus_);
  std::int64_t seconds = 0;
  read_number(variables, "LEAT_DEADLINE", seconds);
  if (seconds != 0) deadline_ = std::chrono::sys_seconds(std::chrono::seconds(seconds));
  if (!in_leat()) read_alone();
  if (index_ > kIndexMax)
    throw TaskError("index " + std::to_string(index_) + " is over " + std::to_string(kIndexMax));
  if (count_ == 0) throw TaskError("a count of 0 tasks");
  checkpoint_directory_ =
      variables("LEAT_CHECKPOINT_DIR").value_or("checkpoint." + std::to_string(index_));
  if (in_leat()) progress_socket_ = variables("LEAT_PROGRESS_SOCKET").value_or("");
}

void Task::read_alone() {
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    const std::string& name = arguments_[i];
    if (name == "--") {
      rest.insert(rest.end(), arguments_.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                  arguments_.end());
      break;
    }
    if (name != "--index" && name != "--count" && name != "--input") {
      rest.push_back(name);
      continue;
    }
    if (++i == arguments_.size()) throw TaskError(name + " needs a value");
    if (name == "--index") index_ = number_of<std::uint64_t>(name, arguments_[i]);
    if (name == "--count") count_ = number_of<std::uint64_t>(name, arguments_[i]);
    if (name == "--input") input_ = arguments_[i];
  }
  arguments_ = std::move(rest);
}

namespace detail {

ReduceStep reduce_step() {
  std::uint32_t stage = 0;
  std::uint64_t count = 0;
  ReduceStep step;
  read_number(variable, "LEAT_STAGE", stage);
  read_number(variable, "LEAT_TASK_COUNT", count);
  read_number(variable, "LEAT_CPUS", step.threads);
  // A reduce is never the first stage, and the last level of its tree is one task.
  step.is_last = stage != 0 && count == 1;
  return step;
}

}  // namespace detail

Share Task::share(std::uint64_t elements) const {
  if (index_ >= count_)
    throw TaskError("task " + std::to_string(index_) + " of " + std::to_string(count_) +
                    ": to share work, number the tasks from 0 (--array 0-" +
                    std::to_string(count_ - 1) + ")");
  return share_of({0, elements}, index_, count_);
}

bool Task::prints() const {
  return !in_leat() && isatty(STDOUT_FILENO) == 1;
}

void Task::send(const std::string& bytes) {
  if (has_result_) throw TaskError("a task has one result, this is a second");
  has_result_ = true;
  std::cout.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush();
  if (!std::cout) throw TaskError("the result cannot be written to standard output");
}

// A socket for each word, so that a task that tells nothing has none, and neither fork() nor
// another thread finds one that is not its own. Who listens may be another process each time.
void Task::progress(double percent, std::string_view message) const {
  sockaddr_un listener{};
  if (progress_socket_.empty() || progress_socket_.size() >= sizeof listener.sun_path) return;
  listener.sun_family = AF_UNIX;
  progress_socket_.copy(listener.sun_path, progress_socket_.size());
  std::string run;
  for (const std::uint64_t number : {job_, std::uint64_t{stage_}, index_, std::uint64_t{attempt_}})
    run += (run.empty() ? "" : ".") + std::to_string(number);
  const std::string record = progress_record(run, percent, message);
  const int errno_before = errno;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) {
    // Refused, it is dropped: the next word says more.
    (void)sendto(fd, record.data(), record.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&listener), sizeof listener);
    close(fd);
  }
  errno = errno_before;
}

const std::string& Task::checkpoint_directory() const {
  std::error_code error;
  const std::filesystem::path path(checkpoint_directory_);
  if (!std::filesystem::is_directory(path, error)) {
    std::filesystem::create_directories(path, error);
    if (!error) std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  if (error)
    throw TaskError("checkpoint directory " + checkpoint_directory_ + ": " + error.message());
  return checkpoint_directory_;
}

bool Task::cancelled() {
  static const bool kTaken = take_over_cancel();
  return kTaken && g_cancelled != 0;
}

}  // namespace leat
