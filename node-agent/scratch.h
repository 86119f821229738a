#pragma once

// scratch.h - LEAT_TASK_DIR, a directory for each slot or for each task that asks for it; and
// LEAT_CHECKPOINT_DIR.

#include <set>
#include <string>

#include "base/ids.h"
#include "node-agent/messages.h"
#include "node-agent/slot_pool.h"
#include "node-agent/trash.h"

namespace leat::agent {

// A slot's directory is used by one task after the other and emptied only if something is in it;
// a task's own stays until its job is released. Thread: any one; calls block on a local disk.
class Scratch {
 public:
  explicit Scratch(const std::string& node_directory);

  // The directory for a run, empty. Empty text: it cannot be made.
  std::string prepare(const RunId& run, Slot slot, bool own_directory);
  // Where the attempts at a task leave what the next shall find: below `own`, a directory of the
  // user's, or here until the job is forgotten. A name only: a task that wants it makes it.
  std::string checkpoint_directory(const RunId& run, const std::string& own) const;
  void forget(JobId job);

  // Removes some of what was left behind; false when nothing is left.
  bool clean_step() { return trash_.step(); }
  bool is_clean() const { return trash_.empty(); }

 private:
  std::string root_;
  Trash trash_;
  std::set<Slot> made_;
};

}  // namespace leat::agent
