#pragma once

// input_file.h - a file under DIR/inputs that becomes the standard input of one run.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace leat::agent {

// What must stay free on the disk for others when inputs are written.
inline constexpr std::uint64_t kDiskKeptFree = 64u << 20;

// Written once, from its beginning to its end. Owns the descriptor; the file is removed with it
// unless keep() was called.
class InputFile {
 public:
  // Mode 0600, in place of what a former life left there.
  static Result<InputFile> create(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  // Refused if the disk is nearly full, or fails.
  Result<Done> append(std::span<const std::byte> bytes);
  void keep() { is_kept_ = true; }
  const std::string& path() const { return path_; }

 private:
  InputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  std::string path_;
  int fd_ = -1;
  bool is_kept_ = false;
  std::uint64_t unchecked_ = 0;  // bytes since free space was looked at
};

// DIR/inputs/JOB.STAGE.INDEX.ATTEMPT
std::string input_path(const std::string& node_directory, const RunId& run);

}  // namespace leat::agent
