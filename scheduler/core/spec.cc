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

std::optional<Refusal> check_stage(const JobSpec& job, std::size_t id) {
  const StageSpec& stage = job.stages[id];
  const std::string where = "stage " + std::to_string(id) + ": ";
  if (stage.indices.empty()) return invalid(where + "it has no tasks");
  if (stage.resources.millicores == 0) return invalid(where + "a task needs at least 0.001 cpus");
  if (stage.retries > kRetriesMax)
    return invalid(where + "more than " + std::to_string(kRetriesMax) + " retries");
  const bool negative =
      stage.time_limit.count() < 0 || stage.grace.count() < 0 || stage.lease.count() < 0;
  if (negative) return invalid(where + "a time below zero");
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

std::optional<Refusal> check(const JobSpec& spec) {
  if (auto refusal = check_name("job name", spec.name)) return refusal;
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
  if (spec.nodes > kNodesPerPoolMax)
    return invalid("more than " + std::to_string(kNodesPerPoolMax) + " nodes in a pool");
  if (spec.nodes == 0) return invalid("a pool of fixed size needs at least 1 node");
  if (spec.provider != "local")
    return Refusal{Reason::kNotInThisVersion,
                   "provider \"" + spec.provider + "\": not in this version; use \"local\""};
  return std::nullopt;
}

}  // namespace leat::core
