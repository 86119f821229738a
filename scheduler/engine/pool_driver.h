#pragma once

// pool_driver.h - the hands of the pools of one provider: makes and ends the nodes that the core
// wants, and tells the core what became of them.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "pools/provider.h"
#include "scheduler/core/messages.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/engine_loop.h"
#include "scheduler/engine/log.h"
#include "scheduler/engine/tickets.h"
#include "transport/token.h"

namespace leat::engine {

// Where new nodes find the head, and what they trust.
struct PoolSite {
  std::string provider;  // the name by which pools ask for it: "local"
  std::string cluster_id;
  std::string agent_address;
  std::string enrol_address;
  transport::Bytes authority_der;
  bool mock = false;  // agents without processes, for benchmarks
};

// What is kept of the secret of a join token.
core::Hash kept_hash(std::span<const std::byte> secret);

// The world of a driver; all but the functions are borrowed.
struct PoolServices {
  Engine& engine;
  pools::Provider& provider;
  kj::Timer& timer;
  Clock clock;
  WallClock wall_clock;
  std::function<transport::Secret()> new_secret;
  Log log;
};

// Decides nothing: how many nodes there should be, and which are to go, are facts by the time it
// acts. Wishes first, deeds after: a node is requested (a fact), then made by the provider (an
// effect); given up (a fact), then ended. Every call may be repeated, and is, until its answer is
// known; what the provider cannot tell changes nothing.
//
// Secrets of join tokens are in memory only, so a requested node that the provider has not got when
// the head starts again can never come: it is given up, and another takes its place.
//
// Thread: engine loop.
class PoolDriver final : private kj::TaskSet::ErrorHandler {
 public:
  // How often the core is asked whether a pool should grow.
  static constexpr kj::Duration kLookInterval = 250 * kj::MILLISECONDS;
  // How often what there is is compared with what there should be.
  static constexpr kj::Duration kListInterval = 30 * kj::SECONDS;
  // Before the provider is asked again what it could not answer; then twice that, up to the
  // longest.
  static constexpr kj::Duration kAskAgain = 2 * kj::SECONDS;
  static constexpr kj::Duration kAskAgainLongest = 30 * kj::SECONDS;
  // A call without an answer for so long has none.
  static constexpr kj::Duration kCallDeadline = 2 * kj::MINUTES;
  // Calls of create and destroy that may be under way, each.
  static constexpr std::size_t kCallsAtOnce = 64;
  // Good listings in a row without a node that is not heard from either, and it is gone.
  static constexpr unsigned kMissesForGone = 2;

  PoolDriver(PoolServices services, PoolSite site);

  // Once the head has started: compares what should be with what is, then keeps the pools.
  void start();

  // Requests what is missing. Call after a pool was set.
  void adjust();

  // CreateNode and DeleteNode; other effects are left alone.
  void carry_out(const core::Effect& effect);

  // Ends every node, for good; resolves when the provider has none left. No node is replaced.
  kj::Promise<void> stop();

 private:
  // Calls of one kind: a bounded number at a time, each repeated until it has an answer.
  struct Calls {
    std::deque<NodeRef> waiting;
    std::map<NodeRef, kj::Duration> pauses;  // of all that wait, run or pause: before the next try
    std::size_t running = 0;
  };

  bool ours(const core::Node& node) const;
  kj::Promise<void> look_forever();
  kj::Promise<void> list_forever();
  void compare(const std::vector<pools::Instance>& instances);
  // Of a node that a good listing does not name.
  void miss(const core::Node& node);
  kj::Promise<void> follow_changes();
  void request(PoolId pool, std::uint32_t count);
  void order(const core::CreateNode& effect);
  void create_next();
  void created(NodeRef ref, const Result<Done>& made);
  void want_destroyed(NodeRef ref);
  void destroy_next();
  void destroyed(NodeRef ref, const Result<Done>& ended);
  // Nobody knows what came of the call: it is made again.
  void try_again(Calls& calls, NodeRef ref, void (PoolDriver::*next)());
  void gone(NodeRef ref, const std::string& proof);
  void taskFailed(kj::Exception&& exception) override;

  PoolServices services_;
  PoolSite site_;
  bool stopping_ = false;
  std::set<PoolId> requesting_;                      // RequestNodes is under way
  std::map<core::Hash, transport::Secret> secrets_;  // of nodes not ordered yet
  std::map<NodeRef, pools::NodeOrder> orders_;       // create() has not been answered
  std::set<NodeRef> ours_to_make_;  // ordered in this life of the head, and not gone
  Calls creates_;
  Calls destroys_;
  std::set<NodeRef> ended_;  // by destroy(), and not yet proved gone
  std::set<NodeRef> fresh_;  // made since the listing that is under way began
  std::map<NodeRef, unsigned> misses_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
