#include "store-server/daemon_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "transport/secret_file.h"

namespace leat::blobs {
namespace {

constexpr std::size_t kStatBytesMax = 4096;
constexpr std::string_view kAddressKey = "\"address\":\"";

std::string read_start_time() {
  char buffer[kStatBytesMax];
  const int raw = ::open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (raw < 0) return "0";
  const kj::AutoCloseFd owner(raw);
  const ssize_t size = ::read(raw, buffer, sizeof buffer);
  if (size <= 0) return "0";
  std::string_view stat(buffer, static_cast<std::size_t>(size));
  // Field 2, the program's name, may hold anything; field 3 begins after its last bracket.
  stat.remove_prefix(stat.rfind(')') + 2);
  for (int field = 3; field < 22; ++field) stat.remove_prefix(stat.find(' ') + 1);
  return std::string(stat.substr(0, stat.find(' ')));
}

}  // namespace

Result<kj::AutoCloseFd> lock_home(const std::string& home) {
  const std::string path = home + "/store.lock";
  const int raw = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return invalid("cannot open " + path + ": " + std::strerror(errno));
  kj::AutoCloseFd fd(raw);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(raw, F_OFD_SETLK, &lock) != 0)
    return Refusal{Reason::kConflict, "another leat-store serves " + home};
  return kj::mv(fd);
}

Result<Done> announce(const std::string& home, const std::string& address) {
  const std::string pid = std::to_string(::getpid());
  const Result<Done> written =
      transport::replace_secret_file(home + "/store.pid", pid + " " + read_start_time() + "\n");
  if (!written.ok()) return written;
  std::string json = "{\"version\":1,";
  json.append(kAddressKey).append(address).append("\",\"pid\":").append(pid).append("}\n");
  return transport::replace_secret_file(home + "/store.json", json);
}

std::optional<std::uint16_t> earlier_port(const std::string& home, const std::string& host) {
  const Result<std::string> json = transport::read_secret_file(home + "/store.json");
  if (!json.ok()) return std::nullopt;
  const std::string start = std::string(kAddressKey) + host + ":";
  const std::size_t at = json.value().find(start);
  if (at == std::string::npos) return std::nullopt;
  const char* const first = json.value().data() + at + start.size();
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(first, json.value().data() + json.value().size(), port);
  if (parsed.ec != std::errc() || port == 0) return std::nullopt;
  return port;
}

std::optional<std::uint64_t> quota_of(const std::string& home) {
  const Result<std::string> text = transport::read_secret_file(home + "/store.quota");
  if (!text.ok()) return std::nullopt;
  std::uint64_t quota = 0;
  const char* const end = text.value().data() + text.value().size();
  const auto parsed = std::from_chars(text.value().data(), end, quota);
  const bool good = parsed.ec == std::errc() && (parsed.ptr == end || *parsed.ptr == '\n');
  return good ? std::optional<std::uint64_t>(quota) : std::nullopt;
}

void retire(const std::string& home) {
  ::unlink((home + "/store.pid").c_str());
}

}  // namespace leat::blobs
