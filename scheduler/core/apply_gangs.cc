// apply_gangs.cc - facts about gangs, folded in.
//
// A gang is on its nodes by their allotments, as any run is, each of its members with one claim.
// What goes with all of them together is a Gang, which lives until its last member has ended; then
// RunsEnded or RunsRequeued says what has become of its task.

#include <algorithm>

#include "base/check.h"
#include "scheduler/core/loss.h"
#include "scheduler/core/state.h"

namespace leat::core {
namespace {

// A peak below zero says "at most".
std::int64_t peak_of(std::int64_t kib) {
  return kib < 0 ? -kib : kib;
}

}  // namespace

std::optional<std::uint32_t> Gang::live_on(NodeRef node) const {
  const auto at = std::find(nodes.begin(), nodes.end(), node);
  const auto member = static_cast<std::uint32_t>(at - nodes.begin());
  if (at == nodes.end() || !live.contains(member)) return std::nullopt;
  return member;
}

void Gang::end(std::uint32_t member, const RunRow& row) {
  live.erase(Interval{member, member});
  if (row.start_us != 0)
    sum.start_us = sum.start_us == 0 ? row.start_us : std::min(sum.start_us, row.start_us);
  sum.duration_us = std::max(sum.duration_us, row.duration_us);
  sum.cpu_us += row.cpu_us;
  if (peak_of(row.peak_kib) > peak_of(sum.peak_kib)) sum.peak_kib = row.peak_kib;
  sum.output_bytes += row.output_bytes;
  sum.flags |= row.flags;
  if (ended_well(row)) return;
  // The first is to blame. But when a node is lost, ranks on the others may fail of it before
  // anybody knows of the loss, which is no fault of the program's.
  const bool worse = row.outcome == Outcome::kNodeLost && sum.outcome != Outcome::kNodeLost;
  if (broken && !worse) return;
  broken = true;
  culprit = member;
  sum.outcome = row.outcome;
  sum.code = row.code;
}

void State::on(const GangPlaced& f, Time at) {
  Job& job = job_of(f.stage.job);
  Stage& stage = stage_of(f.stage);
  const StageSpec& spec = *stage.spec;
  LEAT_CHECK(spec.gang && f.nodes.size() == spec.nodes);
  const auto position = spec.indices.position_of(f.index);
  LEAT_CHECK(position.has_value());
  note_start(job, at);
  const Interval where{*position, *position};
  step_tasks(job, f.stage.stage, where, TaskStep::kPlace, [&f](TaskCell& cell) {
    LEAT_CHECK(f.attempt == cell.attempt + 1);
    cell.attempt = f.attempt;
    cell.node = f.nodes.front();
  });
  for (const NodeRef ref : f.nodes) {
    Node& node = node_of(ref);
    LEAT_CHECK(node.serves() && node.fit_count(spec) > 0);
    count_use(node, at);
    node.idle_since = kNever;
    node.placed = at;
    Allotment& allotment = node.allotments[f.stage];
    LEAT_CHECK(!allotment.runs.contains(*position));
    allotment.runs.insert(where);
    ++allotment.claims;
    allotment.until = spec.over_by(at);
    change_claims(node, spec, 0, 1);
  }
  Gang gang;
  gang.attempt = f.attempt;
  gang.placed = at;
  gang.nodes = f.nodes;
  gang.live.insert(Interval{0, f.nodes.size() - 1});
  const bool fresh = gangs_.emplace(GangRef{f.stage, *position}, std::move(gang)).second;
  LEAT_CHECK(fresh);
  refresh_ready(job, f.stage.stage);
}

void State::on(const MemberEnded& f, Time at) {
  const auto position = stage_of(f.stage).spec->indices.position_of(f.index);
  LEAT_CHECK(position.has_value());
  const auto found = gangs_.find({f.stage, *position});
  LEAT_CHECK(found != gangs_.end() && found->second.attempt == f.attempt);
  Gang& gang = found->second;
  const auto member = gang.live_on(f.node);
  LEAT_CHECK(member.has_value());
  leave_node({f.stage, f.attempt, {}}, f.node, IntervalSet(*position, *position), at);
  count_gang_output(found->first, gang, false);
  gang.end(*member, row_of(f.columns, 0));
  if (f.result && !gang.result) gang.result = f.result;
  count_gang_output(found->first, gang, true);
}

// What the primary has put out counts as held there while the others run, or its node would be
// empty.
void State::count_gang_output(const GangRef& ref, const Gang& gang, bool more) {
  if (!stage_of(ref.first).reduced_by || !gang.keeps_output()) return;
  const auto at = nodes_.find(gang.nodes.front().id);
  if (at == nodes_.end() || at->second.ref != gang.nodes.front()) return;
  LEAT_CHECK(more || at->second.held > 0);
  at->second.held += more ? 1 : 0;
  at->second.held -= more ? 0 : 1;
}

void State::note_failures(Job& job, const RunsEnded& f) {
  const Stage& stage = stage_of(f.runs.stage);
  const std::vector<Index> indices = f.runs.indices.expand();
  for (std::size_t n = 0; n < indices.size() && job.failures.size() < Job::kFailuresKept; ++n) {
    NodeRef node = f.node;
    if (stage.spec->gang) {
      const Gang& its_gang =
          gangs_.at({f.runs.stage, *stage.spec->indices.position_of(indices[n])});
      node = its_gang.nodes.at(its_gang.culprit);
    }
    job.failures.push_back(
        {f.runs.stage.stage, indices[n], f.columns.outcome.at(n), f.columns.code.at(n), node});
  }
}

void State::settle_gangs(StageRef ref, const IntervalSet& positions, bool kept) {
  positions.for_each([&](Interval where) {
    for (std::uint64_t p = where.first; p <= where.last; ++p) {
      const auto at = gangs_.find({ref, p});
      // Its members have left their nodes, one by one.
      LEAT_CHECK(at != gangs_.end() && at->second.live.empty());
      if (!kept) count_gang_output(at->first, at->second, false);
      gangs_.erase(at);
    }
  });
}

}  // namespace leat::core
