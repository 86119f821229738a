// decide_reports.cc - what the ends of runs come to: reports, lost nodes, lost outputs.

#include <algorithm>
#include <map>

#include "base/check.h"
#include "scheduler/core/decide_parts.h"
#include "scheduler/core/loss.h"

namespace leat::core {
namespace {

// What one ended run means for its task.
struct Verdict {
  TaskState state = TaskState::kSucceeded;  // kWaiting: it is tried again
  Cost cost = Cost::kNothing;               // of trying again
  Duration delay{0};                        // before that

  friend auto operator<=>(const Verdict&, const Verdict&) = default;
};

Verdict judge(const Stage& stage, const TaskCell& cell, const RunRow& row) {
  if (cell.state == TaskState::kEnding) {
    // Of a stage that is reduced the output would have to be held, and nobody wants it any more.
    const bool counts = ended_well(row) && !stage.reduced_by;
    return {counts ? TaskState::kSucceeded : TaskState::kCancelled, Cost::kNothing};
  }
  if (ended_well(row))
    return {stage.reduced_by ? TaskState::kHeld : TaskState::kSucceeded, Cost::kNothing};
  const Cost cost = cost_of(row.outcome);
  const bool again =
      cell.failures < stage.spec->retries && stage.spec->retry_on.matches(row.outcome, row.code);
  if (cost == Cost::kRetry && !again) return {TaskState::kFailed, Cost::kNothing};
  if (cost == Cost::kLoss && cell.losses + 1 >= kLossesMax)
    return {TaskState::kQuarantined, Cost::kNothing};
  const bool delayed = cost == Cost::kRetry;
  return {TaskState::kWaiting, cost,
          delayed ? stage.spec->retry_delay.after(cell.failures + 1u) : Duration{0}};
}

// Runs of a set that share a verdict; positions ascend, rows go with them.
struct Group {
  IntervalSet positions;
  std::vector<RunRow> rows;
};
using Groups = std::map<Verdict, Group>;

void emit(Verdict verdict, RunSet runs, RunColumns columns, const std::optional<Blob>& result,
          NodeRef node, Facts& out) {
  if (verdict.state == TaskState::kWaiting) {
    out.emplace_back(RunsRequeued{std::move(runs), node, std::move(columns), verdict.delay});
  } else {
    // Of the result, too, a later stage may still read the output.
    out.emplace_back(RunsEnded{std::move(runs), node, verdict.state, std::move(columns),
                               is_done(verdict.state) ? result : std::nullopt});
  }
}

bool is_on(const TaskCell& cell, Attempt attempt, NodeRef node) {
  return (cell.state == TaskState::kPlaced || cell.state == TaskState::kEnding) &&
         cell.attempt == attempt && cell.node == node;
}

// The usual case, at a tenth of the cost: the whole set has one verdict, and is one fact as it is.
bool end_as_one(const Stage& stage, const EndedSet& set, NodeRef node, const IntervalSet& positions,
                IntervalSet& seen, Facts& out) {
  if (positions.interval_count() != 1 || !set.columns.outcome.folded() ||
      !set.columns.code.folded())
    return false;
  const Interval where = positions.front();
  const RunRow first = row_of(set.columns, 0);
  std::optional<Verdict> verdict;
  bool same = !seen.intersects(where);
  stage.cells.for_each(where, [&](Interval, const TaskCell& cell) {
    same = same && is_on(cell, set.runs.attempt, node);
    const Verdict its = judge(stage, cell, first);
    same = same && (!verdict || *verdict == its);
    verdict = its;
  });
  if (!same) return false;
  seen.insert(where);
  emit(*verdict, set.runs, set.columns, set.result, node, out);
  return true;
}

// What the run of a gang has come to whose last member has ended.
void end_gang(const State& state, GangRef ref, const Gang& gang, Facts& out) {
  const Stage& stage = *state.stage(ref.first);
  RunRow whole = gang.sum;
  // Its output would have to be held on a node that is no more.
  if (stage.reduced_by && !gang.broken && state.node(gang.nodes.front()) == nullptr)
    whole.outcome = Outcome::kOutputLost;
  const Verdict verdict = judge(stage, stage.cells.at(ref.second), whole);
  emit(verdict, {ref.first, gang.attempt, IndexList(Stride{stage.spec->indices.at(ref.second)})},
       to_columns({whole}), gang.result, gang.nodes.front(), out);
}

// The members on `node` of the gangs at `positions`, for whose attempt it is.
void end_members(const State& state, const EndedSet& set, NodeRef node,
                 const IntervalSet& positions, IntervalSet& seen, Facts& out) {
  const StageRef ref = set.runs.stage;
  const IndexList& indices = state.stage(ref)->spec->indices;
  std::size_t n = 0;
  positions.for_each([&](Interval where) {
    for (std::uint64_t p = where.first; p <= where.last; ++p, ++n) {
      // Stale, or said twice in one batch.
      if (seen.contains(p) || !state.is_on(ref, p, set.runs.attempt, node)) continue;
      seen.insert(Interval{p, p});
      const RunRow row = row_of(set.columns, n);
      out.emplace_back(MemberEnded{ref, set.runs.attempt, indices.at(p), node, to_columns({row}),
                                   ended_well(row) ? set.result : std::nullopt});
      Gang gang = *state.gang(ref, p);
      if (gang.live.size() > 1) continue;
      gang.end(*gang.live_on(node), row);
      if (ended_well(row) && set.result && !gang.result) gang.result = set.result;
      end_gang(state, {ref, p}, gang, out);
    }
  });
}

}  // namespace

void end_runs(const State& state, const EndedSet& set, NodeRef node, IntervalSet& seen,
              Facts& out) {
  const Stage* stage = state.stage(set.runs.stage);
  if (stage == nullptr || !set.columns.fit(set.runs.indices.size())) return;
  const auto positions = stage->spec->indices.positions_of(set.runs.indices);
  if (!positions || positions->empty()) return;
  if (stage->spec->gang) {
    end_members(state, set, node, *positions, seen, out);
    return;
  }
  if (end_as_one(*stage, set, node, *positions, seen, out)) return;
  Groups groups;
  std::size_t row = 0;
  positions->for_each([&](Interval where) {
    stage->cells.for_each(where, [&](Interval part, const TaskCell& cell) {
      const bool here = is_on(cell, set.runs.attempt, node);
      for (std::uint64_t p = part.first; p <= part.last; ++p, ++row) {
        // Stale, or said twice in one batch.
        if (!here || seen.contains(p)) continue;
        const RunRow cells = row_of(set.columns, row);
        Group& group = groups[judge(*stage, cell, cells)];
        group.positions.insert(Interval{p, p});
        group.rows.push_back(cells);
      }
    });
  });
  for (const auto& [verdict, group] : groups) {
    seen.insert_all(group.positions);
    emit(verdict, {set.runs.stage, set.runs.attempt, stage->spec->indices.select(group.positions)},
         to_columns(group.rows), set.result, node, out);
  }
}

Result<Answer> decide_on(const State& state, const ReportEnded& c, Time, Facts& out) {
  const Node* node = state.node(c.node);
  if (node == nullptr || node->session != c.session)
    return Refusal{Reason::kConflict, "this report is from an earlier session of its node"};
  std::map<StageRef, IntervalSet> seen;
  for (const EndedSet& set : c.ended) end_runs(state, set, c.node, seen[set.runs.stage], out);
  return Answer{Done{}};
}

namespace {

// Runs placed together share an attempt; each such group is told apart, and ends as `outcome`.
void lose_part(const State& state, NodeRef node, StageRef ref, const IntervalSet& runs,
               Outcome outcome, Facts& out) {
  const Stage& stage = *state.stage(ref);
  std::map<Attempt, IntervalSet> by_attempt;
  runs.for_each([&stage, &by_attempt](Interval where) {
    stage.cells.for_each(where, [&by_attempt](Interval part, const TaskCell& cell) {
      by_attempt[cell.attempt].insert(part);
    });
  });
  IntervalSet seen;
  for (const auto& [attempt, positions] : by_attempt) {
    EndedSet lost{{ref, attempt, stage.spec->indices.select(positions)}, {}, std::nullopt};
    lost.columns.outcome = Column<Outcome>(outcome);
    end_runs(state, lost, node, seen, out);
  }
}

}  // namespace

void lose_runs(const State& state, const Node& node, StageRef ref, Facts& out) {
  const auto at = node.allotments.find(ref);
  LEAT_CHECK(state.stage(ref) != nullptr && at != node.allotments.end());
  // As many as had claims may have been running, and may be what killed the node; the others were
  // only queued there, which is no mark against them.
  const IntervalSet running = at->second.runs.lowest(at->second.claims);
  IntervalSet queued = at->second.runs;
  queued.erase_all(running);
  lose_part(state, node.ref, ref, running, Outcome::kNodeLost, out);
  lose_part(state, node.ref, ref, queued, Outcome::kWithdrawn, out);
}

namespace {

// The held outputs of stage `id` that are gone and still needed. A reduce step needs its inputs
// until its own output is held somewhere alive; `lost_above` are the steps whose output is lost.
IntervalSet lost_of(const State& state, const Job& job, std::size_t id, NodeRef given_up,
                    const IntervalSet& lost_above) {
  const Stage& stage = job.stages[id];
  IntervalSet lost;
  if (!stage.reduced_by) return lost;
  const Stage& above = job.stages[*stage.reduced_by];
  const std::uint64_t width = above.spec->reduces->width;
  stage.cells.for_each([&](Interval where, const TaskCell& cell) {
    if (cell.state != TaskState::kHeld) return;
    if (cell.node != given_up && state.node(cell.node) != nullptr) return;
    for (std::uint64_t p = where.first; p <= where.last; ++p) {
      const std::uint64_t step = p / width;
      const TaskState reader = above.cells.at(step).state;
      const bool read = reader == TaskState::kHeld || is_terminal(reader);
      if (!read || lost_above.contains(step)) lost.insert(Interval{p, p});
    }
  });
  return lost;
}

}  // namespace

void lose_outputs(const State& state, NodeRef node, Facts& out) {
  for (const auto& [job_id, job] : state.jobs()) {
    if (!job.active() || job.state == JobState::kCancelling) continue;
    std::map<std::size_t, IntervalSet> lost;
    // From the last step down: a lost step needs inputs that nobody needed before.
    for (std::size_t id = job.stages.size(); id-- > 0;) {
      const Stage& stage = job.stages[id];
      const IntervalSet none;
      const IntervalSet& above = stage.reduced_by ? lost[*stage.reduced_by] : none;
      lost[id] = lost_of(state, job, id, node, above);
      if (lost[id].empty()) continue;
      out.emplace_back(
          OutputsLost{{job_id, static_cast<StageId>(id)}, stage.spec->indices.select(lost[id])});
    }
  }
}

}  // namespace leat::core
