#pragma once

// provider.h - a provider that is slow, refuses, forgets to answer, answers twice and lists late.

#include <kj/async.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "pools/provider.h"
#include "scheduler/core/messages.h"

namespace leat::sim {

class World;

// Outlives heads: what one head has asked for is done, whether or not somebody waits for it.
//
// What it keeps of its contract whatever happens: one machine per NodeRef, and none for a NodeRef
// that was destroyed, even if the order for it comes late.
class Provider final : public pools::Provider {
 public:
  explicit Provider(World& world) : world_(world) {}

  kj::Promise<Result<Done>> create(pools::NodeOrder order) override;
  kj::Promise<Result<Done>> destroy(NodeRef node) override;
  kj::Promise<Result<std::vector<pools::Instance>>> list() override;
  kj::Promise<std::vector<pools::InstanceChange>> changes() override;
  void head_moved(const std::string&) override {}

  // The machine of this node has died by itself, or its agent was turned away.
  void died(NodeRef node);
  // Until told otherwise it makes nothing.
  void break_down(bool broken) { broken_ = broken; }
  bool broken() const { return broken_; }

  // Machines that somebody pays for: alive, or made and never to become a node.
  std::size_t paid_for() const { return machines_.size(); }
  const std::set<NodeRef>& machines() const { return machines_; }
  std::uint64_t made() const { return made_; }

 private:
  template <typename T>
  kj::Promise<Result<T>> later(std::function<Result<T>()> act);
  Result<Done> make(NodeRef node, const core::Hash& token);
  void enrol(NodeRef node, const core::Hash& token);
  Result<Done> end(NodeRef node);
  bool chance(std::uint64_t percent) const;
  Duration delay();

  World& world_;
  bool broken_ = false;
  std::uint64_t made_ = 0;
  std::set<NodeRef> machines_;
  std::map<NodeRef, Time> made_at_;
  std::set<NodeRef> destroyed_;  // never again
  std::vector<pools::InstanceChange> news_;
  kj::Own<kj::PromiseFulfiller<std::vector<pools::InstanceChange>>> listener_;
  std::vector<std::shared_ptr<void>> unanswered_;
};

}  // namespace leat::sim
