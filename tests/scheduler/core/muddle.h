#pragma once

// muddle.h - random small clusters in which nearly everything may be the matter.

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "tests/scheduler/core/world.h"

namespace leat::core {

// Same seed, same cluster.
class Muddle {
 public:
  explicit Muddle(std::uint64_t seed) : random_(seed) {
    const std::uint64_t pools = random_.below(3);
    for (std::uint64_t n = 0; n < pools; ++n) {
      // Of static pools only the agents know the labels.
      PoolSpec spec{n == 0 ? "a" : "b", "static", 6, std::nullopt, {}};
      if (random_.chance(20)) spec.tasks_per_node = 1;
      w.must(SetPool{"k-" + spec.name, {}, spec});
    }
    for (std::uint64_t n = random_.below(5); n > 0 && pools > 0; --n) add_node();
    for (std::uint64_t n = 1 + random_.below(4); n > 0; --n) add_job();
    if (random_.chance(80)) w.place();
    for (std::uint64_t n = random_.below(10); n > 0; --n) disturb();
    settled = random_.chance(70);
    if (settled) w.place();
  }

  World w;
  bool settled = false;  // nothing more can be placed

 private:
  static constexpr Duration kSecond{1'000'000};

  void add_node() {
    auto pool = w.state.pools().begin();
    if (w.state.pools().size() > 1 && random_.chance(50)) ++pool;
    Hash token{};
    token[0] = ++nodes_;
    const auto ref = std::get<NodeRef>(w.must(RequestNode{pool->first, token, kNever}));
    if (random_.chance(15)) return;
    w.must(EnrolNode{token});
    if (random_.chance(10)) return;
    NodeReport report;
    report.node = ref;
    report.capacity = {static_cast<std::uint32_t>(1000 * (1 + random_.below(4))),
                       random_.below(3) << 20,
                       static_cast<std::uint32_t>(random_.below(2)),
                       {}};
    if (random_.chance(30)) report.labels.emplace_back("fast");
    if (random_.chance(30)) report.labels.push_back("rack=" + std::to_string(random_.below(2)));
    w.must(JoinNode{report});
  }

  void add_job() {
    JobSpec spec = sweep(1 + random_.below(5), 1 + static_cast<std::uint32_t>(random_.below(5)));
    StageSpec& stage = spec.stages[0];
    if (random_.chance(20)) stage.indices = IndexList(Stride{10, stage.indices.size(), 5});
    stage.resources.memory_bytes = random_.below(3) << 20;
    if (random_.chance(20)) stage.resources.gpus = 1;
    if (random_.chance(20)) stage.exclusive = true;
    if (random_.chance(15)) stage.start_within = 30 * kSecond;
    if (random_.chance(25)) {
      stage.gang = true;
      stage.nodes = 1 + static_cast<std::uint32_t>(random_.below(3));
      if (random_.chance(50)) stage.in_common = "rack";
    }
    if (random_.chance(30))
      stage.time_limit = Duration(1 + static_cast<std::int64_t>(random_.below(9'000'000)));
    if (random_.chance(40)) {
      stage.retries = 2;
      stage.retry_delay.first = Duration(static_cast<std::int64_t>(random_.below(5'000'000)));
    }
    if (random_.chance(40)) come_after(spec);
    for (const char* label : {"fast", "!rack", "rack=1"})
      if (random_.chance(10)) spec.labels.push_back(parse_requirement(label).value());
    spec.priority = static_cast<std::int32_t>(random_.below(3));
    if (random_.chance(30)) spec = with_reduce(std::move(spec), 2);
    for (std::uint64_t n = random_.chance(30) ? 1 + random_.below(2) : 0; n > 0; --n)
      add_stage(spec);
    for (const auto& [id, pool] : w.state.pools())
      if (random_.chance(30)) spec.pools.push_back(pool.spec.name);
    // Refused if a pool of it is being deleted.
    (void)w.say(Submit{"job-" + std::to_string(++jobs_), {}, std::move(spec)});
  }

  // Another stage, after any of those there are.
  void add_stage(JobSpec& spec) {
    const auto target = static_cast<StageId>(random_.below(spec.stages.size()));
    StageSpec stage;
    stage.indices = spec.stages[target].indices;
    stage.exclusive = spec.stages[0].exclusive;
    const bool element_wise = random_.chance(50);
    if (!element_wise) stage.indices = IndexList(Stride{3, 1 + random_.below(3), 1});
    stage.after.push_back({{}, element_wise, static_cast<Condition>(random_.below(3)), target});
    spec.stages.push_back(stage);
  }

