#pragma once

// pool_walk.h - people who change a pool all the time, and somebody who watches what comes of it.

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/ids.h"
#include "base/time.h"

namespace leat::sim {

class Node;
class World;

// Watches from outside, by the head's state and the provider's machines:
//   - no more machines than the largest maximum that was in force;
//   - no run and no output that is still needed is on a machine that is ended;
//   - no machine is ended with outputs that are not in leat-store, unless its agent has said that
//   it
//     cannot bring them there, or is away for too long;
//   - a node that is given up is gone after a while;
//   - no node idles beside work that it could take for longer than kIdleBesideWorkMax;
//   - nobody waits for a node that is not bought, though it might be.
class PoolWalk {
 public:
  static constexpr Duration kIdleBesideWorkMax{5'000'000};
  static constexpr Duration kNotBoughtMax{5'000'000};
  static constexpr Duration kLookInterval{250'000};
  static constexpr Duration kGoneWithin{300'000'000};

  explicit PoolWalk(World& world);

  // The pool as it is created.
  static const char* name() { return "walk"; }
  std::uint32_t first_min() const { return min_; }
  std::uint32_t first_max() const { return max_; }

  // People are done: what they have closed is opened, the size is as it was.
  void calm();
  // Everything is over: the pool is deleted. Complains if anything is left after a while.
  void finish();

  void about_to_destroy(NodeRef ref);
  void machine_made();

 private:
  void act_later();
  void act();
  void resize(bool requeue);
  void speak_of_a_node();
  void look();
  void look_at_idle_nodes();
  void look_at_what_waits();
  // evacuation.cc
  void check_outputs(const Node& machine);
  void look_at_nodes_that_go();

  World& world_;
  std::uint32_t min_ = 0;
  std::uint32_t max_ = 0;
  std::uint32_t max_ever_ = 0;
  std::uint64_t calls_ = 0;
  unsigned calmed_ = 0;
  std::set<NodeRef> forced_;  // removed while lost, with what ran there
  std::map<NodeRef, Time> idle_since_;
  Time not_bought_since_ = kNever;
  std::uint64_t head_life_ = 0;
};

}  // namespace leat::sim
