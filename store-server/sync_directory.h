#pragma once

// sync_directory.h - names in a directory that are to outlive a crash.

#include <fcntl.h>
#include <kj/io.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace leat::blobs {

// Makes the names in `directory` durable. 0, or the system's error.
inline int sync_directory(const std::string& directory) {
  const int raw = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (raw < 0) return errno;
  const kj::AutoCloseFd owner(raw);
  return ::fsync(raw) == 0 ? 0 : errno;
}

}  // namespace leat::blobs
