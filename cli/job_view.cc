#include "cli/job_view.h"

#include <capnp/schema.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace leat::cli {
namespace {

using schema::JobState;
using schema::Outcome;

// The name of an enumerator as the schema has it.
template <typename Enum>
std::string enumerator_name(std::uint16_t number) {
  const capnp::EnumSchema::EnumerantList names = capnp::Schema::from<Enum>().getEnumerants();
  if (number >= names.size()) return std::to_string(number);
  return names[number].getProto().getName().cStr();
}

// "camelCase" as it stands in machine output elsewhere: "camel_case".
std::string snake_case(std::string_view name) {
  std::string snake;
  for (const char c : name) {
    if (c >= 'A' && c <= 'Z') {
      snake += '_';
      snake += static_cast<char>(c - 'A' + 'a');
    } else {
      snake += c;
    }
  }
  return snake;
}

std::string signal_name(std::int32_t number) {
  const char* const name = number > 0 ? sigabbrev_np(number) : nullptr;
  return name == nullptr ? "signal " + std::to_string(number) : std::string("SIG") + name;
}

Value failure_row(const JobView& job, const TaskFailure& failure) {
  return Value::Object{
      {"task", task_name(job.id, failure.stage, failure.index)},
      {"stage", std::uint64_t{failure.stage}},
      {"index", failure.index},
      {"outcome", outcome_name(failure.outcome)},
      {"code", failure.code},
      {"node", failure.node},
      {"message", describe_outcome(failure.outcome, failure.code)},
  };
}

}  // namespace

bool JobView::has_ended() const {
  return state != static_cast<std::uint16_t>(JobState::WAITING) &&
         state != static_cast<std::uint16_t>(JobState::RUNNING) &&
         state != static_cast<std::uint16_t>(JobState::CANCELLING) &&
         state != static_cast<std::uint16_t>(JobState::HELD);
}

bool JobView::has_succeeded() const {
  return state == static_cast<std::uint16_t>(JobState::SUCCEEDED);
}

std::int64_t JobView::elapsed_us(std::int64_t now_us) const {
  if (started_us == 0) return 0;
  return std::max<std::int64_t>(0, (ended_us == 0 ? now_us : ended_us) - started_us);
}

std::string read_text(capnp::Text::Reader text) {
  return std::string(text.begin(), text.size());
}

TaskCounts read_counts(schema::Counts::Reader counts) {
  return {counts.getTotal(),     counts.getWaiting(),     counts.getRunning(),
          counts.getHeld(),      counts.getSucceeded(),   counts.getFailed(),
          counts.getCancelled(), counts.getQuarantined(), counts.getSkipped()};
}

JobView read_job(schema::JobSummary::Reader job) {
  JobView view;
  view.id = job.getId();
  view.name = read_text(job.getName());
  view.owner_uid = job.getOwner().getUid();
  view.owner_host = read_text(job.getOwner().getHost());
  view.state = static_cast<std::uint16_t>(job.getState());
  view.counts = read_counts(job.getCounts());
  view.priority = job.getPriority();
  view.submitted_us = job.getSubmittedUs();
  view.started_us = job.getStartedUs();
  view.ended_us = job.getEndedUs();
  for (const schema::Counts::Reader stage : job.getStages())
    view.stages.push_back(read_counts(stage));
  for (const auto name : job.getStageNames()) view.stage_names.push_back(read_text(name));
  if (view.stage_names.size() != view.stages.size()) view.stage_names.clear();
  view.retried = job.getRetried();
  view.lost = job.getLost();
  view.result_bytes = job.getResultBytes();
  view.has_result = job.getHasResult();
  view.retry_of = job.getRetryOf();
  view.skipped_for = job.getSkippedFor();
  view.reason = read_text(job.getReason());
  view.held_by_uid = job.getHeldBy().getUid();
  view.held_us = job.getHeldUs();
  for (const schema::JobSummary::Failure::Reader failure : job.getFailures()) {
    view.failures.push_back({failure.getStage(), failure.getIndex(),
                             static_cast<std::uint16_t>(failure.getOutcome()), failure.getCode(),
                             failure.getNode()});
  }
  for (const schema::TaskProgress::Reader words : job.getProgress()) {
    view.progress.push_back({words.getRun().getStage(), words.getRun().getIndex(),
                             words.getRun().getAttempt(), words.getPermille(),
                             read_text(words.getMessage())});
  }
  return view;
}

