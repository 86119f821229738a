#pragma once

// mock_runner.h - answers every run with success, at once and without a process.
//
// For measuring everything but processes: `leat-agent --mock`.

#include <kj/async.h>

#include <vector>

#include "node-agent/runner.h"

namespace leat::agent {

// Borrows events. Thread: the loop's.
class MockRunner final : public Runner, private kj::TaskSet::ErrorHandler {
 public:
  explicit MockRunner(RunnerEvents& events) : events_(events), tasks_(*this) {}

  void stage(const StartSet&) override {}
  void start(const RunOrder& order) override;
  void end(const RunId&, Duration) override {}
  void confirm(const RunId&) override {}
  void forget(JobId) override {}

 private:
  void answer();
  void taskFailed(kj::Exception&& exception) override;

  RunnerEvents& events_;
  std::vector<RunId> started_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
