#pragma once

// task_board.h - what running tasks have told of themselves: the newest word of each, for people.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "scheduler/core/state.h"

namespace leat::engine {

struct TaskWord {
  RunId run;
  std::uint16_t permille = 0;
  std::string message;
};

// In memory only: after a restart agents tell everything again. It wakes nobody and decides
// nothing; whether a run still counts, the state says, both when it tells and when somebody asks.
//
// Thread: engine loop. Invariant: at most kPerJob words of a job and kAll together, the newest.
class TaskBoard {
 public:
  static constexpr std::size_t kPerJob = 64;
  static constexpr std::size_t kAll = 16'384;

  // Ignored unless the run is on `node`.
  void take(const core::State& state, NodeRef node, TaskWord word);
  // Of runs that are still where they told it from; the last first.
  std::vector<TaskWord> of(const core::State& state, JobId job) const;
  // The job has ended.
  void forget(JobId job);

  std::size_t size() const { return oldest_first_.size(); }

 private:
  struct Entry {
    TaskWord word;
    NodeRef node;
    std::uint64_t number = 0;  // in the order of telling
  };
  using Entries = std::list<Entry>;

  void erase(Entries::iterator entry);

  Entries oldest_first_;
  std::map<JobId, std::map<RunId, Entries::iterator>> jobs_;
  std::uint64_t next_ = 0;
};

}  // namespace leat::engine
