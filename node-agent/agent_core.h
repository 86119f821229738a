#pragma once

// agent_core.h - what runs on this node, and every decision about it.
//
// Pure: no I/O, no clock, no thread. The shell (main.cc, node.cc) and the simulation feed events in
// and carry out what take_actions() and next_report() give back.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "node-agent/allotment.h"
#include "node-agent/messages.h"
#include "node-agent/report_queue.h"
#include "node-agent/slot_pool.h"

namespace leat::agent {

// Start this run in this slot. Whatever comes of it, on_exit() must be called once.
struct Launch {
  RunId run;
  Slot slot = 0;
  std::uint64_t position = 0;  // of the task in its stage
  std::shared_ptr<const StageSpec> spec;
};

// End this run, which was launched or adopted. on_exit() follows when it is over.
struct EndRun {
  RunId run;
  Duration grace{0};
};

// What the shell must do now, in this order.
struct Actions {
  std::vector<EndRun> ends;
  std::vector<Launch> launches;
  std::vector<RunSet> dropped;   // left the queue without starting: forget what was prepared
  std::vector<JobId> forgotten;  // nothing of these jobs is left in the table

  bool empty() const {
    return ends.empty() && launches.empty() && dropped.empty() && forgotten.empty();
  }
};

// A run that the warden says is alive, when an agent takes over.
struct AdoptedRun {
  RunId run;
  Slot slot = 0;
};

// What became of a message of the head.
enum class Verdict : std::uint8_t {
  kTaken,
  kOlderHead,     // from an older head than we know
  kOtherSession,  // of a connection that is over
  kRepeated,      // sequence number already seen
};

// The run table of one node.
//
// A run is queued, running (launched until on_exit) or ended and not yet acknowledged; what the
// head has acknowledged is forgotten. Each stage has an allotment: a queue and the number of its
// runs that may run at once here. Queues are held as ranges: a million queued tasks are small.
//
// Borrows nothing. Thread: any one.
//
// Invariants:
//   - a RunId is launched at most once, and reported until it is acknowledged;
//   - of one task at most one attempt runs here, the newest that the head has sent wins;
//   - a slot belongs to at most one run; running <= claims of each stage when it launches;
//   - what runs fits into the capacity, but for a single run that is larger than the whole node.
class AgentCore {
 public:
  // `capacity`: what the node has told the head that it has; nothing: no end of everything.
  explicit AgentCore(std::uint32_t slot_count = kSlotsMax, std::optional<Resources> capacity = {});

  // --- from the head ---------------------------------------------------------------------------

  // A new session: reports not acknowledged are sent again, sequence numbers start anew.
  // kOlderHead: refused, nothing changes.
  Verdict on_joined(std::uint64_t session, HeadEpoch head_epoch);
  // The connection is lost: reports wait for the next session; work goes on.
  void on_disconnected();

  // Queues what is not known yet. A newer attempt of a running task ends the old one first.
  // Sets that make no sense are reported as not startable.
  Verdict on_start(const StartBatch& batch, Time now);
  // Queued runs are reported as `why`, running ones ended. Runs not known are reported as `why`
  // too: whoever asks must hear that they are over.
  Verdict on_end(HeadEpoch head_epoch, std::span<const EndOrder> orders, Time now);
  Verdict on_withdraw(HeadEpoch head_epoch, const StageRef& stage, std::uint64_t count, Time now);
  // Forgets the specs of these jobs as soon as nothing of theirs is left here.
  Verdict on_release(HeadEpoch head_epoch, std::span<const JobId> jobs);
  // Gives every queued run back, ends every running one, starts nothing any more. For good.
  void on_stop(Duration grace, Time now);

  // --- from the node ---------------------------------------------------------------------------

  // A run is over. `by_order`: an EndRun ended it, so its outcome is what the order said. Returns
  // what will be reported; nothing, and nothing happens, if the run is known to have ended already.
  std::optional<RunResult> on_exit(const RunId& run, const RunResult& result, bool by_order,
                                   Time now, std::optional<BlobRef> stored = std::nullopt);

