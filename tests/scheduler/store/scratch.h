#pragma once

// scratch.h - a directory on a real disk that goes away with its owner.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/check.h"

namespace leat::store {

// Below /var/tmp, which is a disk also where /tmp is memory.
class Scratch {
 public:
  Scratch() {
    std::string name = "/var/tmp/leat-store-test-XXXXXX";
    LEAT_CHECK(::mkdtemp(name.data()) != nullptr);
    root_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path(std::string_view name = "store") const {
    return root_ + "/" + std::string(name);
  }

 private:
  std::string root_;
};

inline std::string bytes_in(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Overwrites part of a file in place.
inline void poke(const std::string& path, std::size_t at, std::string_view bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  file << bytes;
  LEAT_CHECK(file.good());
}

}  // namespace leat::store
