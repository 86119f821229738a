#pragma once

// place.h - whether a file is where, and as, a store may be.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace leat::store {

// What a look at the file itself, without SQLite, says.
struct Place {
  std::string path;    // without links in its folders
  bool fresh = false;  // the file is empty: there is no store yet
};

// Creates an empty file (0600) if there is none. Refused, with nothing changed: links, files of
// others, readable by others, on network file systems; files that are not SQLite's, that have
// another application id, or a version above `version`.
Result<Place> inspect(const std::string& path, std::uint32_t application_id, std::uint32_t version);

// The process that holds SQLite's lock on the file, if the system knows it. Must not be called
// while this process has the file open through SQLite: POSIX would drop its locks.
std::optional<std::int64_t> lock_holder(const std::string& path);

}  // namespace leat::store