  // After a restart of the agent, before anything else: the newest head it had joined, then the
  // stages the log knows, then what ended and was not acknowledged, then what the warden still
  // runs.
  void on_recovered_head(HeadEpoch head_epoch) { head_epoch_ = head_epoch; }
  void on_recovered_stage(const StageRef& stage, std::shared_ptr<const StageSpec> spec);
  void on_recovered_end(const RunId& run, const RunResult& result,
                        const std::optional<BlobRef>& stored, Time now);
  void on_adopted(std::span<const AdoptedRun> runs);

  // --- to the shell ----------------------------------------------------------------------------

  // Everything decided since the last call. Call after every event, or batch of events.
  Actions take_actions();

  // A batch that should be reported now, if any; call again until there is none. At most
  // kReportsInFlight are unacknowledged. Only while a session is up.
  std::optional<ReportBatch> next_report(Time now);
  // When next_report() will have one if nothing else happens; kNever if not by time.
  Time report_due() const;
  // The head has batch `id` on disk: its runs are forgotten. Returns the batch, for the log;
  // nothing if it is not in flight.
  std::optional<ReportBatch> on_reported(std::uint64_t id);

  // The next runs of a stage that will be launched, at most `count`, in order.
  std::vector<RunId> upcoming(const StageRef& stage, std::size_t count) const;
  // Stages with something queued.
  std::vector<StageRef> queued_stages() const;

  // What to tell the head at join: everything it has not acknowledged the end of.
  std::vector<RunSet> live() const;

  std::uint64_t queued() const { return queued_; }
  std::uint64_t running() const { return running_.size(); }
  // What the log must keep: results that were not acknowledged.
  std::vector<Ended> unreported_results() const { return reports_.content(); }
  std::uint64_t unreported() const { return reports_.run_count(); }
  bool connected() const { return connected_; }
  bool idle() const { return queued_ == 0 && running_.empty(); }
  HeadEpoch head_epoch() const { return head_epoch_; }
  std::uint64_t session() const { return session_; }
  bool is_running(const RunId& run) const { return running_.contains(run); }
  // Queued or running.
  bool wants(const RunId& run) const;
  // Of what the head gave; nothing if the stage is not known.
  std::shared_ptr<const StageSpec> spec_of(const StageRef& stage) const;

 private:
  struct Running {
    std::optional<Slot> slot;        // none: adopted with a slot that is not free
    std::optional<Outcome> ordered;  // an EndRun was given, for this reason
    Attempt successor = 0;           // waits for this run to be over; 0: none
    std::optional<Resources> taken;  // of free_
  };

  void take_set(const StartSet& set, Time now);
  void take_part(const StageRef& stage, Allotment& allotment, Interval positions, Attempt attempt);
  void add_stage(const StageRef& stage, std::shared_ptr<const StageSpec> spec);
  void end_running(const RunId& run, Outcome why, Duration grace);
  void end_unlisted(const EndOrder& order, Time now);
  void end_part(const EndOrder& order, Allotment& allotment, Interval part, const Known& known,
                Time now);
  void give_back(const StageRef& stage, Allotment& allotment, const QueuedPart& part, Outcome why,
                 Time now);
  void launch_from(const StageRef& stage, Allotment& allotment);
  void launch_starved();
  bool take_room(const StageSpec& spec, Running& running);
  void settle(const StageRef& stage);
  void forget_if_done(JobId job);
  bool older(HeadEpoch head_epoch) const { return head_epoch < head_epoch_; }
  Allotment* find(const StageRef& stage);

  HeadEpoch head_epoch_;
  std::uint64_t session_ = 0;
  std::optional<std::uint64_t> sequence_seen_;
  bool connected_ = false;
  bool stopping_ = false;
  std::uint64_t queued_ = 0;
  std::map<StageRef, Allotment> stages_;
  std::map<RunId, Running> running_;
  std::set<StageRef> starved_;   // could run but for a slot, for room, or for unreported runs
  std::set<StageRef> unlisted_;  // not in stages_, but something of theirs runs or is unreported
  std::set<JobId> released_;     // to be forgotten when nothing is left
  SlotPool slots_;
  // The head gives no more than there is; but what it has given up may not have ended here yet.
  const std::optional<Resources> capacity_;
  std::optional<Resources> free_;
  ReportQueue reports_;
  Actions actions_;
};

}  // namespace leat::agent
