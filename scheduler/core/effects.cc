// effects.cc - what shells do once a fact is on disk.

#include <algorithm>
#include <map>
#include <memory>

#include "scheduler/core/decide.h"
#include "scheduler/core/loss.h"

namespace leat::core {
namespace {

// Attempts are numbered per task, orders per set: groups the cells that `wanted` accepts.
template <typename Wanted>
std::map<Attempt, IntervalSet> group(const Stage& stage, const IntervalSet& where, Wanted wanted) {
  std::map<Attempt, IntervalSet> groups;
  where.for_each([&](Interval part) {
    stage.cells.for_each(part, [&](Interval at, const TaskCell& cell) {
      if (wanted(cell)) groups[cell.attempt].insert(at);
    });
  });
  return groups;
}

void end_on(const Node& node, const Stage& stage, StageRef ref, Effects& out) {
  const auto at = node.allotments.find(ref);
  if (at == node.allotments.end()) return;
  const auto ending = [](const TaskCell& cell) { return cell.state == TaskState::kEnding; };
  for (const auto& [attempt, positions] : group(stage, at->second.runs, ending))
    out.emplace_back(EndRuns{node.ref,
                             {ref, attempt, stage.spec->indices.select(positions)},
                             Outcome::kCancelled,
                             stage.spec->grace});
}

// What has been given to a node and has not started comes back. Of a gang nothing is queued.
void withdraw_queued(const Node& node, const Stage& stage, StageRef ref, Effects& out) {
  if (stage.spec->gang) return;
  const auto at = node.allotments.find(ref);
  if (at != node.allotments.end())
    out.emplace_back(Withdrawal{node.ref, ref, at->second.runs.size()});
}

// Ends all that runs there, so that it runs elsewhere.
void recall(const State& state, const Node& node, Effects& out) {
  for (const auto& [ref, allotment] : node.allotments) {
    const Stage& stage = *state.stage(ref);
    const auto placed = [](const TaskCell& cell) { return cell.state == TaskState::kPlaced; };
    for (const auto& [attempt, positions] : group(stage, allotment.runs, placed))
      out.emplace_back(EndRuns{node.ref,
                               {ref, attempt, stage.spec->indices.select(positions)},
                               Outcome::kWithdrawn,
                               stage.spec->grace});
  }
}

std::uint32_t claims_of(const Node& node, StageRef ref) {
  const auto at = node.allotments.find(ref);
  return at == node.allotments.end() ? 0 : at->second.claims;
}

RunSet run_of(const Stage& stage, GangRef ref, const Gang& gang) {
  return {ref.first, gang.attempt, IndexList(Stride{stage.spec->indices.at(ref.second)})};
}

// One member of a gang starts, or ends because the others do.
void tell_member(const State& state, const Node& node, GangRef ref, Effects& out) {
  const Stage& stage = *state.stage(ref.first);
  const Gang& gang = *state.gang(ref.first, ref.second);
  if (stage.cells.at(ref.second).state != TaskState::kPlaced) return;  // end_on() tells it
  const RunSet run = run_of(stage, ref, gang);
  if (gang.broken) {
    out.emplace_back(EndRuns{node.ref, run, Outcome::kWithdrawn, stage.spec->grace});
    return;
  }
  out.emplace_back(StartRuns{node.ref, run, node.allotments.at(ref.first).claims,
                             std::make_shared<const std::vector<NodeRef>>(gang.nodes)});
}

// A node that (re)joins is told all it should have; what it knows it ignores.
void tell_all(const State& state, const Node& node, Effects& out) {
  for (const auto& [ref, allotment] : node.allotments) {
    const Stage& stage = *state.stage(ref);
    const auto placed = [](const TaskCell& cell) { return cell.state == TaskState::kPlaced; };
    if (stage.spec->gang) {
      allotment.runs.for_each([&, ref = ref](Interval where) {
        for (std::uint64_t p = where.first; p <= where.last; ++p)
          tell_member(state, node, {ref, p}, out);
      });
    } else {
      for (const auto& [attempt, positions] : group(stage, allotment.runs, placed))
        out.emplace_back(StartRuns{node.ref,
                                   {ref, attempt, stage.spec->indices.select(positions)},
                                   allotment.claims,
                                   nullptr});
    }
    end_on(node, stage, ref, out);
    if (state.job(ref.job)->state == JobState::kHeld) withdraw_queued(node, stage, ref, out);
  }
}

struct Collector {
  const State& state;
  Effects& out;

