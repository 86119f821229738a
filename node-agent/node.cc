#include "node-agent/node.h"

#include <kj/debug.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace leat::agent {
namespace {

std::string name_of(const RunId& run) {
  return std::to_string(run.job.value) + "." + std::to_string(run.stage) + "." +
         std::to_string(run.index) + " attempt " + std::to_string(run.attempt);
}

StartSet without_runs(const StartSet& set) {
  StartSet stage;
  stage.runs.stage = set.runs.stage;
  stage.spec = set.spec;
  stage.task_count = set.task_count;
  stage.job_name = set.job_name;
  stage.is_result = set.is_result;
  stage.store_ticket = set.store_ticket;
  stage.input_ticket = set.input_ticket;
  return stage;
}

}  // namespace

Node::Node(NodeParts parts, RecoveredLog recovered)
    : parts_(std::move(parts)),
      core_(kSlotsMax, parts_.capacity),
      head_clock_us_(recovered.head_clock_us),
      tasks_(*this) {
  core_.on_recovered_head(recovered.head_epoch);
  bring_outputs_to(std::move(recovered.output_place));
  for (StartSet& set : recovered.stages) {
    core_.on_recovered_stage(set.runs.stage, set.spec);
    if (set.spec->inputs.any()) fed_.insert(set.runs.stage);
    stages_[set.runs.stage] = std::move(set);
  }
  for (const Ended& ended : recovered.ended) {
    std::size_t n = 0;
    ended.runs.indices.for_each([this, &ended, &n](Index index) {
      core_.on_recovered_end(run_id(ended.runs.stage, ended.runs.attempt, index),
                             row_of(ended.columns, n++), ended.result, now());
    });
  }
  tasks_.add(look_after_files_for_ever());
}

Time Node::now() const {
  return Time{Duration((parts_.timer.now() - kj::origin<kj::TimePoint>()) / kj::MICROSECONDS)};
}

void Node::taskFailed(kj::Exception&& exception) {
  // Nothing in here rejects but by a mistake of ours; runs live on under the warden.
  kj::throwFatalException(kj::mv(exception));
}

// --- from the head -------------------------------------------------------------------------------

Verdict Node::joined(const HeadWelcome& welcome) {
  const Verdict verdict = core_.on_joined(welcome.session, welcome.head_epoch);
  if (verdict != Verdict::kTaken) return verdict;
  head_clock_us_ = welcome.now_us - now().us();
  parts_.inputs.set_store(welcome.store);
  parts_.uploads.set_store(welcome.store);
  bring_outputs_to({welcome.store.address, welcome.store.server_name, welcome.output_ticket});
  parts_.log.joined(welcome.head_epoch, head_clock_us_);
  // For an agent that is started again and does not get to a head any more.
  parts_.log.output_place(output_place_);
  schedule_pump();
  return verdict;
}

void Node::bring_outputs_to(OutputPlace place) {
  parts_.evacuation.set_store({place.address, place.server_name});
  parts_.evacuation.set_ticket(place.ticket);
  output_place_ = std::move(place);
}

void Node::disconnected() {
  core_.on_disconnected();
  report_timer_.reset();
}

// What a launch needs of its stage, kept for the next life of the agent.
void Node::learn(const StartSet& set) {
  const StageRef ref = set.runs.stage;
  if (set.spec != nullptr) {
    const StartSet& stage = stages_[ref] = without_runs(set);
    parts_.log.stage(stage);
    runner_->stage(stage);
    parts_.outputs.index().add_stage(ref, stage.spec->indices);
    if (stage.spec->inputs.any()) fed_.insert(ref);
  } else if (const auto stage = stages_.find(ref); stage != stages_.end()) {
    // Tickets expire: the newest one counts.
    if (!set.store_ticket.empty()) stage->second.store_ticket = set.store_ticket;
    if (!set.input_ticket.empty()) stage->second.input_ticket = set.input_ticket;
  }
  if (set.gang) meet(set);
  std::size_t n = 0;
  if (set.inputs.empty()) return;
  set.runs.indices.for_each([this, &set, &n](Index index) {
    const RunId run = run_id(set.runs.stage, set.runs.attempt, index);
    if (!core_.is_running(run)) parts_.inputs.set_parts(run, set.inputs[n]);
    ++n;
  });
}

