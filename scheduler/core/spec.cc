#include "scheduler/core/spec.h"

#include <algorithm>

namespace leat::core {
namespace {

// Names come back in tables and terminals: printable bytes only (UTF-8 passes).
bool is_printable(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

std::optional<Refusal> check_name(const std::string& what, const std::string& name) {
  if (name.size() > kNameBytesMax)
    return invalid(what + ": longer than " + std::to_string(kNameBytesMax) + " bytes");
  if (!is_printable(name)) return invalid(what + ": contains control characters");
  return std::nullopt;
}

// What a stage comes after.
std::optional<Refusal> check_after(const JobSpec& job, std::size_t id, const std::string& where) {
  const StageSpec& stage = job.stages[id];
  if (stage.after.size() > kAfterMax)
    return invalid(where + "it comes after more than " + std::to_string(kAfterMax) +
                   " jobs and stages");
  if (stage.reduces && !stage.after.empty())
    return Refusal{Reason::kNotInThisVersion,
                   where +
                       "a reduce step that comes after more than the outputs it reads: not in "
                       "this version"};
  for (const After& after : stage.after) {
    if (after.job) continue;
    if (after.stage >= id) return invalid(where + "it can come only after stages before it");
    const IndexList& theirs = job.stages[after.stage].indices;
    if (after.element_wise && theirs != stage.indices)
      return invalid(where + "task by task after stage " + std::to_string(after.stage) +
                     ", which has the tasks " + theirs.to_string().substr(0, 80) +
                     "; its own are " + stage.indices.to_string().substr(0, 80) +
                     ": they must be the same");
  }
  return std::nullopt;
}

std::optional<Refusal> check_times(const StageSpec& stage, const std::string& where) {
  const RetryDelay& delay = stage.retry_delay;
  if (delay.first.count() < 0 || delay.max.count() < 0 || stage.start_within.count() < 0)
    return invalid(where + "a time below zero");
  if (delay.first > kRetryDelayMax || delay.max > kRetryDelayMax)
    return invalid(where + "a retry is delayed by at most 31 days");
  if (delay.max.count() > 0 && delay.max < delay.first)
    return invalid(where + "the longest delay of a retry is shorter than the first");
  if (delay.factor_milli < 1000 || delay.factor_milli > kRetryFactorMilliMax)
    return invalid(where + "the delay of a retry grows by a factor from 1 to 100");
  return std::nullopt;
}

std::optional<Refusal> check_labels(const PoolSpec& spec) {
  if (spec.labels.size() > kLabelsMax)
    return invalid("more than " + std::to_string(kLabelsMax) + " labels");
  for (const std::string& label : spec.labels) {
    if (!is_label(label)) return invalid("a label is a word like fast or rack=7");
    if (label.starts_with(kOwnLabelPrefix))
      return invalid("label " + label + ": those that begin with leat: are found out by agents");
  }
  return std::nullopt;
}

std::optional<Refusal> check_stage_name(const JobSpec& job, std::size_t id,
                                        const std::string& where) {
  const std::string& name = job.stages[id].name;
  if (name.empty()) return std::nullopt;
  if (name.size() > kStageNameBytesMax)
    return invalid(where + "its name is longer than " + std::to_string(kStageNameBytesMax) +
                   " bytes");
  if (!is_printable(name)) return invalid(where + "its name contains control characters");
  const auto same = std::find_if(job.stages.begin(), job.stages.begin() + static_cast<long>(id),
                                 [&name](const StageSpec& other) { return other.name == name; });
  const auto other = static_cast<std::size_t>(same - job.stages.begin());
  if (other < id)
    return invalid(where + "stage " + std::to_string(other) + " has the name \"" + name +
                   "\", too");
  return std::nullopt;
}

std::optional<Refusal> check_stage(const JobSpec& job, std::size_t id) {
  const StageSpec& stage = job.stages[id];
  const std::string where = "stage " + std::to_string(id) + ": ";
  if (auto refusal = check_stage_name(job, id, where)) return refusal;
  if (stage.indices.empty()) return invalid(where + "it has no tasks");
  if (stage.resources.gpus > kGpusMax)
    return invalid(where + "more than " + std::to_string(kGpusMax) + " gpus");
  if (stage.resources.millicores == 0) return invalid(where + "a task needs at least 0.001 cpus");
  if (stage.nodes == 0) return invalid(where + "a gang needs at least one node");
  if (stage.nodes > kGangNodesMax)
    return invalid(where + "a gang of more than " + std::to_string(kGangNodesMax) + " nodes");
  if (stage.nodes > 1 && !stage.gang) return invalid(where + "a task on several nodes is a gang");
  if (stage.gang && stage.reduces)
    return Refusal{Reason::kNotInThisVersion,
                   where + "a reduce step on several nodes: not in this version"};
  if (stage.retries > kRetriesMax)
    return invalid(where + "more than " + std::to_string(kRetriesMax) + " retries");
  const bool negative =
      stage.time_limit.count() < 0 || stage.grace.count() < 0 || stage.lease.count() < 0;
  if (negative) return invalid(where + "a time below zero");
  if (auto refusal = check_times(stage, where)) return refusal;
  if (auto refusal = check_after(job, id, where)) return refusal;
  if (!stage.reduces) return std::nullopt;
  const ReduceInput& input = *stage.reduces;
  if (input.stage >= id) return invalid(where + "a reduce must follow what it reduces");
  if (input.width == 0) return invalid(where + "the reduce width must be at least 1");
  const std::uint64_t inputs = job.stages[input.stage].indices.size();
  if (stage.indices.size() != (inputs - 1) / input.width + 1)
    return invalid(where + "its number of tasks does not match its inputs and width");
  for (std::size_t other = 0; other < id; ++other)
    if (job.stages[other].reduces && job.stages[other].reduces->stage == input.stage)
      return invalid(where + "its inputs are reduced twice");
  return std::nullopt;
}

}  // namespace

Duration RetryDelay::after(std::uint32_t failures) const {
  const Duration limit = max.count() > 0 ? max : kRetryDelayMax;
  Duration delay = first;
  // Grows to the limit within a few thousand steps at most, or not at all.
  for (std::uint32_t n = 1; n < failures && factor_milli > 1000 && delay < limit; ++n)
    delay =
        Duration(delay.count() / 1000 * factor_milli + delay.count() % 1000 * factor_milli / 1000);
  return delay < limit ? delay : limit;
}

Time StageSpec::over_by(Time start, std::uint64_t rounds) const {
  if (time_limit.count() <= 0 || start == kNever || rounds == 0) return kNever;
  const auto left = static_cast<std::uint64_t>((kNever - start).count());
  const std::uint64_t span = static_cast<std::uint64_t>(time_limit.count()) +
                             static_cast<std::uint64_t>(std::max<std::int64_t>(grace.count(), 0));
  if (span > left / rounds) return kNever;
  return start + Duration(static_cast<std::int64_t>(span * rounds));
}

bool RetryOn::matches(Outcome outcome, std::int32_t code) const {
  if (!only) return true;
  if (outcome == Outcome::kExit)
    return code >= 0 && code < 256 &&
           ((codes[static_cast<std::size_t>(code) / 64] >> (code % 64)) & 1) != 0;
  if (outcome == Outcome::kSignal) return code > 0 && code < 64 && ((signals >> code) & 1) != 0;
  const auto number = static_cast<unsigned>(outcome);
  return number < 64 && ((outcomes >> number) & 1) != 0;
}

std::optional<Refusal> check_job_name(const std::string& name) {
  return check_name("job name", name);
}

std::optional<Refusal> check_times(const PoolSpec& spec) {
  if (spec.idle_timeout.count() < 0) return invalid("an idle timeout below zero");
  if (spec.idle_timeout > kPoolTimeMax) return invalid("an idle timeout of more than a year");
  if (spec.join_deadline < kJoinDeadlineMin)
    return invalid("a join deadline below 1 second: no node joins so soon");
  if (spec.join_deadline > kPoolTimeMax) return invalid("a join deadline of more than a year");
  return std::nullopt;
}

std::optional<Refusal> check(const JobSpec& spec) {
  if (auto refusal = check_name("job name", spec.name)) return refusal;
  if (spec.labels.size() > kLabelsMax)
    return invalid("more than " + std::to_string(kLabelsMax) + " required labels");
  if (spec.stages.empty()) return invalid("the job has no stages");
  if (spec.stages.size() > kStagesPerJobMax)
    return invalid("more than " + std::to_string(kStagesPerJobMax) + " stages");
  std::uint64_t tasks = 0;
  for (std::size_t id = 0; id < spec.stages.size(); ++id) {
    if (auto refusal = check_stage(spec, id)) return refusal;
    tasks += spec.stages[id].indices.size();
    if (tasks > kTasksPerJobMax) return invalid("more than 4294967296 tasks in one job");
  }
  if (spec.result_stage < -1 || spec.result_stage >= static_cast<std::int32_t>(spec.stages.size()))
    return invalid("the result stage does not exist");
  if (spec.result_stage >= 0 &&
      spec.stages[static_cast<std::size_t>(spec.result_stage)].indices.size() != 1)
    return invalid("the result stage must have one task");
  return std::nullopt;
}

std::optional<Refusal> check(const PoolSpec& spec) {
  if (spec.name.empty()) return invalid("the pool has no name");
  if (auto refusal = check_name("pool name", spec.name)) return refusal;
  if (spec.nodes.max > kNodesPerPoolMax)
    return invalid("more than " + std::to_string(kNodesPerPoolMax) + " nodes in a pool");
  if (auto refusal = check_labels(spec)) return refusal;
  if (spec.nodes.max == 0) return invalid("a pool needs at least 1 node, or a maximum of 1");
  if (spec.nodes.min > spec.nodes.max)
    return invalid("a minimum of " + std::to_string(spec.nodes.min) +
                   " nodes is more than the maximum of " + std::to_string(spec.nodes.max));
  if (auto refusal = check_times(spec)) return refusal;
  if (spec.provider != "local" && spec.provider != kStaticProvider)
    return Refusal{
        Reason::kNotInThisVersion,
        "provider \"" + spec.provider + "\": not in this version; use \"local\" or \"static\""};
  return std::nullopt;
}

}  // namespace leat::core
