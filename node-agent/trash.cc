#include "node-agent/trash.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace leat::agent {
namespace {

// An open directory that was no link when it was opened; null otherwise.
DIR* open_directory(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) {
    // A task may take its own rights away. What is not a directory of ours stays closed.
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
        ::chmod(path.c_str(), 0700) == 0)
      fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd < 0) return nullptr;
  ::fchmod(fd, 0700);
  DIR* directory = ::fdopendir(fd);
  if (directory == nullptr) ::close(fd);
  return directory;
}

}  // namespace

Trash::Trash(std::string directory) : directory_(std::move(directory)) {
  ::mkdir(directory_.c_str(), 0700);
  DIR* old = open_directory(directory_);
  if (old == nullptr) return;
  while (const dirent* entry = ::readdir(old))
    if (entry->d_name[0] != '.') waiting_.push_back(directory_ + "/" + entry->d_name);
  ::closedir(old);
}

bool Trash::take(const std::string& path) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::string name = directory_ + "/" + std::to_string(next_++);
    struct stat info {};
    if (::lstat(name.c_str(), &info) == 0) continue;  // from a former life
    if (::rename(path.c_str(), name.c_str()) != 0) return errno == ENOENT;
    waiting_.push_back(name);
    return true;
  }
  return false;
}

bool Trash::step() {
  std::size_t removed = 0;
  while (!waiting_.empty() && removed < kStep) {
    const std::string path = waiting_.back();
    DIR* directory = open_directory(path);
    if (directory == nullptr) {
      ::unlink(path.c_str());
      waiting_.pop_back();
      ++removed;
      continue;
    }
    bool has_more = false;
    while (const dirent* entry = ::readdir(directory)) {
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      if (removed >= kStep) {
        has_more = true;
        break;
      }
      ++removed;
      if (::unlinkat(::dirfd(directory), entry->d_name, 0) == 0) continue;
      if (::unlinkat(::dirfd(directory), entry->d_name, AT_REMOVEDIR) == 0) continue;
      if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES) continue;
      waiting_.push_back(path + "/" + entry->d_name);
      has_more = true;
      break;
    }
    ::closedir(directory);
    if (has_more) continue;
    ++removed;
    ::rmdir(path.c_str());
    std::erase(waiting_, path);
  }
  return !waiting_.empty();
}

}  // namespace leat::agent