Verdict Node::start(const StartBatch& batch) {
  const bool is_current =
      batch.session == core_.session() && batch.head_epoch == core_.head_epoch();
  if (is_current)
    for (const StartSet& set : batch.sets) learn(set);
  schedule_pump();
  const Verdict verdict = core_.on_start(batch, now());
  // What has ended here already is not begun again.
  for (const StartSet& set : batch.sets)
    if (set.gang && !core_.wants(run_id(set.runs.stage, set.runs.attempt, set.runs.indices.at(0))))
      drop_gangs(set.runs);
  return verdict;
}

void Node::meet(const StartSet& set) {
  const RunId run = run_id(set.runs.stage, set.runs.attempt, set.runs.indices.at(0));
  if (core_.is_running(run)) return;
  if (const Result<Done> met = parts_.gangs.begin(run, *set.gang); !met.ok())
    parts_.say("no gang for " + name_of(run) + ": " + met.refusal().message);
}

bool Node::is_gang(const StageRef& ref) const {
  const auto stage = stages_.find(ref);
  return stage != stages_.end() && stage->second.spec->gang.has_value();
}

void Node::drop_gangs(const RunSet& set) {
  if (!is_gang(set.stage)) return;
  set.indices.for_each(
      [this, &set](Index index) { parts_.gangs.drop(run_id(set.stage, set.attempt, index)); });
}

Verdict Node::end(HeadEpoch head_epoch, const std::vector<EndOrder>& orders) {
  schedule_pump();
  return core_.on_end(head_epoch, orders, now());
}

Verdict Node::withdraw(HeadEpoch head_epoch, const StageRef& stage, std::uint64_t count) {
  schedule_pump();
  return core_.on_withdraw(head_epoch, stage, count, now());
}

Verdict Node::release(HeadEpoch head_epoch, const std::vector<JobId>& jobs) {
  const Verdict verdict = core_.on_release(head_epoch, jobs);
  if (verdict == Verdict::kTaken)
    for (const JobId job : jobs) parts_.outputs.index().release(job);
  schedule_pump();
  return verdict;
}

void Node::reported(std::uint64_t batch) {
  const std::optional<ReportBatch> done = core_.on_reported(batch);
  if (done) parts_.log.acknowledged(done->ended);
  schedule_pump();
}

