// invariants.cc - what must hold of a state as a whole.

#include "base/check.h"
#include "scheduler/core/state.h"

namespace leat::core {
namespace {

bool may_start(TaskState state) {
  return state != TaskState::kBlocked && state != TaskState::kSkipped &&
         state != TaskState::kCancelled;
}

// Nothing has started, or ever will, before what it comes after in its own job has come about.
void check_own_wait(const Job& job, StageId id, std::size_t dependency) {
  const Stage& stage = job.stages[id];
  const After& after = stage.spec->after[dependency];
  const Stage& target = job.stages[after.stage];
  if (after.element_wise) {
    LEAT_CHECK(stage.after[dependency].state == AfterState::kOpen);
    target.cells.for_each([&](Interval where, const TaskCell& theirs) {
      // Its output may have been lost since, which stops nobody.
      if (fate_of(theirs.state, after.on) != AfterState::kDead) return;
      stage.cells.for_each(where, [&](Interval part, const TaskCell& cell) {
        if (cell.state != TaskState::kBlocked) return;
        LEAT_CHECK(stage.after[dependency].dead.contains(part));
      });
    });
    return;
  }
  const AfterState state = stage.after[dependency].state;
  LEAT_CHECK(state != AfterState::kOpen || open_tasks(target) > 0);
  if (state == AfterState::kMet) return;
  stage.cells.for_each([](Interval, const TaskCell& cell) { LEAT_CHECK(!may_start(cell.state)); });
}

}  // namespace

void State::check_waits(StageRef ref, const Stage& stage) const {
  std::uint64_t delayed = 0;
  for (const auto& [due, positions] : stage.delayed) {
    LEAT_CHECK(!positions.empty() && due_.contains({due, ref}));
    delayed += positions.size();
    positions.for_each([&stage, due = due](Interval where) {
      stage.cells.for_each(where, [due](Interval, const TaskCell& cell) {
        LEAT_CHECK(cell.state == TaskState::kDelayed && cell.due == due);
      });
    });
  }
  LEAT_CHECK(delayed == stage.counts[static_cast<std::size_t>(TaskState::kDelayed)]);
  LEAT_CHECK(stage.after.size() == stage.spec->after.size());
  bool any_dead = false;
  for (std::size_t n = 0; n < stage.after.size(); ++n) {
    const After& after = stage.spec->after[n];
    any_dead = any_dead || !stage.after[n].dead.empty();
    stage.after[n].dead.for_each([&stage](Interval where) {
      stage.cells.for_each(where, [](Interval, const TaskCell& cell) {
        LEAT_CHECK(cell.state == TaskState::kBlocked);
      });
    });
    if (!after.job) {
      check_own_wait(*job(ref.job), ref.stage, n);
      continue;
    }
    const JobId target = after.job;
    const auto at = dependants_.find(target);
    const bool follows = followers_.contains(target) && followers_.at(target).contains(ref);
    const bool linked =
        at != dependants_.end() && at->second.contains(ref) && follows >= after.element_wise;
    LEAT_CHECK(stage.after[n].state != AfterState::kOpen || (linked && job(target)->active()));
  }
  LEAT_CHECK(any_dead == doomed_.contains(ref));
}

void State::check_node(const Node& node) const {
  Resources free = node.report.capacity;
  std::uint32_t claimed = 0;
  for (const auto& [ref, allotment] : node.allotments) {
    const Stage* its_stage = stage(ref);
    LEAT_CHECK(its_stage != nullptr);
    LEAT_CHECK(!allotment.runs.empty() && allotment.claims <= allotment.runs.size());
    LEAT_CHECK(!its_stage->spec->gang || allotment.claims == allotment.runs.size());
    free.take(node.taken_by(*its_stage->spec), allotment.claims);
    claimed += allotment.claims;
    LEAT_CHECK(!its_stage->spec->exclusive || node.allotments.size() == 1);
    allotment.runs.for_each([&, ref = ref](Interval runs) {
      its_stage->cells.for_each(runs, [&](Interval part, const TaskCell& cell) {
        for (std::uint64_t p = part.first; p <= part.last; ++p)
          LEAT_CHECK(is_on(ref, p, cell.attempt, node.ref));
      });
    });
  }
  LEAT_CHECK(node.free == free && node.claimed == claimed);
  LEAT_CHECK(node.tasks_max == 0 || claimed <= node.tasks_max);
}

// All of a gang that has not ended is on nodes, each member on one of its own.
void State::check_gangs(std::map<NodeRef, std::uint64_t>& held) const {
  for (const auto& [ref, gang] : gangs_) {
    const Stage* its_stage = stage(ref.first);
    LEAT_CHECK(its_stage != nullptr && its_stage->spec->gang);
    LEAT_CHECK(gang.nodes.size() == its_stage->spec->nodes && !gang.live.empty());
    const TaskCell& cell = its_stage->cells.at(ref.second);
    LEAT_CHECK(cell.state == TaskState::kPlaced || cell.state == TaskState::kEnding);
    LEAT_CHECK(cell.attempt == gang.attempt && cell.node == gang.nodes.front());
    std::set<NodeRef> distinct;
    for (std::uint32_t member = 0; member < gang.nodes.size(); ++member) {
      LEAT_CHECK(distinct.insert(gang.nodes[member]).second);
      const Node* its_node = node(gang.nodes[member]);
      bool here = false;
      if (its_node != nullptr) {
        const auto at = its_node->allotments.find(ref.first);
        here = at != its_node->allotments.end() && at->second.runs.contains(ref.second);
      }
      LEAT_CHECK(here == gang.live.contains(member));
    }
    if (its_stage->reduced_by && gang.keeps_output()) ++held[gang.nodes.front()];
  }
}

void State::check_tasks(const Job& job, StageId id, std::map<NodeRef, std::uint64_t>& held) const {
  const Stage& stage = job.stages[id];
  StateCounts counts{};
  std::uint64_t placed = 0;
  stage.cells.for_each([&](Interval where, const TaskCell& cell) {
    counts[static_cast<std::size_t>(cell.state)] += where.size();
    LEAT_CHECK(stage.waiting.contains(where) == (cell.state == TaskState::kWaiting));
    LEAT_CHECK(stage.done.contains(where) == (stage.reduced_by && is_done(cell.state)));
    if (cell.state == TaskState::kPlaced || cell.state == TaskState::kEnding)
      placed += where.size();
    if (cell.state == TaskState::kHeld) held[cell.node] += where.size();
  });
  LEAT_CHECK(counts == stage.counts);
  check_waits({job.id, id}, stage);
  std::uint64_t found = 0;
  if (stage.spec->gang) {
    for (auto at = gangs_.lower_bound({{job.id, id}, 0});
         at != gangs_.end() && at->first.first == StageRef{job.id, id}; ++at)
      ++found;
  } else {
    for (const auto& [node_id, node] : nodes_) {
      const auto at = node.allotments.find({job.id, id});
      if (at != node.allotments.end()) found += at->second.runs.size();
    }
  }
  LEAT_CHECK(placed == found);
}

void State::check_invariants() const {
  std::map<NodeRef, std::uint64_t> held;
  for (const auto& [id, node] : nodes_) check_node(node);
  for (const auto& [id, job] : jobs_)
    for (std::size_t n = 0; n < job.stages.size(); ++n)
      check_tasks(job, static_cast<StageId>(n), held);
  check_gangs(held);
  for (const auto& [id, node] : nodes_) {
    LEAT_CHECK(node.held == held[node.ref]);
    if (node.joined != kNever) LEAT_CHECK((node.idle_since == kNever) == !node.allotments.empty());
    LEAT_CHECK(pools_.contains(node.pool));
  }
}

}  // namespace leat::core
