#pragma once

// messages.h - everything that goes into the core and everything that comes out of it.
//
// A Command is a wish from outside. A Fact is what the core made of it: the only thing that
// changes state and the only thing that is stored. An Effect is what a shell has to do once its
// fact is on disk.

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "scheduler/core/commands.h"
#include "scheduler/core/facts.h"

namespace leat::core {

// Give these runs to the node's agent. Idempotent: runs it knows, it ignores.
struct StartRuns {
  NodeRef node;
  RunSet runs;
  std::uint32_t claims = 0;
  // Of a gang, whose only run this is then: the nodes of its members, in their order.
  std::shared_ptr<const std::vector<NodeRef>> gang = nullptr;
};
// End these runs on the node; `why` is kCancelled, or kWithdrawn for runs nobody wants.
struct EndRuns {
  NodeRef node;
  RunSet runs;
  Outcome why = Outcome::kCancelled;
  Duration grace{0};
};
// Have the provider make this node. Idempotent by NodeRef.
struct CreateNode {
  NodeRef node;
  PoolId pool;
};
// The node is out of the pool: remove what is left of it.
struct DeleteNode {
  NodeRef node;
};
// No reduce needs the outputs of this job any more: tell every node.
struct ReleaseOutputs {
  JobId job;
};
// Somebody may be watching.
struct JobChanged {
  JobId job;
};

// Ask a node to give back up to `count` runs that have not started.
struct Withdrawal {
  NodeRef node;
  StageRef stage;
  std::uint64_t count = 0;
};

using Effect = std::variant<StartRuns, EndRuns, CreateNode, DeleteNode, ReleaseOutputs, JobChanged,
                            Withdrawal>;
using Effects = std::vector<Effect>;

}  // namespace leat::core
