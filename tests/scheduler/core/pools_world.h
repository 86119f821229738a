#pragma once

// pools_world.h - a small cluster whose pools grow and shrink.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/core/demand.h"
#include "scheduler/core/pool_rules.h"
#include "tests/scheduler/core/world.h"

namespace leat::core {

using std::chrono::seconds;

struct Pools : World {
  // Nodes of two cores.
  PoolId elastic(std::uint32_t min, std::uint32_t max, const std::string& name = "p") {
    PoolSpec spec{name, "local", {min, max}, Resources{2000, 0, 0}, {}};
    spec.idle_timeout = seconds(30);
    spec.join_deadline = seconds(60);
    return std::get<PoolId>(must(SetPool{"k-" + name, {}, spec}));
  }

  // What the driver does: offers tokens. Returns the nodes that were requested.
  std::vector<NodeRef> grow(PoolId pool) {
    RequestNodes wish{pool, {}};
    for (std::uint32_t n = 0; n < 70; ++n) wish.tokens.push_back(token(++tokens_));
    const std::uint32_t first = state.meta().next_node;
    const auto count = std::get<std::uint64_t>(must(wish));
    std::vector<NodeRef> nodes;
    for (std::uint32_t n = 0; n < count; ++n) nodes.push_back(state.node(NodeId{first + n})->ref);
    return nodes;
  }

  void arrive(NodeRef ref) {
    must(EnrolNode{state.node(ref)->token_hash});
    join(ref, 2);
  }

  std::vector<NodeRef> grow_and_arrive(PoolId pool) {
    const std::vector<NodeRef> nodes = grow(pool);
    for (const NodeRef node : nodes) arrive(node);
    return nodes;
  }

  // Ticks every second.
  void pass(std::int64_t span) {
    for (; span > 0; --span) {
      now = now + seconds(1);
      if (wants_tick(state, now)) must(Tick{});
    }
  }

  NodeState state_of(NodeRef ref) const {
    const Node* node = state.node(ref);
    return node == nullptr ? NodeState::kGone : node->state;
  }
  NodeDuty duty_of(NodeRef ref) const { return state.node(ref)->duty; }
  PoolPlan plan(PoolId pool) const { return plan_pools(state, now).at(pool); }

  // Everything that runs ends well.
  void end_all() {
    for (const StartRuns& start : starts())
      if (state.node(start.node) != nullptr) end(start.node, start.runs);
  }

  std::string refused(const Command& command, Reason reason) {
    const std::size_t before = log.size();
    const Result<Answer> answer = say(command);
    EXPECT_FALSE(answer.ok());
    if (answer.ok()) return {};
    EXPECT_EQ(answer.refusal().reason, reason) << answer.refusal().message;
    EXPECT_EQ(log.size(), before);
    EXPECT_EQ(answer.refusal().message.find('\n'), std::string::npos);
    return answer.refusal().message;
  }

 private:
  static Hash token(std::uint32_t n) {
    Hash hash{};
    hash[31] = 1;
    for (int i = 0; i < 4; ++i)
      hash[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(n >> (8 * i));
    return hash;
  }
  std::uint32_t tokens_ = 0;
};

}  // namespace leat::core
