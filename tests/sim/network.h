#pragma once

// network.h - connections between agents and the head: slow, cut at any time, repeating.

#include <kj/async.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "node-agent/messages.h"
#include "schema/agent.capnp.h"
#include "tests/sim/head.h"

namespace leat::sim {

class Node;
class World;

// Within a connection messages arrive in order, or the connection is cut: then what was on its
// way is lost, and each side hears of it at its own time. Now and then a message comes twice.
class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  // Dials for `node`: a join is under way. 0 if there is no head to be reached.
  std::uint64_t connect(Node& node);
  // `by_head`: it has hung up, and need not be told.
  void cut(std::uint64_t connection, bool by_head = false);
  // The head is gone, and every connection with it.
  void cut_all();

  void report(std::uint64_t connection, Node& node, const agent::ReportBatch& batch);
  // What came of bringing outputs away (evacuation.cc).
  void evacuated(std::uint64_t connection, bool stored);
  // Since the node's last session has lost its connection; 0 if it has one, or never had.
  Duration away_for(NodeRef node) const;

  // An order of the head: `deliver` runs at the agent, then the answer goes back.
  kj::Promise<void> to_agent(std::uint64_t connection, std::function<void(Node&)> deliver);

 private:
  struct Connection {
    NodeRef node;
    std::uint64_t session = 0;  // 0: not joined yet
    Time agent_side;            // when the newest message to the agent arrives
    Time head_side;
    std::uint64_t calls = 0;
    std::map<std::uint64_t, kj::Own<kj::PromiseFulfiller<void>>> unanswered;
  };

  Connection* find(std::uint64_t id);
  Node* node_of(std::uint64_t id);
  // In order: never before what was sent earlier.
  Time arrival(Time& last);
  bool is_connected(NodeRef node) const;
  void join(std::uint64_t id);
  // The session of a node that joins; 0 if it is turned away.
  std::uint64_t session_for(std::uint64_t id, NodeRef node, const Result<core::Answer>& answer);
  void joined(std::uint64_t id, const core::NodeReport& report, std::vector<core::RunSet> live,
              const Result<core::Answer>& answer);
  void take_report(std::uint64_t id, std::uint64_t batch, const std::string& bytes);
  // Chance has it that the connection breaks now.
  bool breaks(std::uint64_t id);

  World& world_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Connection> connections_;
  std::map<NodeRef, Time> left_;  // the newest end of a connection with a session
};

}  // namespace leat::sim
