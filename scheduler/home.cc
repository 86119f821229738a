#include "scheduler/home.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <filesystem>

#include "transport/listener.h"
#include "transport/secret_file.h"

namespace leat::scheduler {
namespace {

std::string quoted(const std::string& key, const std::string& value) {
  return "\"" + key + "\":\"" + value + "\"";
}

bool take_lock(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

constexpr char kCopyPrefix[] = "history-";

// Waits until the process has ended; a killed one may take a moment.
void wait_for_end(const std::string& pid_text, int timeout_ms) {
  pid_t pid = 0;
  std::from_chars(pid_text.data(), pid_text.data() + pid_text.size(), pid);
  if (pid <= 0) return;
  const int raw = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (raw < 0) return;
  const kj::AutoCloseFd fd(raw);
  struct pollfd wanted {
    raw, POLLIN, 0
  };
  (void)::poll(&wanted, 1, timeout_ms);
}

// What head.pid says; "?" if it cannot be read.
std::string lock_holder(const std::string& pid_path) {
  const Result<std::string> pid = transport::read_secret_file(pid_path);
  return pid.ok() ? pid.value().substr(0, pid.value().find('\n')) : "?";
}

}  // namespace

std::string Home::copy(std::uint64_t turn, std::uint64_t n) const {
  return scratch() + '/' + kCopyPrefix + std::to_string(turn) + '-' + std::to_string(n) + ".db";
}

Result<Done> prepare_home(const Home& home) {
  if (home.path.empty() || home.path.front() != '/')
    return invalid("--home: \"" + home.path + "\" is not an absolute path");
  if (home.socket().size() > transport::kSocketPathMax)
    return invalid(home.path + ": too long for a socket in it (at most " +
                   std::to_string(transport::kSocketPathMax - std::strlen("/head.sock")) +
                   " bytes): choose a shorter --home");
  for (const std::string& directory :
       {home.path, home.tls(), home.nodes(), home.logs(), home.scratch()}) {
    Result<Done> made = transport::ensure_private_directory(directory);
    if (!made.ok()) return made;
  }
  return Done{};
}

void remove_old_copies(const Home& home) {
  std::error_code ignored;  // what cannot be removed is only in the way
  for (const auto& entry : std::filesystem::directory_iterator(home.scratch(), ignored))
    if (entry.path().filename().string().rfind(kCopyPrefix, 0) == 0)
      std::filesystem::remove(entry.path(), ignored);
}

Result<kj::AutoCloseFd> lock_home(const Home& home) {
  const std::string path = home.path + "/head.lock";
  const int raw = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return invalid("cannot open " + path + ": " + std::strerror(errno));
  kj::AutoCloseFd fd(raw);
  const std::string pid_path = home.path + "/head.pid";
  if (!take_lock(raw)) {
    const std::string other = lock_holder(pid_path);
    wait_for_end(other, kLockWaitMs);
    if (!take_lock(raw))
      return Refusal{Reason::kConflict, "another head (process " + other + ") serves " + home.path};
  }
  Result<Done> written =
      transport::replace_secret_file(pid_path, std::to_string(::getpid()) + "\n");
  if (!written.ok()) return written.refusal();
  return kj::mv(fd);
}

Result<Done> write_endpoint(const Home& home, const Endpoint& endpoint) {
  return transport::replace_secret_file(
      home.endpoint(), "{\"version\":1,\"head_epoch\":" + std::to_string(endpoint.head_epoch) +
                           "," + quoted("cluster_id", endpoint.cluster_id) + "," +
                           quoted("agent_address", endpoint.agent_address) + "," +
                           quoted("enrol_address", endpoint.enrol_address) + "," +
                           quoted("store_address", endpoint.store_address) + "}\n");
}

Endpoint read_endpoint(const Home& home) {
  const Result<std::string> json = transport::read_secret_file(home.endpoint());
  if (!json.ok()) return {};
  return {0, json_field(json.value(), "cluster_id"), json_field(json.value(), "agent_address"),
          json_field(json.value(), "enrol_address"), json_field(json.value(), "store_address")};
}

std::string host_of(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  return colon == std::string::npos ? std::string() : address.substr(0, colon);
}

std::uint16_t port_of(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return 0;
  std::uint16_t port = 0;
  const char* end = address.data() + address.size();
  const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
  return parsed.ec == std::errc() && parsed.ptr == end ? port : std::uint16_t{0};
}

std::string json_field(const std::string& json, const std::string& key) {
  std::size_t at = json.find("\"" + key + "\":");
  if (at == std::string::npos) return {};
  at += key.size() + 3;
  while (at < json.size() && json[at] == ' ') ++at;
  if (at < json.size() && json[at] == '"') {
    const std::size_t end = json.find('"', at + 1);
    return end == std::string::npos ? std::string() : json.substr(at + 1, end - at - 1);
  }
  return json.substr(at, json.find_first_of(",}", at) - at);
}

std::string sibling_program(const std::string& name) {
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  const std::string self(path.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
  return self.substr(0, self.rfind('/') + 1) + name;
}

}  // namespace leat::scheduler
