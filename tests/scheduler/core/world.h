#pragma once

// world.h - a small cluster over the bare core: commands in, facts applied, a clock by hand.

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "scheduler/core/decide.h"

namespace leat::core {

// A job of one stage, to be adorned.
inline JobSpec sweep(std::uint64_t tasks, std::uint32_t cores = 1) {
  JobSpec spec;
  spec.name = "sweep";
  StageSpec stage;
  stage.indices = IndexList(Stride{0, tasks, 1});
  stage.resources.millicores = cores * 1000;
  spec.stages.push_back(stage);
  return spec;
}

// Adds reduce stages of `width` until one task is left, as the command line does.
inline JobSpec with_reduce(JobSpec spec, std::uint64_t width) {
  while (spec.stages.back().indices.size() > 1 || spec.stages.size() == 1) {
    StageSpec stage;
    const std::uint64_t inputs = spec.stages.back().indices.size();
    stage.indices = IndexList(Stride{0, (inputs - 1) / width + 1, 1});
    stage.reduces = ReduceInput{static_cast<StageId>(spec.stages.size() - 1), width};
    spec.stages.push_back(stage);
  }
  spec.result_stage = static_cast<std::int32_t>(spec.stages.size()) - 1;
  return spec;
}

class World {
 public:
  State state;
  Time now;
  std::vector<std::pair<Fact, Time>> log;  // everything that was applied
  Effects effects;                         // not yet looked at

  World() { must(StartHead{1'000'000, "test"}); }

  // A wish without a key gets one of its own.
  Result<Answer> say(Command command) {
    std::visit(
        [this](auto& c) {
          if constexpr (requires { c.key; })
            if (c.key.empty()) c.key = "key-" + std::to_string(++keys_);
        },
        command);
    Facts facts;
    Result<Answer> answer = decide(state, command, now, facts);
    apply(facts);
    return answer;
  }

  Answer must(const Command& command) {
    Result<Answer> answer = say(command);
    LEAT_CHECK(answer.ok());
    return answer.value();
  }

  // Nodes come and go as the test wants.
  static constexpr PoolSize kAnySize{1'000, 100'000};

  void pool(const std::string& name = "p", std::optional<Resources> shape = std::nullopt) {
    must(SetPool{"k-" + name, {}, PoolSpec{name, "local", kAnySize, shape, {}}});
  }

  // A node that is up, in the first pool.
  NodeRef node(std::uint32_t cores, std::uint64_t memory = 0) {
    if (state.pools().empty()) pool();
    return node_of(state.pools().begin()->first, cores, memory);
  }

  NodeRef node_of(PoolId pool_id, std::uint32_t cores, std::uint64_t memory = 0) {
    Hash token{};
    token[0] = static_cast<std::uint8_t>(state.meta().next_node & 0xff);
    token[1] = static_cast<std::uint8_t>((state.meta().next_node >> 8) & 0xff);
    const auto ref = std::get<NodeRef>(must(RequestNode{pool_id, token, now + Duration(1000)}));
    must(EnrolNode{token});
    join(ref, cores, memory);
    return ref;
  }

  void join(NodeRef ref, std::uint32_t cores, std::uint64_t memory = 0) {
    NodeReport report;
    report.node = ref;
    report.capacity = {cores * 1000, memory, 0};
    must(JoinNode{report});
  }

  JobId submit(JobSpec spec, std::string key = {}) {
    return std::get<JobId>(must(Submit{std::move(key), {}, std::move(spec)}));
  }

  // One turn's placements and job ends. Returns how many facts there were.
  std::size_t place() {
    Placer placer(now);
    Facts facts;
    std::size_t count = 0;
    while (placer.next(state, facts)) {
      apply(facts);
      ++count;
    }
    return count;
  }

  // All runs that `node` holds of `stage`, of one attempt, end with `row`.
  void end(NodeRef node, RunSet runs, RunRow row = {}, std::optional<Blob> result = {}) {
    EndedSet set;
    set.runs = std::move(runs);
    set.columns = to_columns(std::vector<RunRow>(set.runs.indices.size(), row));
    set.result = result;
    must(ReportEnded{node, state.node(node)->session, {set}});
  }

  // The StartRuns effects since the last call.
  std::vector<StartRuns> starts() {
    std::vector<StartRuns> result;
    for (const Effect& effect : std::exchange(effects, {}))
      if (const auto* start = std::get_if<StartRuns>(&effect)) result.push_back(*start);
    return result;
  }

  // Ends everything that is started until nothing more happens; every run takes `us`.
  void drain(RunRow row = {}) {
    for (place();; place()) {
      const std::vector<StartRuns> started = starts();
      if (started.empty()) return;
      now = now + Duration(row.duration_us + 1);
      for (const StartRuns& start : started)
        if (state.node(start.node) != nullptr) end(start.node, start.runs, row);
    }
  }

  std::uint64_t count(JobId id, TaskState wanted, StageId stage = 0) const {
    const Job* job = state.job(id);
    LEAT_CHECK(job != nullptr);
    const auto at = static_cast<std::size_t>(wanted);
    return job->active() ? job->stages[stage].counts[at] : job->final_counts[stage][at];
  }

  JobState job_state(JobId id) const { return state.job(id)->state; }

  // The same facts into a fresh state give the same digest.
  void check_replay() const {
    State copy;
    for (const auto& [fact, at] : log) copy.apply(fact, at);
    LEAT_CHECK(copy.digest() == state.digest());
    copy.check_invariants();
  }

 private:
  void apply(Facts& facts) {
    for (const Fact& fact : facts) {
      state.apply(fact, now);
      log.emplace_back(fact, now);
      effects_of(state, fact, effects);
    }
    if (!facts.empty()) state.check_invariants();
    facts.clear();
  }

  int keys_ = 0;
};

}  // namespace leat::core
