#pragma once

// secret_file.h - small files that only their owner may read: keys, certificates, tokens.
//
// Plain blocking system calls: for start-up, not for a running loop's hot path.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace leat::transport {

inline constexpr std::size_t kSecretFileBytesMax = 64 * 1024;

// Makes `path` (its parent must exist) with mode 0700, or verifies that what is there is a real
// directory, ours, and closed to everybody else.
Result<Done> ensure_private_directory(const std::string& path);

// Writes a new file of mode 0600. It appears whole or not at all, and is on disk on return.
// Refused with kConflict if `path` exists.
Result<Done> write_secret_file(const std::string& path, std::string_view content);

// The same, in place of whatever file is there.
Result<Done> replace_secret_file(const std::string& path, std::string_view content);

// The content of a file that is regular, ours and mode 0600 or stricter; never through a symbolic
// link. Refused otherwise, kNotFound if there is no such file, kInvalid for everything else.
Result<std::string> read_secret_file(const std::string& path,
                                     std::size_t bytes_max = kSecretFileBytesMax);

}  // namespace leat::transport
