#pragma once

// fake_provider.h - a provider that does what it is told, or fails as a test wants it to.

#include <kj/debug.h>

#include <map>
#include <utility>
#include <vector>

#include "pools/provider.h"

namespace leat::engine {

class FakeProvider final : public pools::Provider {
 public:
  kj::Promise<Result<Done>> create(pools::NodeOrder order) override {
    orders.push_back(order);
    if (refuse_create) return Result<Done>(invalid("no room"));
    if (break_create) {
      // The machine may have got the order before the line went dead.
      instances[order.node] = pools::InstanceState::kAlive;
      return KJ_EXCEPTION(DISCONNECTED, "the line went dead");
    }
    if (hold_create) {
      auto paf = kj::newPromiseAndFulfiller<Result<Done>>();
      held[order.node] = kj::mv(paf.fulfiller);
      return kj::mv(paf.promise);
    }
    instances[order.node] = pools::InstanceState::kAlive;
    return Result<Done>(Done{});
  }
  kj::Promise<Result<Done>> destroy(NodeRef node) override {
    destroyed.push_back(node);
    if (refuse_destroy) return Result<Done>(invalid("try later"));
    instances.erase(node);
    return Result<Done>(Done{});
  }
  kj::Promise<Result<std::vector<pools::Instance>>> list() override {
    ++lists;
    if (unknown) return Result<std::vector<pools::Instance>>(invalid("nobody knows"));
    std::vector<pools::Instance> all;
    for (const auto& [node, state] : instances) all.push_back({node, state, 1, 2});
    return Result<std::vector<pools::Instance>>(std::move(all));
  }
  kj::Promise<std::vector<pools::InstanceChange>> changes() override {
    auto paf = kj::newPromiseAndFulfiller<std::vector<pools::InstanceChange>>();
    wanted = kj::mv(paf.fulfiller);
    return kj::mv(paf.promise);
  }
  void head_moved(const std::string&) override {}

  void die(NodeRef node) {
    instances.erase(node);
    wanted->fulfill({{{node, pools::InstanceState::kGone, 1, 2}, "killed"}});
  }

  std::vector<pools::NodeOrder> orders;
  std::vector<NodeRef> destroyed;
  std::map<NodeRef, pools::InstanceState> instances;
  bool refuse_create = false;
  bool break_create = false;
  bool hold_create = false;
  bool refuse_destroy = false;
  std::map<NodeRef, kj::Own<kj::PromiseFulfiller<Result<Done>>>> held;
  bool unknown = false;
  int lists = 0;
  kj::Own<kj::PromiseFulfiller<std::vector<pools::InstanceChange>>> wanted;
};

}  // namespace leat::engine
