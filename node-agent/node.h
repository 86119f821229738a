#pragma once

// node.h - the shell around the agent's core: carries out what it decides, tells it what happens.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "node-agent/agent_core.h"
#include "node-agent/evacuation.h"
#include "node-agent/gang_files.h"
#include "node-agent/inputs.h"
#include "node-agent/outputs.h"
#include "node-agent/plain_outputs.h"
#include "node-agent/result_upload.h"
#include "node-agent/run_log.h"
#include "node-agent/runner.h"

namespace leat::agent {

// One line for people. No secrets.
using LogLine = std::function<void(std::string_view line)>;

// What a node is made of. All must outlive it.
struct NodeParts {
  kj::Timer& timer;
  Outputs& outputs;
  RunLog& log;
  InputStore& inputs;
  ResultUpload& uploads;
  Evacuation& evacuation;
  PlainOutputs& plain;
  GangFiles& gangs;
  LogLine say;
  std::uint64_t spool_quota_bytes = 0;
  Resources capacity;
};

// What the head says when a node has joined.
struct HeadWelcome {
  HeadEpoch head_epoch;
  std::uint64_t session = 0;
  std::int64_t now_us = 0;
  StoreAddress store;
  std::string output_ticket;  // right to bring this node's outputs to the store
};

// Owns the core. Thread: the loop's, all members.
//
// Invariant: the warden hears that an exit is confirmed only after its result is in the run log and
// the place of its output in the spool's index.
class Node final : public RunnerEvents, private kj::TaskSet::ErrorHandler {
 public:
  Node(NodeParts parts, RecoveredLog recovered);

  // Once, before any event.
  void set_runner(Runner& runner) { runner_ = &runner; }
  // Gets every batch that is due while a session is up; reported() or report_failed() follows.
  using Reporter = std::function<void(const ReportBatch& batch)>;
  void set_reporter(Reporter reporter) { reporter_ = std::move(reporter); }

  // --- from the head ---------------------------------------------------------------------------
  Verdict joined(const HeadWelcome& welcome);
  void disconnected();
  Verdict start(const StartBatch& batch);
  Verdict end(HeadEpoch head_epoch, const std::vector<EndOrder>& orders);
  Verdict withdraw(HeadEpoch head_epoch, const StageRef& stage, std::uint64_t count);
  Verdict release(HeadEpoch head_epoch, const std::vector<JobId>& jobs);
  void reported(std::uint64_t batch);
  // Gives everything back and ends everything. Resolves when nothing runs here any
  // more and the head, if there is one, knows all about it.
  kj::Promise<void> stop(Duration grace);
  // Brings what runs have written to leat-store, once nothing runs here any more. `ticket`: empty
  // for the one of the last join, perhaps in an earlier life of the agent. Refused when the
  // patience is over. Never rejects.
  kj::Promise<Result<std::uint64_t>> evacuate(std::string ticket, Patience patience,
                                              BroughtSoFar tell);

  // Where the other members of a gang meet the first, if that is here.
  std::optional<GangHub> hub_of(const RunId& run) { return parts_.gangs.hub_of(run); }

  const AgentCore& core() const { return core_; }

  // --- from the runner -------------------------------------------------------------------------
  void on_adopted(std::span<const AdoptedRun> runs) override;
  void on_run_end(const RunEnd& end) override;

 private:
  struct Finished {
    RunId run;
    RunResult result;
    std::optional<BlobRef> stored;
  };

  Time now() const;
  // Resolves when nothing runs here.
  kj::Promise<void> when_idle();
  void schedule_pump();
  void pump();
  void keep_results();
  void carry_out(const Actions& actions);
  void begin(const Launch& launch);
  void end_run(const EndRun& order);
  void finish(const RunEnd& end, std::optional<BlobRef> stored);
  void upload_result(const RunEnd& end);
  // Whether the run's output goes to a directory of the user's first; then end_of_copy() follows.
  bool copy_out(const RunEnd& end);
  void end_of_copy(const RunEnd& end);
  void prefetch();
  void send_reports();
  void learn(const StartSet& set);
  void meet(const StartSet& set);
  bool is_gang(const StageRef& ref) const;
  void drop_gangs(const RunSet& set);
  void forget(JobId job);
  void bring_outputs_to(OutputPlace place);
  void look_after_files();
  kj::Promise<void> look_after_files_for_ever();
  void taskFailed(kj::Exception&& exception) override;

  NodeParts parts_;
  Runner* runner_ = nullptr;
  Reporter reporter_;
  AgentCore core_;
  std::int64_t head_clock_us_ = 0;                // head's time less CLOCK_MONOTONIC
  OutputPlace output_place_;                      // as the newest head said
  std::map<StageRef, StartSet> stages_;           // without runs and inputs
  std::set<StageRef> fed_;                        // those whose tasks have input
  std::map<RunId, kj::Promise<void>> preparing_;  // launched, waiting for their input
  std::map<RunId, kj::Promise<void>> copying_;    // over, but for files the user wants
  std::map<RunId, kj::Promise<void>> uploading_;  // over, but for their result
  std::vector<Finished> finished_;                // not in the log yet
  std::vector<RunId> to_confirm_;                 // in the log once it is written
  bool files_failed_ = false;
  bool pump_scheduled_ = false;
  std::optional<Time> report_timer_;
  kj::Own<kj::PromiseFulfiller<void>> stopped_;  // null unless stopping
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> idle_waiters_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
