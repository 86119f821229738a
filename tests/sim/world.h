#pragma once

// world.h - a virtual cluster: one disk, heads that die, nodes that come and go, users.
//
// Production code in it: the core, the engine with its loop and agent links, the agent's core, and
// the codecs of facts, snapshots and messages. Everything else is here, and is driven by a seed.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/sim/disk.h"
#include "tests/sim/events.h"
#include "tests/sim/gang_watch.h"
#include "tests/sim/head.h"
#include "tests/sim/network.h"
#include "tests/sim/node.h"
#include "tests/sim/pool_walk.h"
#include "tests/sim/provider.h"
#include "tests/sim/waits.h"
#include "transport/ticket.h"

namespace leat::sim {

// Deliberate faults in Leat itself, made at its ports; the simulation must notice each.
enum class Mutant : std::uint8_t {
  kNone,
  kAcknowledgeEarly,  // before the facts are on disk
  kCountStale,        // a report of an old attempt passes for news about the newest
  kForgetEpoch,       // orders of an older session are carried out
  kEvacuateLater,     // outputs are said to be in leat-store before they are
};

// What tasks themselves leave behind: evidence from outside the schedulers' own books.
class Evidence {
 public:
  void launched(NodeRef node, const RunId& run, bool first);
  void succeeded(NodeRef node, const RunId& run) {
    ++successes_[{run.job, run.stage, 0, run.index}];
    ended_well_[run].insert(node);
  }
  std::uint64_t successes(JobId job, StageId stage, Index index) const;
  // Of a gang: the nodes on which this attempt was launched; and whether some attempt ended well on
  // just so many.
  const std::set<NodeRef>& launched_on(const RunId& run) { return launched_on_[run]; }
  bool ended_well_on(JobId job, StageId stage, Index index, std::size_t nodes) const;
  const std::vector<std::string>& complaints() const { return complaints_; }
  std::uint64_t launches() const { return launches_; }
  void complain(std::string what) { complaints_.push_back(std::move(what)); }

 private:
  std::map<RunId, std::uint64_t> successes_;  // attempt 0: any
  std::map<RunId, std::set<NodeRef>> launched_on_;
  std::map<RunId, std::set<NodeRef>> ended_well_;
  std::vector<std::string> complaints_;
  std::uint64_t launches_ = 0;
};

struct Plan {
  std::uint64_t seed = 1;
  Mutant mutant = Mutant::kNone;
  unsigned nodes = 8;
  unsigned jobs = 12;
  std::uint64_t tasks_max = 400;  // per job
  Duration chaos{40'000'000};     // how long things go wrong
  Duration heal{600'000'000};     // within which everything must end after that
  bool walk = false;              // the pool is on demand, and people change it all the time
  bool gangs = false;             // every other job is of gangs
  bool stages = false;            // jobs have stages that come after each other, some of gangs
};

// Few jobs in a pool that is changed all the time.
Plan walk_plan(std::uint64_t seed);

class World {
 public:
  explicit World(const Plan& plan);
  ~World();

  // Chaos, then healing, then the books are compared. Empty: all is well.
  std::vector<std::string> run();

  Time now() const { return events_.now(); }
  Events& events() { return events_; }
  Random& random() { return random_; }
  Network& network() { return network_; }
  Evidence& evidence() { return evidence_; }
  Head* head() { return head_.get(); }
  std::uint64_t head_life() const { return head_life_; }
  Mutant mutant() const { return plan_.mutant; }
  bool chaos() const { return chaos_; }
  bool repeats() { return chaos_ && random_.chance(5); }
  Provider& provider() { return provider_; }
  // Nothing if it is dead.
  Node* node(NodeRef ref);
  bool gangs() const { return plan_.gangs; }
  GangWatch* gang_watch() { return gang_watch_.get(); }
  bool alike() const { return plan_.walk; }
  // Called by the provider and by nodes.
  void machine_made(NodeRef ref);
  void machine_died(NodeRef ref) { provider_.died(ref); }
  void about_to_destroy(NodeRef ref);
  void brought_away() { ++evacuations_; }
  // In the middle of something: the agent dies, or its machine, or the head.
  void strike(Node& node);

  Duration task_length(const RunId& run);
  bool task_fails(const RunId& run);
  agent::BlobRef store(const Coverage& result);

  // What the mutants do.
  void make_fresh(core::ReportEnded& report);
  void replay_old_start(Node& node, const std::string& bytes);

  struct Figures {
    std::uint64_t heads = 0, agents = 0, nodes = 0, seals = 0, launches = 0, facts = 0;
    std::uint64_t machines = 0, evacuations = 0;
  };
  Figures figures() const;

 private:
  struct User {
    std::string key;
    core::JobSpec spec;
    std::optional<JobId> job;  // as answered
    bool cancels = false;
    std::uint64_t tasks = 0;
    Waits waits;
    bool hold_granted = false;  // as answered
    bool ready = false;         // the spec names what the job comes after
  };

  void start_head();
  void kill_head();
  core::PoolSpec make_pool() const;
  void one_fault();
  void kill_agent(Node& node);
  void kill_node(Node& node);
  void schedule_faults();
  void submit(std::size_t user);
  void cancel(std::size_t user);
  bool prepare(std::size_t user);
  void refused(std::size_t user, const Refusal& refusal);
  void hold(std::size_t user, bool release);
  void check_order(const RunId& run);
  std::string what_is_left();
  void check_books();
  void check_job(const User& user);
  void check_stages(const User& user, const core::Job& job);
  bool all_over();
  core::JobSpec make_job(std::size_t n);

  Plan plan_;
  Random random_;
  Events events_;
  Disk disk_;
  std::string directory_;
  std::unique_ptr<transport::TicketSigner> signer_;
  Evidence evidence_;
  Network network_;
  Provider provider_;
  std::map<NodeRef, std::unique_ptr<Node>> nodes_;
  std::unique_ptr<PoolWalk> walk_;
  std::unique_ptr<GangWatch> gang_watch_;
  std::vector<std::unique_ptr<Node>> dead_;
  std::vector<User> users_;
  std::vector<Coverage> results_;
  std::map<NodeRef, std::string> old_starts_;
  bool chaos_ = true;
  std::uint64_t head_life_ = 0;
  std::uint64_t agents_killed_ = 0;
  std::uint64_t nodes_killed_ = 0;
  std::uint64_t facts_ = 0;
  std::uint64_t evacuations_ = 0;
  std::unique_ptr<Head> head_;  // last: its promises use all of the above
};

}  // namespace leat::sim
