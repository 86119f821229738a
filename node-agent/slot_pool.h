#pragma once

// slot_pool.h - small numbers for what runs at once, the lowest free one first.

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

#include "base/check.h"

namespace leat::agent {

// Names a spool file pair and a scratch directory, so it is reused as soon as it is free.
using Slot = std::uint16_t;

// As many as the warden has room for in its table.
inline constexpr std::uint32_t kSlotsMax = 4096;

class SlotPool {
 public:
  explicit SlotPool(std::uint32_t count) : taken_(count, false) {}

  std::optional<Slot> take() {
    while (!returned_.empty()) {
      const Slot slot = returned_.top();
      returned_.pop();
      // A slot that was claimed while it lay here is stale.
      if (taken_[slot]) continue;
      taken_[slot] = true;
      return slot;
    }
    while (fresh_ < taken_.size() && taken_[fresh_]) ++fresh_;
    if (fresh_ == taken_.size()) return std::nullopt;
    taken_[fresh_] = true;
    return static_cast<Slot>(fresh_++);
  }

  // For a run that has its slot already. False if it is taken or out of range.
  bool claim(Slot slot) {
    if (slot >= taken_.size() || taken_[slot]) return false;
    taken_[slot] = true;
    return true;
  }

  void give_back(Slot slot) {
    LEAT_CHECK(slot < taken_.size() && taken_[slot]);
    taken_[slot] = false;
    if (slot < fresh_) returned_.push(slot);
  }

 private:
  std::vector<bool> taken_;
  std::size_t fresh_ = 0;  // slots from here on were never taken by take()
  std::priority_queue<Slot, std::vector<Slot>, std::greater<>> returned_;
};

}  // namespace leat::agent
