#pragma once

// evacuating_provider.h - a provider whose nodes bring their outputs to safety before they end.

#include <functional>
#include <utility>
#include <vector>

#include "pools/provider.h"

namespace leat::engine {

// Another provider, with one thing added: destroy() first calls `evacuate` and waits for it. Its
// promise must not reject, and resolves soon for nodes that are not there.
//
// Borrows the other. Thread: the loop.
class EvacuatingProvider final : public pools::Provider {
 public:
  using Evacuate = std::function<kj::Promise<void>(NodeRef node)>;

  EvacuatingProvider(pools::Provider& inner, Evacuate evacuate)
      : inner_(inner), evacuate_(std::move(evacuate)) {}

  kj::Promise<Result<Done>> create(pools::NodeOrder order) override {
    return inner_.create(std::move(order));
  }
  kj::Promise<Result<Done>> destroy(NodeRef node) override {
    return evacuate_(node).then([this, node] { return inner_.destroy(node); });
  }
  kj::Promise<Result<std::vector<pools::Instance>>> list() override { return inner_.list(); }
  kj::Promise<std::vector<pools::InstanceChange>> changes() override { return inner_.changes(); }
  void head_moved(const std::string& agent_address) override { inner_.head_moved(agent_address); }

 private:
  pools::Provider& inner_;
  Evacuate evacuate_;
};

}  // namespace leat::engine
