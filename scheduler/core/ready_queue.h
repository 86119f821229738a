#pragma once

// ready_queue.h - which stage is next: priority, then order of submission, then later stages
// first, so that a reduce keeps pace with what it reduces.

#include <compare>
#include <cstdint>
#include <set>

#include "base/ids.h"

namespace leat::core {

// Stages that have at least one waiting task. Cost does not depend on how many tasks wait.
class ReadyQueue {
 public:
  struct Entry {
    std::int64_t rank = 0;  // minus the priority: smaller is first
    JobId job;
    std::int32_t stage = 0;  // minus the stage

    StageRef ref() const { return {job, static_cast<StageId>(-stage)}; }
    friend constexpr auto operator<=>(const Entry&, const Entry&) = default;
  };

  static Entry entry(std::int32_t priority, StageRef ref) {
    return {-std::int64_t{priority}, ref.job, -std::int32_t{ref.stage}};
  }

  void insert(const Entry& entry) { entries_.insert(entry); }
  void erase(const Entry& entry) { entries_.erase(entry); }
  const std::set<Entry>& entries() const { return entries_; }

 private:
  std::set<Entry> entries_;
};

}  // namespace leat::core
