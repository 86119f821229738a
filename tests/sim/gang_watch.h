#pragma once

// gang_watch.h - somebody who watches the gangs of a virtual cluster.

#include <map>
#include <set>
#include <utility>

#include "base/ids.h"
#include "base/time.h"
#include "node-agent/agent_core.h"

namespace leat::sim {

class Node;
class World;

// Watches, by the head's state and the processes on its machines:
//   - a gang is never launched on a node that is not one of its own, nor on more than it wants;
//   - no attempt at a gang lives on a node that the head hears of while a later one has been
//     launched, for longer than it takes to end it;
//   - ranks of one attempt that are started through PMIx run on nodes with one Open MPI;
//   - where all its nodes are there, all of its members are launched, or none.
class GangWatch {
 public:
  static constexpr Duration kLookInterval{250'000};
  static constexpr Duration kPatience{20'000'000};

  explicit GangWatch(World& world);

  // A node starts a run, whatever it is.
  void launched(const Node& node, const agent::Launch& launch);

 private:
  void look();
  void look_at_attempts();
  void look_at_members();

  World& world_;
  std::uint64_t head_life_ = 0;
  std::map<std::pair<NodeRef, RunId>, Time> outlived_;  // since when
  std::map<RunId, Time> partial_;
  std::map<RunId, std::uint32_t> mpi_;  // of the nodes of a gang, as the first that started says
};

}  // namespace leat::sim
