#include "node-agent/task_environment.h"

#include <algorithm>
#include <array>

namespace leat::agent {
namespace {

// Set by Leat: a program's own value would be that of the job it was submitted from.
constexpr std::string_view kCheckpoints = "LEAT_CHECKPOINT_DIR";
constexpr std::array<std::string_view, 17> kOurs{
    "LEAT_JOB_ID",          "LEAT_STAGE",     "LEAT_TASK_COUNT", "LEAT_POOL",     "LEAT_NODE",
    "LEAT_TASK_INDEX",      "LEAT_ATTEMPT",   "LEAT_CPUS",       "LEAT_TASK_DIR", "LEAT_ENTRY",
    "LEAT_INPUT",           "LEAT_RUN_TOKEN", "LEAT_HOME",       "LEAT_GPUS",     "LEAT_DEADLINE",
    "LEAT_PROGRESS_SOCKET", kCheckpoints};

}  // namespace

bool set_by_leat(std::string_view name) {
  return std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end();
}

warden::StringBlock stage_environment(const StartSet& stage, const NodePlace& place) {
  warden::StringBlock block;
  bool has_path = false;
  for (const auto& [name, value] : stage.spec->program.environment) {
    if (set_by_leat(name)) continue;
    has_path = has_path || name == "PATH";
    block.add(name, value);
  }
  if (!has_path) block.add("PATH", kPathDefault);
  block.add("LEAT_JOB_ID", std::to_string(stage.runs.stage.job.value));
  block.add("LEAT_STAGE", std::to_string(stage.runs.stage.stage));
  block.add("LEAT_TASK_COUNT", std::to_string(stage.task_count));
  block.add("LEAT_POOL", place.pool);
  block.add("LEAT_NODE", std::to_string(place.node.value));
  if (!place.progress_socket.empty()) block.add("LEAT_PROGRESS_SOCKET", place.progress_socket);
  return block;
}

std::string own_checkpoints(const StageSpec& spec) {
  for (const auto& [name, value] : spec.program.environment)
    if (name == kCheckpoints) return value;
  return {};
}

warden::StringBlock task_environment(const RunId& run, const TaskShare& share, Inputs::Use use,
                                     const std::optional<std::string>& text) {
  warden::StringBlock block;
  block.add("LEAT_TASK_INDEX", std::to_string(run.index));
  block.add("LEAT_ATTEMPT", std::to_string(run.attempt));
  block.add("LEAT_CPUS", std::to_string(share.cpus));
  block.add("LEAT_TASK_DIR", share.directory);
  block.add(kCheckpoints, share.checkpoints);
  if (share.gpus) {
    block.add("LEAT_GPUS", *share.gpus);
    block.add("CUDA_VISIBLE_DEVICES", *share.gpus);
  }
  const std::optional<std::string> entry = text ? entry_of(*text) : std::nullopt;
  if (entry) block.add(use == Inputs::Use::kStream ? "LEAT_ENTRY" : "LEAT_INPUT", *entry);
  return block;
}

std::optional<std::string> entry_of(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.size() >= kEntryBytesMax || line.find('\0') != std::string_view::npos)
    return std::nullopt;
  return std::string(line);
}

}  // namespace leat::agent