  void operator()(const NodeRequested& f) const { out.emplace_back(CreateNode{f.node, f.pool}); }
  void operator()(const NodeJoined& f) const {
    if (const Node* node = state.node(f.report.node)) tell_all(state, *node, out);
  }
  void operator()(const NodesRequested& f) const {
    NodeRef ref = f.first;
    for (std::size_t n = 0; n < f.tokens.size(); ++n, ++ref.id.value, ++ref.epoch.value)
      out.emplace_back(CreateNode{ref, f.pool});
  }
  void operator()(const NodesDeleting& f) const {
    for (const NodeRef node : f.nodes) out.emplace_back(DeleteNode{node});
  }
  void operator()(const RunsRecalled& f) const {
    if (const Node* node = state.node(f.node)) recall(state, *node, out);
  }
  void operator()(const NodeGone& f) const { out.emplace_back(DeleteNode{f.node}); }
  void operator()(const JobAccepted& f) const { out.emplace_back(JobChanged{f.job}); }
  void operator()(const RunsPlaced& f) const {
    out.emplace_back(StartRuns{f.node, f.runs, f.claims, nullptr});
    out.emplace_back(JobChanged{f.runs.stage.job});
  }
  void operator()(const GangPlaced& f) const {
    const auto nodes = std::make_shared<const std::vector<NodeRef>>(f.nodes);
    const RunSet run{f.stage, f.attempt, IndexList(Stride{f.index})};
    for (const NodeRef ref : f.nodes) {
      const Node* node = state.node(ref);
      const auto claims = node == nullptr ? 0u : claims_of(*node, f.stage);
      out.emplace_back(StartRuns{ref, run, std::max(claims, 1u), nodes});
    }
    out.emplace_back(JobChanged{f.stage.job});
  }
  // Ends the others, if this one broke the gang.
  void operator()(const MemberEnded& f) const {
    out.emplace_back(JobChanged{f.stage.job});
    const Stage* stage = state.stage(f.stage);
    if (stage == nullptr) return;
    const std::uint64_t position = *stage->spec->indices.position_of(f.index);
    const Gang* gang = state.gang(f.stage, position);
    if (gang == nullptr || gang->attempt != f.attempt) return;
    if (!gang->broken || gang->nodes[gang->culprit] != f.node) return;
    // A person's order to end them is out already.
    if (stage->cells.at(position).state != TaskState::kPlaced) return;
    gang->live.for_each([&](Interval members) {
      for (std::uint64_t m = members.first; m <= members.last; ++m)
        out.emplace_back(EndRuns{gang->nodes[m], run_of(*stage, {f.stage, position}, *gang),
                                 Outcome::kWithdrawn, stage->spec->grace});
    });
  }
  void operator()(const RunsEnded& f) const { out.emplace_back(JobChanged{f.runs.stage.job}); }
  void operator()(const RunsRequeued& f) const { out.emplace_back(JobChanged{f.runs.stage.job}); }
  void operator()(const TasksSetAside& f) const { out.emplace_back(JobChanged{f.stage.job}); }
  void operator()(const OutputsLost& f) const { out.emplace_back(JobChanged{f.stage.job}); }
  void operator()(const CancelRequested& f) const {
    const Job* job = state.job(f.stage.job);
    if (job == nullptr) return;
    for (const auto& [id, node] : state.nodes())
      for (std::size_t n = 0; n < job->stages.size(); ++n)
        end_on(node, job->stages[n], {job->id, static_cast<StageId>(n)}, out);
    out.emplace_back(JobChanged{job->id});
  }
  void operator()(const TasksDue& f) const { out.emplace_back(JobChanged{f.stage.job}); }
  void operator()(const JobHeld& f) const {
    const Job* job = state.job(f.job);
    if (job == nullptr) return;
    for (const auto& [id, node] : state.nodes())
      for (std::size_t n = 0; n < job->stages.size(); ++n)
        withdraw_queued(node, job->stages[n], {job->id, static_cast<StageId>(n)}, out);
    out.emplace_back(JobChanged{f.job});
  }
  void operator()(const JobReleased& f) const { out.emplace_back(JobChanged{f.job}); }
  void operator()(const JobSet& f) const { out.emplace_back(JobChanged{f.job}); }
  void operator()(const JobEnded& f) const {
    out.emplace_back(ReleaseOutputs{f.job});
    out.emplace_back(JobChanged{f.job});
  }
  template <typename Other>
  void operator()(const Other&) const {}
};

}  // namespace

void effects_of(const State& state, const Fact& fact, Effects& out) {
  std::visit(Collector{state, out}, fact);
}

}  // namespace leat::core
