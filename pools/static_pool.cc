#include "pools/static_pool.h"

#include <utility>

namespace leat::pools {

StaticPool::StaticPool(PartWith part_with, Connected connected)
    : part_with_(std::move(part_with)), connected_(std::move(connected)) {}

kj::Promise<Result<Done>> StaticPool::create(NodeOrder order) {
  return Result<Done>(Refusal{Reason::kConflict, "node " + std::to_string(order.node.id.value) +
                                                     " is of a static pool: its agent is started "
                                                     "by hand, with leat agent join"});
}

kj::Promise<Result<Done>> StaticPool::destroy(NodeRef node) {
  return part_with_(node).then([] { return Result<Done>(Done{}); });
}

kj::Promise<Result<std::vector<Instance>>> StaticPool::list() {
  std::vector<Instance> instances;
  for (const NodeRef node : connected_()) {
    Instance instance;
    instance.node = node;
    instances.push_back(instance);
  }
  return Result<std::vector<Instance>>(std::move(instances));
}

kj::Promise<std::vector<InstanceChange>> StaticPool::changes() {
  return kj::NEVER_DONE;
}

void StaticPool::head_moved(const std::string&) {}

}  // namespace leat::pools
