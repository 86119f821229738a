#include "scheduler/core/reservation.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "scheduler/core/decide_parts.h"

namespace leat::core {
namespace {

// Of nodes of which nobody knows when they are free, those come first on which nothing has been
// placed for longest. Nothing is while they are kept, so they stay chosen until others are known to
// be free for certain: the gang waits for no more than twice the longest run.
struct Candidate {
  Time from;
  Time placed;
  NodeId node;

  friend bool operator<(const Candidate& a, const Candidate& b) {
    return std::tie(a.from, a.placed, a.node) < std::tie(b.from, b.placed, b.node);
  }
};

std::optional<Reservation> reserve_in(const State& state, const Job& job, StageRef ref,
                                      const Pool& pool, Time now, Reserved& reserved) {
  const StageSpec& spec = *job.stages[ref.stage].spec;
  const Want want = want_of(*job.spec, spec, pool, now);
  std::map<std::string_view, std::vector<Candidate>> alike;  // by what they have in common
  for (const Node* node : state.capacity().able(pool.id, want, reserved, kReservationLooks)) {
    const NodeId id = node->ref.id;
    if (reserved.is_kept_from(id) || reserved.contains(id)) continue;
    const auto value = label_value(node->report.labels, want.in_common);
    alike[value.value_or("")].push_back({free_at(state, *node, spec, now), node->placed, id});
  }
  std::vector<Candidate> best;
  for (auto& [value, candidates] : alike) {
    if (candidates.size() < spec.nodes) continue;
    const auto end = candidates.begin() + spec.nodes;
    std::partial_sort(candidates.begin(), end, candidates.end());
    candidates.erase(end, candidates.end());
    if (best.empty() || candidates.back() < best.back()) best = std::move(candidates);
  }
  if (best.empty()) return std::nullopt;
  Reservation reservation{ref, pool.id, {}, best.back().from};
  for (const Candidate& chosen : best) reservation.nodes.push_back(chosen.node);
  std::sort(reservation.nodes.begin(), reservation.nodes.end());
  return reservation;
}

}  // namespace

Time free_at(const State& state, const Node& node, const StageSpec& stage, Time now) {
  if (node.fit_count(stage) > 0) return now;
  using Ending = std::pair<Time, const std::pair<const StageRef, Allotment>*>;
  std::vector<Ending> endings;
  endings.reserve(node.allotments.size());
  for (const auto& entry : node.allotments) endings.emplace_back(entry.second.until, &entry);
  std::sort(endings.begin(), endings.end());
  Resources free = node.free;
  std::uint64_t room = node.room();
  for (const auto& [until, entry] : endings) {
    if (until == kNever) return kNever;
    free.give(node.taken_by(*state.stage(entry->first)->spec), entry->second.claims);
    room += entry->second.claims;
    // What is overdue may end any time.
    if (room > 0 && free.holds(node.taken_by(stage))) return std::max(until, now);
  }
  return kNever;
}

std::optional<Reservation> reserve_gang(const State& state, StageRef ref, Time now,
                                        Reserved& reserved) {
  const Job& job = *state.job(ref.job);
  std::optional<Reservation> best;
  visit_pools(state, job, [&](const Pool& pool) {
    std::optional<Reservation> found = reserve_in(state, job, ref, pool, now, reserved);
    if (found && (!best || found->from < best->from)) best = std::move(found);
    return true;
  });
  if (!best) return best;
  // While nobody knows when they are free, whatever starts there might delay the gang.
  const Time from = best->from == kNever ? Time{} : best->from;
  for (const NodeId node : best->nodes) reserved.add_from(node, from);
  return best;
}

}  // namespace leat::core
