#pragma once

// runner.h - who carries out launches: the warden, or for benchmarks nobody.

#include <optional>
#include <span>
#include <string>

#include "base/ids.h"
#include "node-agent/agent_core.h"
#include "node-agent/messages.h"
#include "spool/spool_index.h"

namespace leat::agent {

// A run to start, with everything that was prepared for it.
struct RunOrder {
  Launch launch;
  std::string stdin_path;           // empty: nothing to read
  std::optional<std::string> text;  // of a task with one input line
};

// A run that is over.
struct RunEnd {
  RunId run;
  RunResult result;  // start_us on this machine's CLOCK_MONOTONIC
  bool by_order = false;
  bool has_place = false;  // it started, so `place` says where its output is
  spool::RunPlace place;
};

// Hears of what happens to runs. Called on the loop; must not destroy the runner.
class RunnerEvents {
 public:
  virtual ~RunnerEvents() noexcept(false) = default;
  // Once, before anything else: what went on while there was no agent.
  virtual void on_adopted(std::span<const AdoptedRun> runs) = 0;
  // Told again after each start of an agent until confirm().
  virtual void on_run_end(const RunEnd& end) = 0;
};

// Thread: the loop's.
class Runner {
 public:
  virtual ~Runner() noexcept(false) = default;

  // Makes a stage known before its first start(); repeated when more is known about it.
  virtual void stage(const StartSet& set) = 0;
  // Answered by on_run_end(), never from within the call.
  virtual void start(const RunOrder& order) = 0;
  // Also for a run that start() was never called for: nothing happens then.
  virtual void end(const RunId& run, Duration grace) = 0;
  // The end of a run is safely kept: forget it.
  virtual void confirm(const RunId& run) = 0;
  virtual void forget(JobId job) = 0;
};

}  // namespace leat::agent