  // After one or two of the jobs there are; those that are over count as they ended.
  void come_after(JobSpec& spec) {
    for (const auto& [id, job] : w.state.jobs()) {
      if (random_.chance(50) || spec.stages[0].after.size() == 2) continue;
      After after{id, false, static_cast<Condition>(random_.below(3))};
      // Task by task both have the same indices.
      const bool alike = job.active() && (spec.stages[0].after.empty() ||
                                          job.spec->stages[0].indices == spec.stages[0].indices);
      if (alike && random_.chance(50)) {
        after.element_wise = true;
        spec.stages[0].indices = job.spec->stages[0].indices;
      }
      spec.stages[0].after.push_back(after);
    }
  }

  void disturb() {
    const std::uint64_t what = random_.below(20);
    if (what < 7) return end_some();
    if (what < 9) return static_cast<void>(w.place());
    if (what < 12) return hit_a_node();
    if (what < 14) return speak_of_a_node();
    if (what < 16) return speak_of_a_job();
    if (what < 17) return speak_of_a_pool();
    if (what < 18) return add_job();
    // Delays end, patience with jobs, now and then a lease.
    w.now = w.now + (random_.chance(10)
                         ? 400 * kSecond
                         : Duration(static_cast<std::int64_t>(random_.below(4'000'000))));
    w.must(Tick{});
  }

  template <typename Map>
  auto any_of(const Map& map) {
    auto at = map.begin();
    if (!map.empty()) std::advance(at, static_cast<std::ptrdiff_t>(random_.below(map.size())));
    return at;
  }

  // It is lost, proved gone, or comes back.
  void hit_a_node() {
    const auto at = any_of(w.state.nodes());
    if (at == w.state.nodes().end()) return;
    const NodeRef ref = at->second.ref;
    if (at->second.state == NodeState::kLost && random_.chance(60)) {
      w.must(JoinNode{at->second.report});
    } else if (at->second.state == NodeState::kUp && random_.chance(75)) {
      w.must(LoseNode{ref});
    } else if (at->second.session > 0) {
      w.must(ProveGone{ref, "test"});
    }
  }

  // What is refused is as good as anything.
  void speak_of_a_node() {
    const auto at = any_of(w.state.nodes());
    if (at == w.state.nodes().end()) return;
    const NodeId id = at->first;
    const Farewell farewell{random_.chance(50) ? Running::kRequeue : Running::kComplete, {}};
    switch (random_.below(3)) {
      case 0:
        return static_cast<void>(w.say(DrainNode{"drain", {}, id, farewell}));
      case 1:
        return static_cast<void>(w.say(RemoveNode{"remove", {}, id, farewell}));
      default:
        return static_cast<void>(w.say(ResumeNode{"resume", {}, id}));
    }
  }

  void speak_of_a_pool() {
    const auto at = any_of(w.state.pools());
    if (at == w.state.pools().end()) return;
    const Farewell farewell{Running::kComplete, {}};
    if (random_.chance(20)) {
      (void)w.say(DeletePool{"delete", {}, at->second.spec.name, farewell});
    } else {
      const auto size = static_cast<std::uint32_t>(random_.below(4));
      (void)w.say(ChangePool{"size", {}, at->second.spec.name, size, size, {}, {}, farewell});
    }
  }

  void speak_of_a_job() {
    const auto at = any_of(w.state.jobs());
    if (at == w.state.jobs().end()) return;
    const JobId id = at->first;
    const std::uint64_t what = random_.below(10);
    if (what < 6) {
      (void)w.say(HoldJob{"hold", {}, id});
    } else if (what < 8) {
      (void)w.say(ReleaseJob{"release", {}, id});
    } else if (what < 9) {
      (void)w.say(SetJob{"set", {}, id, static_cast<std::int32_t>(random_.below(4)), {}});
    } else {
      (void)w.say(Cancel{"cancel", {}, id, 0, {}});
    }
  }

  void end_some() {
    for (const StartRuns& start : w.starts()) {
      const Node* node = w.state.node(start.node);
      if (node == nullptr || node->state != NodeState::kUp) continue;
      RunRow row;
      row.code = random_.chance(30) ? 1 : 0;
      row.duration_us = 2'000'000;
      w.end(start.node, start.runs, row);
    }
  }

  Random random_;
  std::uint8_t nodes_ = 0;
  unsigned jobs_ = 0;
};

}  // namespace leat::core
