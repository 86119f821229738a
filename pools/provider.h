#pragma once

// provider.h - who supplies nodes: create, destroy, list, and word of what changed.
//
// A provider knows nothing of jobs. The head records its intent before it calls, and a NodeRef
// never repeats; so every call may be repeated, also by the next life of the head.

#include <kj/async.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace leat::pools {

// Everything a new node needs to know to find and join its head.
struct NodeOrder {
  NodeRef node;
  std::string pool;
  std::uint32_t millicores = 0;       // its share of the machine; 0: all of it
  std::uint64_t memory_bytes = 0;     // 0: all of it
  std::optional<std::uint32_t> gpus;  // devices of its own; none: as its agent finds
  std::vector<std::pair<std::string, std::uint64_t>> counters;  // resources that have only a name
  bool keeps_memory_limits = true;                              // where the machine can
  std::string cluster_id;
  std::string agent_address;  // host:port, numeric: where agents join the head
  std::string enrol_address;
  std::vector<std::string> labels;
  std::string token;  // encode_token(): spent once, kept in a 0600 file until then
  bool mock = false;  // the agent answers runs without processes, for benchmarks
};

enum class InstanceState : std::uint8_t {
  kAlive,      // its agent runs; warden_pid is 0 until its warden has started
  kAgentDead,  // its warden and tasks, if any, live on; an agent is being started again
  kGone,       // proved: no process of this node is left, and none will be
};

struct Instance {
  NodeRef node;
  InstanceState state = InstanceState::kAlive;
  pid_t agent_pid = 0;
  pid_t warden_pid = 0;
};

// One step in the life of an instance. `proof` says in a line how we know, for `leat why`.
struct InstanceChange {
  Instance instance;
  std::string proof;
};

// Thread: the loop, all members. Promises are rejected only when a machine fails (kj::Exception);
// what the provider will not do is a Refusal.
class Provider {
 public:
  virtual ~Provider() noexcept(false) = default;

  // Makes the node and answers when its agent has been started, not when it has joined. Repeating
  // it for a node that is there changes nothing but a moved head and an unspent token. Refused with
  // kConflict for a node that was created and is gone: a NodeRef lives once.
  virtual kj::Promise<Result<Done>> create(NodeOrder order) = 0;

  // Ends the node's tasks, warden and agent, by force after a deadline, and forgets the node. Done
  // also for a node that is not there. Answers when no process of it is left, and none will be: an
  // order for this NodeRef that is still on its way makes nothing any more.
  virtual kj::Promise<Result<Done>> destroy(NodeRef node) = 0;

  // Every instance there is. A refusal means that nobody knows: it changes nothing. A node whose
  // create() was answered and that a good listing does not name is gone.
  virtual kj::Promise<Result<std::vector<Instance>>> list() = 0;

  // Everything that happened since the last answer, oldest first, never empty. One caller at a
  // time; what happens between two calls is kept. Deaths are in it, destroy()'s own are not.
  virtual kj::Promise<std::vector<InstanceChange>> changes() = 0;

  // The head's agent port is at another address than when the nodes were ordered: tells those that
  // can be told. For a head that was restarted without its port.
  virtual void head_moved(const std::string& agent_address) = 0;
};

}  // namespace leat::pools
