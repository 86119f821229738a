#include "pools/strays.h"

#include <dirent.h>
#include <fcntl.h>
#include <kj/io.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/gang_memory.h"

namespace leat::pools {
namespace {

// A process may fork while we look: look again, but not for ever.
constexpr int kRoundsMax = 50;
constexpr std::size_t kEnvironmentBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kTokenBytesMax = 128;
constexpr std::string_view kVariable = "LEAT_RUN_TOKEN=";

std::string read_file(const std::string& path, std::size_t bytes_max) {
  std::string content;
  const int raw = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (raw < 0) return content;
  const kj::AutoCloseFd owner(raw);
  char buffer[16 * 1024];
  while (content.size() < bytes_max) {
    const ssize_t size = ::read(raw, buffer, sizeof buffer);
    if (size <= 0) break;
    content.append(buffer, static_cast<std::size_t>(size));
  }
  return content;
}

// One of `marks` as the beginning of one of the variables; a mark may end with the final zero.
bool is_marked(const std::string& environment, const std::vector<std::string>& marks) {
  for (const std::string& mark : marks)
    for (std::size_t at = environment.find(mark); at != std::string::npos;
         at = environment.find(mark, at + 1))
      if (at == 0 || environment[at - 1] == '\0') return true;
  return false;
}

std::vector<pid_t> all_processes_of(uid_t uid) {
  std::vector<pid_t> pids;
  DIR* const entries = ::opendir("/proc");
  if (entries == nullptr) return pids;
  while (const struct dirent* const entry = ::readdir(entries)) {
    const char* const end = entry->d_name + std::strlen(entry->d_name);
    pid_t pid = 0;
    struct stat status {};
    if (std::from_chars(entry->d_name, end, pid).ptr == end && pid != ::getpid() &&
        ::fstatat(::dirfd(entries), entry->d_name, &status, 0) == 0 && status.st_uid == uid)
      pids.push_back(pid);
  }
  ::closedir(entries);
  return pids;
}

std::size_t kill_once(const std::vector<std::string>& marks) {
  std::size_t killed = 0;
  for (const pid_t pid : all_processes_of(::geteuid())) {
    const std::string path = "/proc/" + std::to_string(pid) + "/environ";
    if (!is_marked(read_file(path, kEnvironmentBytesMax), marks)) continue;
    const int raw = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (raw < 0) continue;
    const kj::AutoCloseFd pidfd(raw);
    // Looked at again under the pidfd: the pid may have changed hands.
    if (!is_marked(read_file(path, kEnvironmentBytesMax), marks)) continue;
    if (::syscall(SYS_pidfd_send_signal, raw, SIGKILL, nullptr, 0) == 0) ++killed;
  }
  return killed;
}

std::string read_node_token(const std::string& directory) {
  std::string token = read_file(directory + "/node.token", kTokenBytesMax);
  token.resize(std::min(token.find_first_of(" \n"), token.size()));
  return token;
}

}  // namespace

std::size_t kill_strays(const std::string& directory) {
  std::vector<std::string> marks = {std::string(kDirectoryVariable) + directory + '\0'};
  const std::string token = read_node_token(directory);
  if (!token.empty()) marks.push_back(std::string(kVariable) + token + ".");
  std::size_t killed = 0;
  for (int round = 0; round < kRoundsMax; ++round) {
    const std::size_t now = kill_once(marks);
    if (now == 0) break;
    killed += now;
  }
  return killed;
}

void remove_gang_memory(const std::string& directory) {
  struct stat about {};
  if (::stat(directory.c_str(), &about) != 0) return;
  const std::string prefix = gang_memory_prefix(about.st_dev, about.st_ino);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(kSharedMemory, ignored))
    if (entry.path().filename().string().starts_with(prefix))
      std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace leat::pools
