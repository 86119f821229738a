#pragma once

// gang_memory.h - the names under which ranks of a node share memory, for all who clear them away.

#include <cstdint>
#include <cstdio>
#include <string>

namespace leat {

inline constexpr const char* kSharedMemory = "/dev/shm";

// Names in kSharedMemory that belong to the node whose directory is this inode of this device: no
// other node of the host has it, of whatever cluster. A run's name follows.
inline std::string gang_memory_prefix(std::uint64_t device, std::uint64_t inode) {
  char text[64];
  std::snprintf(text, sizeof text, "leat-%llx-%llx-", static_cast<unsigned long long>(device),
                static_cast<unsigned long long>(inode));
  return text;
}

}  // namespace leat
