#pragma once

// gpus.h - which devices this node may use, and which run has which.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/resources.h"

namespace leat::agent {

// What is known about the devices of a node.
struct GpuFacts {
  std::optional<std::uint32_t> declared;  // how many the pool's definition says
  std::uint32_t first = 0;                // the first that is this node's, with `declared`
  std::uint32_t found = 0;                // on this machine
  std::optional<std::string> visible;     // CUDA_VISIBLE_DEVICES, as the agent inherited it
};

// The devices as CUDA_VISIBLE_DEVICES names them, kGpusMax at most: numbers, or whatever the agent
// was given. What was declared is believed; a list that was inherited is never exceeded.
std::vector<std::string> gpu_names(const GpuFacts& facts);

// Owns nothing but the numbers. Thread: any one.
class GpuPool {
 public:
  explicit GpuPool(std::vector<std::string> names);

  std::uint32_t size() const { return static_cast<std::uint32_t>(names_.size()); }
  // The lowest free ones as a mask over the names; nothing if so many are not free.
  std::optional<std::uint64_t> take(std::uint32_t count);
  // For a run that has them already.
  void claim(std::uint64_t mask) { taken_ |= mask; }
  void give_back(std::uint64_t mask) { taken_ &= ~mask; }
  // "0,2", for CUDA_VISIBLE_DEVICES.
  std::string list(std::uint64_t mask) const;

 private:
  std::vector<std::string> names_;
  std::uint64_t taken_ = 0;
};

}  // namespace leat::agent
