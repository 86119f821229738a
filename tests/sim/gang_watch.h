#pragma once

// gang_watch.h - somebody who watches the gangs of a virtual cluster.

#include <map>
#include <set>
#include <utility>

#include "base/ids.h"
#include "base/time.h"

namespace leat::sim {

class World;

// Watches, by the head's state and the processes on its machines:
//   - a gang is never launched on a node that is not one of its own, nor on more than it wants;
//   - no attempt at a gang lives on a node that the head hears of while a later one has been
//     launched, for longer than it takes to end it;
//   - where all its nodes are there, all of its members are launched, or none.
class GangWatch {
 public:
  static constexpr Duration kLookInterval{250'000};
  static constexpr Duration kPatience{20'000'000};

  explicit GangWatch(World& world);

 private:
  void look();
  void look_at_attempts();
  void look_at_members();

  World& world_;
  std::uint64_t head_life_ = 0;
  std::map<std::pair<NodeRef, RunId>, Time> outlived_;  // since when
  std::map<RunId, Time> partial_;
};

}  // namespace leat::sim
