#pragma once

// static_pool.h - nodes whose agents people start by hand, on machines that we cannot touch.

#include <kj/async.h>

#include <functional>
#include <vector>

#include "pools/provider.h"

namespace leat::pools {

// What is known of such a node is what its agent says: a connection proves that it lives, and the
// end of one proves nothing. So nothing is ever listed as gone, and no death is told of; a node
// that is away for good is given up by a person, or not at all.
//
// Thread: the loop, all members.
class StaticPool final : public Provider {
 public:
  // Tells the agent, if it is connected, to end its tasks and itself; resolves when it has hung up
  // or there was nobody to be told.
  using PartWith = std::function<kj::Promise<void>(NodeRef)>;
  // The nodes whose agents are connected.
  using Connected = std::function<std::vector<NodeRef>()>;

  StaticPool(PartWith part_with, Connected connected);

  // Refused: whoever has the join token makes the node.
  kj::Promise<Result<Done>> create(NodeOrder order) override;
  // One that is not connected is refused by the head when it comes back.
  kj::Promise<Result<Done>> destroy(NodeRef node) override;
  // Those that are connected; of the others nobody knows, so none is missing.
  kj::Promise<Result<std::vector<Instance>>> list() override;
  // Never: there is nobody to tell.
  kj::Promise<std::vector<InstanceChange>> changes() override;
  // Cannot be told: agents that were started by hand look for the head where it was.
  void head_moved(const std::string& agent_address) override;

 private:
  PartWith part_with_;
  Connected connected_;
};

}  // namespace leat::pools
