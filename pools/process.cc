#include "pools/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace leat::pools {
namespace {

constexpr std::size_t kSmallFileMax = 4096;

// The content of a small file; an errno if it cannot be read.
struct SmallFile {
  std::string content;
  int error = 0;
};

SmallFile read_small(const std::string& path) {
  const int raw = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (raw < 0) return {{}, errno};
  const kj::AutoCloseFd owner(raw);
  std::string content(kSmallFileMax, '\0');
  const ssize_t size = ::read(raw, content.data(), content.size());
  if (size < 0) return {{}, errno};
  content.resize(static_cast<std::size_t>(size));
  return {content, 0};
}

std::string_view next_word(std::string_view& text) {
  constexpr std::string_view kSpace = " \n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(kSpace));
  text.remove_prefix(word.size());
  return word;
}

template <typename Number>
bool read_number(std::string_view word, Number& out) {
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), out);
  return parsed.ec == std::errc() && parsed.ptr == word.data() + word.size();
}

// glibc 2.36 has these two, but not in a header that C++ may include without clashes.
int open_pidfd(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

Result<ProcessStamp> parse_stamp(std::string_view text) {
  ProcessStamp stamp;
  if (!read_number(next_word(text), stamp.pid) || stamp.pid <= 0 ||
      !read_number(next_word(text), stamp.start_ticks))
    return invalid("not a pid and a start time");
  stamp.boot_id = next_word(text);
  if (!next_word(text).empty()) return invalid("more than a pid, a start time and a boot id");
  return stamp;
}

Result<std::optional<ProcessStamp>> read_stamp(const std::string& path) {
  const SmallFile file = read_small(path);
  if (file.error == ENOENT) return std::optional<ProcessStamp>();
  if (file.error != 0) return invalid(path + ": " + std::strerror(file.error));
  Result<ProcessStamp> stamp = parse_stamp(file.content);
  if (!stamp.ok()) return invalid(path + ": " + stamp.refusal().message);
  return std::optional<ProcessStamp>(stamp.value());
}

std::string current_boot_id() {
  const SmallFile file = read_small("/proc/sys/kernel/random/boot_id");
  std::string_view text = file.content;
  return std::string(next_word(text));
}

std::optional<std::uint64_t> start_ticks_of(pid_t pid) {
  const SmallFile file = read_small("/proc/" + std::to_string(pid) + "/stat");
  std::string_view text = file.content;
  // Field 2, the program's name, may hold anything; field 3 begins after its last bracket.
  const std::size_t bracket = text.rfind(')');
  if (file.error != 0 || bracket == std::string_view::npos) return std::nullopt;
  text.remove_prefix(bracket + 1);
  const std::string_view state = next_word(text);
  if (state == "Z" || state == "X") return std::nullopt;
  for (int field = 4; field < 22; ++field) next_word(text);
  std::uint64_t ticks = 0;
  if (!read_number(next_word(text), ticks)) return std::nullopt;
  return ticks;
}

std::unique_ptr<Process> Process::find(kj::UnixEventPort& port, const ProcessStamp& stamp,
                                       const std::string& boot_id) {
  if (!stamp.boot_id.empty() && stamp.boot_id != boot_id) return nullptr;
  const int raw = open_pidfd(stamp.pid);
  if (raw < 0) return nullptr;
  kj::AutoCloseFd pidfd(raw);
  // In this order: what the pidfd holds cannot change any more, and if it is not the one we mean,
  // the start time differs.
  if (start_ticks_of(stamp.pid) != stamp.start_ticks) return nullptr;
  return std::make_unique<Process>(port, kj::mv(pidfd), stamp.pid);
}

Process::Process(kj::UnixEventPort& port, kj::AutoCloseFd pidfd, pid_t pid)
    : pidfd_(kj::mv(pidfd)),
      observer_(port, pidfd_.get(), kj::UnixEventPort::FdObserver::OBSERVE_READ),
      // Whoever finds it dead first may let go of it while others still wait: they hear of it too.
      exited_(observer_.whenBecomesReadable().catch_([](kj::Exception&&) {}).fork()),
      pid_(pid) {}

bool Process::alive() const {
  struct pollfd poll {};
  poll.fd = pidfd_.get();
  poll.events = POLLIN;
  return ::poll(&poll, 1, 0) == 0;
}

void Process::signal(int number) const {
  (void)::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

std::optional<int> Process::reap() {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0)
    return std::nullopt;
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

}  // namespace leat::pools
