#pragma once

// node.h - one virtual node: a warden with processes, an agent with the production core, a log.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "node-agent/agent_core.h"
#include "node-agent/messages.h"
#include "tests/sim/coverage.h"

namespace leat::sim {

class World;

// Processes and outputs live as long as the node; the agent dies more often.
class Node {
 public:
  Node(World& world, NodeRef ref, std::uint32_t cores) : world_(world), ref_(ref), cores_(cores) {}

  NodeRef ref() const { return ref_; }
  std::uint32_t cores() const { return cores_; }
  // Which Open MPI the machine has. The pool that grows buys machines that are all alike.
  std::uint32_t mpi() const;
  Resources capacity() const { return {cores_ * 1000, 0, 1, {{"licence", 2}}}; }
  bool alive() const { return alive_; }
  bool booted() const { return booted_; }  // before that it is a machine without an agent
  bool agent_alive() const { return core_ != nullptr; }
  std::uint64_t running() const { return processes_.size(); }
  std::vector<RunId> processes() const {
    std::vector<RunId> runs;
    for (const auto& [run, process] : processes_) runs.push_back(run);
    return runs;
  }

  // The machine starts; the machine dies with all that is on it.
  void boot();
  void die();
  void start_agent();
  void kill_agent();
  // Out of reach of the network until then.
  void isolate(Time until);
  bool isolated() const;

  // --- called by the network, with messages that have arrived ---
  void welcome(std::uint64_t connection, std::uint64_t session, HeadEpoch epoch);
  void refused();
  void hung_up(std::uint64_t connection);
  // Raw bytes of a StartBatch, as the head's link wrote them.
  // Returns the gangs whose first member has been begun here.
  std::vector<RunId> start(const std::string& bytes);
  void end(HeadEpoch epoch, const std::string& bytes);
  void withdraw(HeadEpoch epoch, StageRef stage, std::uint64_t count);
  void release(HeadEpoch epoch, std::vector<JobId> jobs);
  void evacuate(HeadEpoch epoch);
  void acknowledged(std::uint64_t connection, std::uint64_t batch);

  std::vector<agent::RunSet> live() const { return core_->live(); }
  std::uint64_t connection() const { return connection_; }
  // Of a run that ended well here; nothing if there is none.
  const Coverage* output(const RunId& run) const;
  // Outputs that are nowhere but here.
  std::size_t at_stake() const { return at_stake_.size(); }
  // It said, the last time, that it could not bring its outputs away; or it hangs.
  bool gave_up() const { return gave_up_; }

 private:
  struct Process {
    agent::Launch launch;
    bool ordered = false;  // told to end
    bool dead = false;
  };

  void connect_later();
  void act();
  void launch(const agent::Launch& launch);
  void check_room() const;
  void run(const RunId& run, std::optional<Coverage> input);
  std::optional<Coverage> fetch(const RunId& run);
  void exit_with_the_others(const RunId& run, agent::RunResult result,
                            std::optional<Coverage> output);
  void exit(const RunId& run, agent::RunResult result, std::optional<Coverage> output);
  void tell_exit(const RunId& run);
  void report();
  // evacuation.cc
  void bring_outputs_away();

  enum class Evacuation : std::uint8_t { kNone, kAsked, kUnderWay };

  struct Exit {
    agent::RunResult result;
    bool ordered = false;
    std::optional<agent::BlobRef> stored;
  };

  World& world_;
  NodeRef ref_;
  std::uint32_t cores_;
  bool alive_ = true;
  bool booted_ = false;
  std::uint64_t agent_life_ = 0;
  std::uint64_t connection_ = 0;  // 0: none
  Time isolated_until_;
  bool connecting_ = false;

  // The warden's: survives the agent.
  std::map<RunId, Process> processes_;
  std::map<RunId, std::size_t> gang_sizes_;
  std::map<RunId, Exit> unconfirmed_;
  std::map<RunId, Coverage> outputs_;
  std::set<RunId> at_stake_;  // outputs that leat-store does not have
  bool gave_up_ = false;
  std::set<RunId> launched_;  // evidence: nothing may be launched twice

  // The agent's log.
  std::map<StageRef, std::shared_ptr<const agent::StageSpec>> log_stages_;
  std::map<RunId, Exit> log_ended_;
  HeadEpoch log_epoch_;

  // The agent's memory.
  std::unique_ptr<agent::AgentCore> core_;
  std::map<RunId, agent::TaskInputs> inputs_;
  std::set<StageRef> result_stages_;
  Evacuation evacuation_ = Evacuation::kNone;
};

}  // namespace leat::sim