kj::Promise<void> Node::stop(Duration grace) {
  core_.on_stop(grace, now());
  schedule_pump();
  auto paf = kj::newPromiseAndFulfiller<void>();
  stopped_ = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

kj::Promise<Result<std::uint64_t>> Node::evacuate(std::string ticket, Patience patience,
                                                  BroughtSoFar tell) {
  if (ticket.empty()) ticket = parts_.evacuation.ticket();
  const kj::TimePoint last = parts_.timer.now() + patience.whole;
  return parts_.timer.timeoutAfter(std::min(patience.whole, patience.idle), when_idle())
      .then(
          [this, ticket = std::move(ticket), idle = patience.idle, last, tell = std::move(tell)]() {
            return parts_.evacuation.run(ticket, {last - parts_.timer.now(), idle}, tell);
          },
          [](kj::Exception&&) -> kj::Promise<Result<std::uint64_t>> {
            return Result<std::uint64_t>(invalid("something still runs here"));
          });
}

kj::Promise<void> Node::when_idle() {
  if (core_.idle()) return kj::READY_NOW;
  auto paf = kj::newPromiseAndFulfiller<void>();
  idle_waiters_.push_back(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

// --- from the runner -----------------------------------------------------------------------------

void Node::on_adopted(std::span<const AdoptedRun> runs) {
  core_.on_adopted(runs);
  std::vector<RunId> alive;
  for (const AdoptedRun& adopted : runs) alive.push_back(adopted.run);
  parts_.gangs.keep_only(alive);
  if (!runs.empty())
    parts_.say("adopted " + std::to_string(runs.size()) + " runs that went on without an agent");
  for (const auto& [ref, stage] : stages_) runner_->stage(stage);
  schedule_pump();
}

void Node::on_run_end(const RunEnd& end) {
  if (copying_.contains(end.run)) return;
  if (!copy_out(end)) end_of_copy(end);
}

bool Node::copy_out(const RunEnd& end) {
  const auto stage = stages_.find(stage_of(end.run));
  if (stage == stages_.end() || !end.has_place || end.by_order) return false;
  const std::string& directory = stage->second.spec->program.output_directory;
  if (directory.empty()) return false;
  copying_.emplace(end.run,
                   parts_.plain.copy(end.run, end.place, directory, parts_.gangs.member_of(end.run))
                       .then([this, end](const Result<Done>& done) {
                         RunEnd told = end;
                         if (!done.ok()) {
                           parts_.say("the output of " + name_of(end.run) +
                                      " cannot be kept: " + done.refusal().message);
                           told.result.outcome = Outcome::kSpoolFull;
                         }
                         // In a turn of its own: a promise must not destroy itself.
                         tasks_.add(kj::evalLater([this, told]() {
                           copying_.erase(told.run);
                           end_of_copy(told);
                         }));
                       })
                       .eagerlyEvaluate(nullptr));
  return true;
}

void Node::end_of_copy(const RunEnd& end) {
  const auto stage = stages_.find(stage_of(end.run));
  const bool succeeded =
      !end.by_order && end.result.outcome == Outcome::kExit && end.result.code == 0;
  if (stage != stages_.end() && stage->second.is_result && succeeded && end.has_place) {
    upload_result(end);
    return;
  }
  finish(end, std::nullopt);
}

void Node::upload_result(const RunEnd& end) {
  if (uploading_.contains(end.run)) return;
  const StageRef ref = stage_of(end.run);
  const auto ticket = [this, ref]() {
    const auto stage = stages_.find(ref);
    return stage == stages_.end() ? std::string() : stage->second.store_ticket;
  };
  uploading_.emplace(end.run, parts_.uploads.upload(end.place, ticket)
                                  .then([this, end](const Result<BlobRef>& blob) {
                                    RunEnd told = end;
                                    std::optional<BlobRef> stored;
                                    if (blob.ok()) {
                                      stored = blob.value();
                                    } else {
                                      parts_.say("the result " + name_of(end.run) +
                                                 " cannot be stored: " + blob.refusal().message);
                                      told.result.outcome = Outcome::kOutputLost;
                                    }
                                    tasks_.add(kj::evalLater([this, told, stored]() {
                                      uploading_.erase(told.run);
                                      finish(told, stored);
                                    }));
                                  })
                                  .eagerlyEvaluate(nullptr));
}

void Node::finish(const RunEnd& end, std::optional<BlobRef> stored) {
  const StageRef ref = stage_of(end.run);
  spool::SpoolIndex& index = parts_.outputs.index();
  RunResult result = end.result;
  if (result.start_us != 0) result.start_us += head_clock_us_;
  const bool placed = end.has_place && index.knows(ref);
  if (end.has_place && !placed && result.output_bytes > 0 && result.outcome == Outcome::kExit) {
    parts_.say("the output of " + name_of(end.run) + " is lost: its stage is not known");
    result.outcome = Outcome::kOutputLost;
  }
  if (placed) {
    parts_.outputs.ended(end.run, end.place);
  } else {
    parts_.outputs.gone(end.run);
  }
  parts_.inputs.drop(end.run);
  if (is_gang(ref)) parts_.gangs.drop(end.run);
  const std::optional<RunResult> reported =
      core_.on_exit(end.run, result, end.by_order, now(), stored);
  if (reported) finished_.push_back({end.run, *reported, stored});
  to_confirm_.push_back(end.run);
  schedule_pump();
}

}  // namespace leat::agent
