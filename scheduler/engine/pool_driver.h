#pragma once

// pool_driver.h - keeps the pools of one provider at the size that is wanted.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <set>
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

// Wishes first, deeds after: a node is requested (a fact), then made by the provider (an effect).
// Secrets of join tokens are in memory only, so a requested node that the provider has not got
// when the head starts again can never come: it is proved gone, and another takes its place.
//
// What the provider cannot tell changes nothing. Thread: engine loop.
class PoolDriver final : private kj::TaskSet::ErrorHandler {
 public:
  static constexpr auto kTokenLife = std::chrono::minutes(15);
  // A node that has not joined so long after it was made is removed.
  static constexpr kj::Duration kJoinDeadline = 60 * kj::SECONDS;
  // A node that lived shorter than this counts as a failure of the pool.
  static constexpr Duration kShortLife = std::chrono::seconds(10);
  // Pause after the second failure in a row; it doubles up to the longest.
  static constexpr kj::Duration kPauseFirst = 1 * kj::SECONDS;
  static constexpr kj::Duration kPauseLongest = 60 * kj::SECONDS;
  // Before the provider is asked again what it could not answer.
  static constexpr kj::Duration kAskAgain = 2 * kj::SECONDS;
  static constexpr std::uint32_t kRequestsAtOnce = 64;

  PoolDriver(PoolServices services, PoolSite site);

  // Once the head has started: compares what should be with what is, then fills the pools.
  void start();

  // Requests what is missing. Call after a pool was set.
  void adjust();

  // CreateNode and DeleteNode; other effects are left alone.
  void carry_out(const core::Effect& effect);

  // Ends every node, for good; resolves when the provider has none left. No node is replaced.
  kj::Promise<void> stop();

 private:
  struct Filling {
    std::uint32_t requests = 0;  // under way
    std::uint32_t failures = 0;  // in a row
    kj::TimePoint not_before = kj::origin<kj::TimePoint>();
    bool timer_set = false;
  };

  bool ours(const core::Node& node) const;
  kj::Promise<void> reconcile();
  void compare(const std::vector<pools::Instance>& instances);
  kj::Promise<void> follow_changes();
  void fill(const core::Pool& pool);
  void request(PoolId pool);
  void create(const core::CreateNode& effect);
  void expect_join(NodeRef ref);
  void remove(NodeRef node, const std::string& proof);
  void gone(NodeRef ref, std::string proof);
  void note_failure(PoolId pool);
  void taskFailed(kj::Exception&& exception) override;

  PoolServices services_;
  PoolSite site_;
  bool reconciled_ = false;
  bool stopping_ = false;
  std::map<PoolId, Filling> filling_;
  std::map<core::Hash, transport::Secret> secrets_;  // of nodes not made yet
  std::set<NodeRef> proving_;                        // ProveGone is under way
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::engine
