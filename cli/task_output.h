#pragma once

// task_output.h - the outputs of tasks, one after the other.

#include <cstdint>
#include <optional>

#include "cli/member_output.h"
#include "transport/liveness.h"

namespace leat::cli {

// What became of one task's output.
enum class OutputFound : std::uint8_t {
  kWhole,
  kCut,     // it was longer than its limit
  kNotYet,  // the task has not run; never with `follow`
};

// Waits for news of a job that is waited for. Borrows the shell and the head.
class JobChanges {
 public:
  JobChanges(Shell& shell, Head& head) : shell_(shell), head_(head) {}

  // The next wait() is for another job, or looks at it as it is.
  void begin() { cursor_ = 0; }
  // Returns at the next change, or after a while. Throws Failure.
  void wait(JobId job);

 private:
  Shell& shell_;
  Head& head_;
  std::uint64_t cursor_ = 0;
};

// Reads one task after the other; connections are kept from one to the next. Borrows the shell and
// the head.
class TaskOutputs {
 public:
  TaskOutputs(Shell& shell, Head& head);

  // Throws Failure: kWorkFailed if the output is lost, kUsage if there is no such task,
  // kUnreachable if its node is silent for too long.
  OutputFound read(const OutputWanted& wanted, const OutputSink& sink);

  // How many members the task's newest run has, 0 if it is no gang; nothing if it has not run.
  std::optional<std::uint32_t> find_members(OutputWanted wanted);

  // Waits until the task has started. How many members it has; 0: it is no gang.
  std::uint32_t await_start(const OutputWanted& wanted);

  // Of the task that is read: known when the sink is called. 0: it is no gang.
  std::uint32_t members() const { return output_.members(); }

 private:
  MemberOutput::Step read_once(const OutputSink& sink);

  Shell& shell_;
  MemberOutput output_;
  JobChanges changes_;
  transport::Backoff backoff_;
};

}  // namespace leat::cli
