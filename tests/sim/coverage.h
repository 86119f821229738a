#pragma once

// coverage.h - what an output stands for: which tasks of stage 0 are counted in it, how often.

#include <cstdint>

#include "base/interval_set.h"

namespace leat::sim {

struct Coverage {
  std::uint64_t counted = 0;  // with repetition
  IntervalSet tasks;

  void add(const Coverage& other) {
    counted += other.counted;
    tasks.insert_all(other.tasks);
  }
  // Every task of `size` once, and nothing else.
  bool exact(std::uint64_t size) const { return counted == size && tasks.size() == size; }
};

}  // namespace leat::sim
