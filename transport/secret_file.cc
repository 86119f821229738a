#include "transport/secret_file.h"

#include <fcntl.h>
#include <kj/io.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace leat::transport {
namespace {

Refusal system_refusal(const std::string& path, const char* what) {
  const int error = errno;
  const Reason reason = error == ENOENT   ? Reason::kNotFound
                        : error == EEXIST ? Reason::kConflict
                                          : Reason::kInvalid;
  return {reason, path + ": " + what + ": " + std::strerror(error)};
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Ours, and closed to everybody else.
Result<Done> check_private(const std::string& path, const struct stat& status) {
  if (status.st_uid != ::geteuid())
    return invalid(path + ": belongs to uid " + std::to_string(status.st_uid) + ", not to us");
  if ((status.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", status.st_mode & 07777u);
    return invalid(path + ": mode " + mode + " lets others in; chmod go= it");
  }
  return Done{};
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// Makes the name's appearance itself durable.
Result<Done> sync_directory(const std::string& directory) {
  const int raw = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (raw < 0) return system_refusal(directory, "cannot open");
  const kj::AutoCloseFd fd(raw);
  if (::fsync(fd) != 0) return system_refusal(directory, "cannot sync");
  return Done{};
}

Result<Done> write_synced(const std::string& path, std::string_view content) {
  // A crash may have left one; in a private directory only we can have.
  ::unlink(path.c_str());
  const int raw = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw < 0) return system_refusal(path, "cannot create");
  const kj::AutoCloseFd fd(raw);
  if (::fchmod(fd, 0600) != 0 || !write_all(fd, content) || ::fsync(fd) != 0)
    return system_refusal(path, "cannot write");
  return Done{};
}

}  // namespace

Result<Done> ensure_private_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    // The process's umask may have taken bits that we need.
    if (::chmod(path.c_str(), 0700) != 0) return system_refusal(path, "cannot set mode");
    return sync_directory(directory_of(path));
  }
  if (errno != EEXIST) return system_refusal(path, "cannot create");
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return system_refusal(path, "cannot look at");
  if (!S_ISDIR(status.st_mode)) return invalid(path + ": is not a directory");
  return check_private(path, status);
}

Result<Done> write_secret_file(const std::string& path, std::string_view content) {
  const std::string fresh = path + ".new";
  Result<Done> written = write_synced(fresh, content);
  if (!written.ok()) return written;
  // Unlike rename(), link() refuses an existing name.
  if (::link(fresh.c_str(), path.c_str()) != 0) {
    const Refusal refusal = system_refusal(path, "cannot create");
    ::unlink(fresh.c_str());
    return refusal;
  }
  ::unlink(fresh.c_str());
  return sync_directory(directory_of(path));
}

Result<Done> replace_secret_file(const std::string& path, std::string_view content) {
  const std::string fresh = path + ".new";
  Result<Done> written = write_synced(fresh, content);
  if (!written.ok()) return written;
  if (::rename(fresh.c_str(), path.c_str()) != 0) return system_refusal(path, "cannot replace");
  return sync_directory(directory_of(path));
}

Result<std::string> read_secret_file(const std::string& path, std::size_t bytes_max) {
  // O_NONBLOCK: a fifo put there must not hang us before fstat sees it.
  const int raw = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (raw < 0) return system_refusal(path, "cannot open");
  const kj::AutoCloseFd fd(raw);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_refusal(path, "cannot look at");
  if (!S_ISREG(status.st_mode)) return invalid(path + ": is not a regular file");
  const Result<Done> closed = check_private(path, status);
  if (!closed.ok()) return closed.refusal();

  // One more than there should be, to notice that there is more.
  std::string content(std::min(bytes_max, static_cast<std::size_t>(status.st_size)) + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t n = ::read(fd, content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_refusal(path, "cannot read");
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > bytes_max)
    return invalid(path + ": is longer than " + std::to_string(bytes_max) + " bytes");
  if (size == content.size()) return invalid(path + ": grew while it was read");
  content.resize(size);
  return content;
}

}  // namespace leat::transport
