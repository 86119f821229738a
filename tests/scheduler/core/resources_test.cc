// What nodes have, who asks for it, and that it is given once.

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "tests/scheduler/core/world.h"

namespace leat::core {
namespace {

struct Farm : World {
  void pool_with(const std::function<void(PoolSpec&)>& adorn) {
    PoolSpec spec{"p", "local", 1, std::nullopt, {}};
    adorn(spec);
    must(SetPool{"k-p", {}, spec});
  }

  NodeRef machine(const Resources& capacity, std::vector<std::string> labels = {}) {
    const NodeRef ref = node(1);
    NodeReport report;
    report.node = ref;
    report.capacity = capacity;
    report.labels = std::move(labels);
    must(JoinNode{report});
    return ref;
  }

  JobId submit_with(std::uint64_t tasks, const std::function<void(JobSpec&)>& adorn) {
    JobSpec spec = sweep(tasks);
    adorn(spec);
    return submit(spec);
  }

  std::uint32_t claims(NodeRef ref) const { return state.node(ref)->claimed; }
  std::string first_cause(JobId job) const {
    const std::vector<Cause> causes = why(state, {job, 0}, std::nullopt, now);
    return causes.empty() ? "none" : causes[0].reason;
  }
};

void require(JobSpec& spec, std::string_view label) {
  spec.labels.push_back(parse_requirement(label).value());
}

TEST(Placement, GivesEveryGpuAndCounterOnceAndTakesThemBack) {
  for (const Resources& need :
       {Resources{1000, 0, 1, {}}, Resources{1000, 0, 0, {{"licence", 2}}}}) {
    Farm w;
    const NodeRef node = w.machine({16'000, 0, 3, {{"licence", 7}, {"other", 1}}});
    const JobId job = w.submit_with(10, [&](JobSpec& s) { s.stages[0].resources = need; });
    w.place();
    EXPECT_EQ(w.claims(node), 3u);
    const Resources& free = w.state.node(node)->free;
    EXPECT_EQ(free.gpus, need.gpus > 0 ? 0u : 3u);
    EXPECT_EQ(free.counter("licence"), need.gpus > 0 ? 7u : 1u);
    const auto started = w.starts();
    ASSERT_EQ(started.size(), 1u);
    // The gpus come back: forgetting them once cost every node its devices.
    w.end(node, started[0].runs);
    w.place();
    EXPECT_EQ(w.claims(node), 3u);
    w.drain();
    EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
    EXPECT_EQ(w.state.node(node)->free, w.state.node(node)->report.capacity);
    w.check_replay();
  }
}

TEST(Placement, GoesOnlyWhereTheLabelsAre) {
  Farm w;
  const NodeRef slow = w.machine({8000, 0, 0, {}}, {"rack=1"});
  const NodeRef fast = w.machine({8000, 0, 0, {}}, {"fast", "rack=2"});
  const auto placed_on = [&](std::string_view label) {
    const JobId job = w.submit_with(1, [&](JobSpec& s) { require(s, label); });
    w.place();
    const auto started = w.starts();
    if (started.empty()) {
      EXPECT_EQ(w.first_cause(job), "labels") << label;
      return NodeRef{};
    }
    return started[0].node;
  };
  EXPECT_EQ(placed_on("fast"), fast);
  EXPECT_EQ(placed_on("!fast"), slow);
  EXPECT_EQ(placed_on("rack=1"), slow);
  EXPECT_NE(placed_on("rack"), NodeRef{});
  EXPECT_EQ(placed_on("nobody-has-it"), NodeRef{});
}

TEST(Placement, OfALabelThatNobodyHasKeepsNobodyElseWaiting) {
  Farm w;
  w.machine({4000, 0, 0, {}});
  w.submit_with(100, [](JobSpec& s) { require(s, "gpu"); });
  const JobId other = w.submit(sweep(4));
  w.place();
  EXPECT_EQ(w.count(other, TaskState::kPlaced), 4u);
}

TEST(Placement, OfABusyLabelReservesOnlyItsNodes) {
  Farm w;
  const NodeRef rare = w.machine({1000, 0, 0, {}}, {"gpu"});
  const NodeRef plain = w.machine({1000, 0, 0, {}});
  w.submit_with(100, [](JobSpec& s) { require(s, "gpu"); });
  w.place();
  const JobId other = w.submit(sweep(10));
  w.place();
  EXPECT_EQ(w.count(other, TaskState::kPlaced), 1u);
  EXPECT_EQ(w.claims(plain), 1u);
  EXPECT_EQ(w.claims(rare), 1u);
}

TEST(Placement, FindsTheOneNodeAmongManyUnlikeOnes) {
  Farm w;
  std::vector<NodeRef> nodes;
  for (int i = 0; i < 200; ++i)
    nodes.push_back(w.machine({2000, 0, 0, {}}, {"host=n" + std::to_string(i)}));
  for (const int i : {0, 63, 64, 199}) {
    w.submit_with(1, [i](JobSpec& s) { require(s, "host=n" + std::to_string(i)); });
    w.place();
    const auto started = w.starts();
    ASSERT_EQ(started.size(), 1u) << i;
    EXPECT_EQ(started[0].node, nodes[static_cast<std::size_t>(i)]);
  }
  const JobId rest = w.submit(sweep(1000));
  w.place();
  EXPECT_EQ(w.count(rest, TaskState::kPlaced), 396u);
}

TEST(Placement, LeavesAnExclusiveTaskAlone) {
  Farm w;
  const NodeRef a = w.machine({4000, 0, 0, {}});
  const JobId shared = w.submit(sweep(1));
  w.place();
  const auto first = w.starts();
  const JobId alone = w.submit_with(3, [](JobSpec& s) { s.stages[0].exclusive = true; });
  w.place();
  EXPECT_EQ(w.count(alone, TaskState::kPlaced), 0u);
  EXPECT_EQ(w.first_cause(alone), "exclusive");
  const NodeRef b = w.machine({2000, 0, 0, {}});
  w.place();
  EXPECT_EQ(w.count(alone, TaskState::kPlaced), 1u);
  EXPECT_EQ(w.claims(b), 1u);
  EXPECT_EQ(w.state.node(b)->free, (Resources{0, 0, 0, {}}));
  const JobId late = w.submit(sweep(8));
  w.place();
  // What is ahead in the queue keeps the node that it waits for.
  EXPECT_EQ(w.count(late, TaskState::kPlaced), 0u);
  w.end(a, first[0].runs);
  EXPECT_EQ(w.job_state(shared), JobState::kRunning);
  w.drain();
  EXPECT_EQ(w.job_state(alone), JobState::kSucceeded);
  EXPECT_EQ(w.job_state(late), JobState::kSucceeded);
  w.check_replay();
}

TEST(Placement, KeepsToTheTasksAPoolAllowsPerNode) {
  Farm w;
  w.pool_with([](PoolSpec& spec) { spec.tasks_per_node = 3; });
  const NodeRef node = w.machine({64'000, 0, 0, {}});
  const JobId job = w.submit(sweep(10));
  w.place();
  EXPECT_EQ(w.claims(node), 3u);
  EXPECT_EQ(w.first_cause(job), "cap");
  const JobId other = w.submit(sweep(1));
  w.place();
  EXPECT_EQ(w.count(other, TaskState::kPlaced), 0u);
  w.drain();
  EXPECT_EQ(w.job_state(job), JobState::kSucceeded);
  EXPECT_EQ(w.job_state(other), JobState::kSucceeded);
  w.check_replay();
}

TEST(Placement, PacksOrSpreadsAsThePoolSaysUnlessTheJobDoes) {
  for (const Packing pool_says : {Packing::kPack, Packing::kSpread}) {
    for (const std::optional<Packing> job_says :
         {std::optional<Packing>{}, {Packing::kPack}, {Packing::kSpread}}) {
      Farm w;
      w.pool_with([&](PoolSpec& spec) { spec.packing = pool_says; });
      std::vector<NodeRef> nodes;
      for (int i = 0; i < 4; ++i) nodes.push_back(w.machine({8000, 0, 0, {}}));
      w.submit_with(8, [&](JobSpec& s) { s.packing = job_says; });
      w.place();
      std::vector<std::uint32_t> claims;
      for (const NodeRef node : nodes) claims.push_back(w.claims(node));
      std::sort(claims.begin(), claims.end());
      const bool spread = job_says.value_or(pool_says) == Packing::kSpread;
      EXPECT_EQ(claims, spread ? (std::vector<std::uint32_t>{2, 2, 2, 2})
                               : (std::vector<std::uint32_t>{0, 0, 0, 8}));
    }
  }
}

TEST(Submit, RefusesRequirementsThatEveryPoolRulesOut) {
  Farm w;
  w.pool_with([](PoolSpec& spec) {
    spec.labels = {"fast"};
    spec.keeps_memory_limits = false;
    spec.shape = Resources{4000, 1 << 30, 1, {{"licence", 2}}};
  });
  const auto refusal = [&w](const std::function<void(JobSpec&)>& adorn) {
    JobSpec spec = sweep(1);
    adorn(spec);
    const Result<Answer> answer = w.say(Submit{"k", {}, spec});
    return answer.ok() ? std::string("taken") : answer.refusal().message;
  };
  EXPECT_NE(refusal([](JobSpec& s) { require(s, "!fast"); }).find("fast"), std::string::npos);
  EXPECT_NE(refusal([](JobSpec& s) { require(s, kMemoryLimitLabel); }).find("memory_limits"),
            std::string::npos);
  EXPECT_NE(refusal([](JobSpec& s) { s.stages[0].resources.gpus = 2; }).find("2 gpus"),
            std::string::npos);
  EXPECT_NE(refusal([](JobSpec& s) {
              s.stages[0].resources.counters = {{"licence", 3}};
            }).find("3 licence"),
            std::string::npos);
  EXPECT_NE(refusal([](JobSpec& s) { s.stages[0].resources.gpus = 65; }).find("64"),
            std::string::npos);
  EXPECT_EQ(refusal([](JobSpec& s) { require(s, "slow"); }), "taken");  // an agent may have it
}

// Every mix of wishes on a cluster of unlike nodes: check_invariants() adds up every resource of
// every node after each fact.
TEST(Placement, NeverGivesAnythingTwiceWhateverIsMixed) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Farm w;
    w.pool_with([&](PoolSpec& spec) {
      if (random.chance(30)) spec.tasks_per_node = static_cast<std::uint32_t>(1 + random.below(4));
      if (random.chance(30)) spec.packing = Packing::kSpread;
    });
    for (std::uint64_t n = 2 + random.below(5); n > 0; --n) {
      Resources capacity{static_cast<std::uint32_t>(1000 * (1 + random.below(8))),
                         random.below(5) << 20,
                         static_cast<std::uint32_t>(random.below(3)),
                         {}};
      if (random.chance(50)) capacity.counters = {{"licence", 1 + random.below(4)}};
      std::vector<std::string> labels;
      if (random.chance(50)) labels.emplace_back("fast");
      labels.push_back("rack=" + std::to_string(random.below(2)));
      w.machine(capacity, labels);
    }
    for (int n = 0; n < 6; ++n)
      w.submit_with(1 + random.below(12), [&](JobSpec& s) {
        s.priority = static_cast<std::int32_t>(random.below(3));
        Resources& need = s.stages[0].resources;
        need.millicores = static_cast<std::uint32_t>(500 * (1 + random.below(4)));
        if (random.chance(30)) need.memory_bytes = 1u << 20;
        if (random.chance(20)) need.gpus = 1;
        if (random.chance(20)) need.counters = {{"licence", 1}};
        if (random.chance(30)) require(s, random.chance(50) ? "fast" : "!rack=0");
        if (random.chance(20)) s.stages[0].exclusive = true;
        if (random.chance(30)) s.packing = random.chance(50) ? Packing::kPack : Packing::kSpread;
      });
    RunRow row;
    row.duration_us = static_cast<std::int64_t>(1000 + random.below(2'000'000));
    w.drain(row);
    // What is left could not be placed on the empty cluster either, and says so.
    for (const auto& [id, job] : w.state.jobs()) {
      if (!job.active()) continue;
      const std::string cause = w.first_cause(id);
      EXPECT_TRUE(cause == "labels" || cause == "resources") << cause;
    }
    w.check_replay();
  }
}

TEST(CapacityIndex, AsksOnlySoManyNodesOfAKind) {
  Farm w;
  for (int i = 0; i < 300; ++i) w.machine({1000, 1u << 20, 0, {}});
  const JobId job = w.submit_with(300, [](JobSpec& s) { s.stages[0].resources.memory_bytes = 1; });
  w.place();
  EXPECT_EQ(w.count(job, TaskState::kPlaced), 300u);
}

}  // namespace
}  // namespace leat::core
