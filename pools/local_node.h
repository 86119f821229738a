#pragma once

// local_node.h - what LocalPool remembers of one node. Only for the sources of LocalPool.

#include <kj/async.h>
#include <kj/time.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pools/local_pool.h"

namespace leat::pools {

struct LocalPool::Node {
  NodeRef ref;
  std::string directory;
  InstanceState state = InstanceState::kAlive;
  std::optional<CoreShare> cores;
  GpuShare gpus;
  bool mock = false;
  std::optional<int> watch;  // inotify's

  std::unique_ptr<Process> agent;   // null: none known to live
  std::unique_ptr<Process> warden;  // likewise
  bool warden_seen = false;         // there was one, in this life of ours or an earlier one
  bool boot_is_over = false;        // the machine was restarted under it: all is dead

  std::optional<int> agent_exit;  // of the last one, where we were its parent
  kj::TimePoint agent_started_at = kj::origin<kj::TimePoint>();
  int starts_in_row = 0;
  bool restart_planned = false;
  bool agent_kill_planned = false;
  bool warden_end_planned = false;

  bool ending = false;  // destroy() is at work: nothing is started again
  std::vector<kj::Own<kj::PromiseFulfiller<Result<Done>>>> enders;
};

// Writes it into the node's agent.json unless it stands there.
Result<Done> set_head_address(const std::string& directory, const std::string& address);

}  // namespace leat::pools