std::string job_state_name(std::uint16_t state) {
  return snake_case(enumerator_name<JobState>(state));
}

std::string outcome_name(std::uint16_t outcome) {
  return snake_case(enumerator_name<Outcome>(outcome));
}

std::string describe_outcome(std::uint16_t outcome, std::int32_t code) {
  switch (static_cast<Outcome>(outcome)) {
    case Outcome::EXIT:
      return "exit code " + std::to_string(code);
    case Outcome::SIGNAL:
      return "ended by " + signal_name(code);
    case Outcome::OUT_OF_MEMORY:
      return "out of memory";
    case Outcome::TIME_LIMIT:
      return "time limit reached";
    case Outcome::NODE_LOST:
      return "node lost";
    case Outcome::WITHDRAWN:
      return "withdrawn";
    case Outcome::CANCELLED:
      return "cancelled";
    case Outcome::COULD_NOT_START:
      return std::string("could not start: ") + std::strerror(code);
    case Outcome::QUARANTINED:
      return "set aside after losing three nodes";
    case Outcome::DEPENDENCY_FAILED:
      return "what it depends on failed";
    case Outcome::INPUT_LOST:
      return "its input could not be fetched";
    case Outcome::SPOOL_FULL:
      return "no room on the node for its output";
    case Outcome::OUTPUT_LOST:
      return "its output was lost with its node";
  }
  return "outcome " + std::to_string(outcome) + " (" + std::to_string(code) + ")";
}

std::string task_name(std::uint64_t job, std::uint16_t stage, std::uint64_t index) {
  const std::string of_stage = stage == 0 ? "" : std::to_string(stage) + '.';
  return std::to_string(job) + '.' + of_stage + std::to_string(index);
}

Value counts_row(const TaskCounts& counts) {
  return Value::Object{
      {"total", counts.total},         {"waiting", counts.waiting},
      {"running", counts.running},     {"held", counts.held},
      {"succeeded", counts.succeeded}, {"failed", counts.failed},
      {"cancelled", counts.cancelled}, {"quarantined", counts.quarantined},
      {"skipped", counts.skipped},
  };
}

Value progress_rows(const JobView& job) {
  Value::List rows;
  for (const TaskWords& words : job.progress)
    rows.push_back(Value::Object{
        {"task", task_name(job.id, words.stage, words.index)},
        {"stage", std::uint64_t{words.stage}},
        {"index", words.index},
        {"attempt", words.attempt},
        {"percent", words.permille / 10.0},
        {"message", words.message},
    });
  return rows;
}

Value::Object job_row(const JobView& job, std::int64_t now_us) {
  Value::List stages;
  for (std::size_t n = 0; n < job.stages.size(); ++n) {
    Value::Object stage = std::get<Value::Object>(counts_row(job.stages[n]).kind());
    if (!job.stage_names.empty()) stage.push_back({"name", job.stage_names[n]});
    stages.emplace_back(std::move(stage));
  }
  Value::List failures;
  for (const TaskFailure& failure : job.failures) failures.push_back(failure_row(job, failure));
  return Value::Object{
      {"id", job.id},
      {"name", job.name},
      {"owner", Value::Object{{"uid", job.owner_uid}, {"host", job.owner_host}}},
      {"state", job_state_name(job.state)},
      {"counts", counts_row(job.counts)},
      {"done", job.counts.done()},
      {"priority", job.priority},
      {"submitted_us", job.submitted_us},
      {"started_us", job.started_us},
      {"ended_us", job.ended_us},
      {"elapsed_us", job.elapsed_us(now_us)},
      {"stages", std::move(stages)},
      {"retried", job.retried},
      {"lost", job.lost},
      {"has_result", job.has_result},
      {"result_bytes", job.result_bytes},
      {"failures", std::move(failures)},
      {"retry_of", job.retry_of == 0 ? Value() : Value(job.retry_of)},
      {"skipped_for", job.skipped_for == 0 ? Value() : Value(job.skipped_for)},
      {"reason", job.reason},
      {"held_us", job.held_us},
      {"held_by_uid", job.held_us == 0 ? Value() : Value(job.held_by_uid)},
  };
}

}  // namespace leat::cli
