#pragma once

// task_environment.h - what a task finds in its environment.
//
// Exactly the program's own environment and what Leat adds; nothing of the agent's.

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "node-agent/messages.h"
#include "node-agent/warden/string_block.h"

namespace leat::agent {

inline constexpr std::string_view kPathDefault = "/usr/local/bin:/usr/bin:/bin";
// An input line longer than this comes by standard input only.
inline constexpr std::size_t kEntryBytesMax = 128 * 1024;

// What all tasks of a node find.
struct NodePlace {
  std::string pool;
  NodeId node;
  std::string progress_socket;  // empty: there is none
};

// The same for all tasks of a stage: the program's variables, a PATH if it has none, and
// LEAT_JOB_ID LEAT_STAGE LEAT_TASK_COUNT LEAT_POOL LEAT_NODE LEAT_PROGRESS_SOCKET. What Leat sets
// wins.
warden::StringBlock stage_environment(const StartSet& stage, const NodePlace& place);

// The program's own LEAT_CHECKPOINT_DIR, below which its tasks have theirs; empty: it has none.
std::string own_checkpoints(const StageSpec& spec);

// What a task has been given on this node.
struct TaskShare {
  std::uint32_t cpus = 1;
  std::string directory;
  std::string checkpoints;
  std::optional<std::string> gpus;  // a list, perhaps empty; nothing: the node has none
};

// A task's own: LEAT_TASK_INDEX LEAT_ATTEMPT LEAT_CPUS LEAT_TASK_DIR LEAT_CHECKPOINT_DIR, and, if
// it has one line for input, that line: as LEAT_ENTRY, or as LEAT_INPUT where it names a file or is
// an object. On a node with gpus LEAT_GPUS and CUDA_VISIBLE_DEVICES: a task that was given none
// sees none. (LEAT_DEADLINE is the warden's, who knows when the task begins.)
warden::StringBlock task_environment(const RunId& run, const TaskShare& share, Inputs::Use use,
                                     const std::optional<std::string>& text);

// Whether Leat sets this variable, whatever the program's environment says.
bool set_by_leat(std::string_view name);

// The line as a variable, without its end; nothing if it is too long or holds a NUL.
std::optional<std::string> entry_of(std::string_view line);

}  // namespace leat::agent
