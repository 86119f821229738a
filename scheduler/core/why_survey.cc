// why_survey.cc - what the pools lack that a job may use.

#include <algorithm>

#include "scheduler/core/why_parts.h"

namespace leat::core {
namespace {

bool is_up(const Node& node, const Job&, const StageSpec&) {
  return node.serves();
}

bool has_labels(const Node& node, const Job& job, const StageSpec& stage) {
  return all_met(job.spec->labels, node.report.labels) &&
         label_value(node.report.labels, stage.in_common).has_value();
}

bool is_large_enough(const Node& node, const Job&, const StageSpec& stage) {
  return node.report.capacity.holds(stage.resources);
}

bool counts(const Node&, const Job&, const StageSpec&) {
  return true;
}

bool has_room(const Node& node, const Job&, const StageSpec& stage) {
  return node.fit_count(stage) > 0;
}

// What a pool stands in the way of: a bit per filter that it lacks, and one for the queue.
std::uint64_t obstacles(const PoolView& view) {
  const std::size_t lacks = view.lacks();
  const std::uint64_t filter = lacks == kFilterCount ? 0 : std::uint64_t{1} << lacks;
  return filter | (view.contested ? std::uint64_t{1} << kFilterCount : 0);
}

bool is_proper_part(std::uint64_t part, std::uint64_t whole) {
  return part != whole && (part & whole) == part;
}

// Whether a task of the stage could ever be given to the pool, as far as its nodes go.
bool could_use(const State& state, PoolId pool, const Job& job, const StageSpec& stage,
               std::uint64_t& looks) {
  std::map<std::string_view, std::uint64_t> able;  // by what they have in common
  for (const auto& [id, node] : state.nodes()) {
    ++looks;
    if (node.pool != pool) continue;
    if (filters_passed(node, job, stage) < static_cast<std::size_t>(Filter::kHasRoom)) continue;
    if (++able[*label_value(node.report.labels, stage.in_common)] >= stage.nodes) return true;
  }
  return false;
}

// Marks the pools of `asked` that the waiting stage `ref` of `job` would be served from first.
bool contest(Asked& asked, const Job& job, StageRef ref, std::uint64_t& looks) {
  bool any = false;
  const Stage& stage = job.stages[ref.stage];
  for (const Pool* pool : pools_of(asked.state, job)) {
    const auto view = std::find_if(asked.pools.begin(), asked.pools.end(),
                                   [pool](const PoolView& v) { return v.pool == pool; });
    if (view == asked.pools.end()) continue;
    // The first node that comes up is theirs too.
    const bool takes = view->passing[static_cast<std::size_t>(Filter::kUp)] == 0 ||
                       could_use(asked.state, pool->id, job, *stage.spec, looks);
    view->contested = view->contested || takes;
    any = any || takes;
  }
  return any;
}

void count_node(const Asked& asked, const Node& node, PoolView& view) {
  ++view.nodes;
  view.lost += node.state == NodeState::kLost ? 1 : 0;
  view.coming += node.coming() ? 1 : 0;
  view.closed += node.state == NodeState::kUp && !node.serves() ? 1 : 0;
  const std::size_t passed = filters_passed(node, asked.job, *asked.stage.spec);
  for (std::size_t n = 0; n < passed; ++n) ++view.passing[n];
  const bool able = passed >= static_cast<std::size_t>(Filter::kHasRoom);
  view.at_cap += able && node.room() == 0 ? 1 : 0;
  const std::string& in_common = asked.stage.spec->in_common;
  if (in_common.empty() || !able) return;
  AlikeNodes& alike = view.alike[*label_value(node.report.labels, in_common)];
  ++alike.able;
  alike.free += passed == kFilterCount ? 1 : 0;
}

// Of nodes with different things in common only one sort can be used at once.
void count_alike(const Asked& asked, PoolView& view) {
  if (asked.stage.spec->in_common.empty()) return;
  std::uint64_t& able = view.passing[static_cast<std::size_t>(Filter::kAlike)];
  std::uint64_t& free = view.passing[static_cast<std::size_t>(Filter::kHasRoom)];
  able = free = 0;
  for (const auto& [value, alike] : view.alike) {
    able = std::max(able, alike.able);
    free = std::max(free, alike.free);
  }
}

void survey_nodes(Asked& asked) {
  for (const Pool* pool : pools_of(asked.state, asked.job)) {
    const bool known = std::any_of(asked.pools.begin(), asked.pools.end(),
                                   [pool](const PoolView& v) { return v.pool == pool; });
    if (known) continue;
    asked.pools.emplace_back().pool = pool;
    asked.pools.back().wanted = asked.stage.spec->nodes;
  }
  for (const auto& [id, node] : asked.state.nodes())
    for (PoolView& view : asked.pools)
      if (view.pool->id == node.pool) count_node(asked, node, view);
  for (PoolView& view : asked.pools) count_alike(asked, view);
}

void survey_queue(Asked& asked) {
  const ReadyQueue::Entry own = ReadyQueue::entry(asked.job.priority, asked.ref);
  std::size_t seen = 0;
  std::uint64_t looks = 0;
  for (const ReadyQueue::Entry& entry : asked.state.ready().entries()) {
    // A job that is held is not in the queue.
    if (!(entry < own) || ++seen > kAheadMax || looks > kLooksMax) break;
    const Job* job = asked.state.job(entry.job);
    if (contest(asked, *job, entry.ref(), looks)) ++asked.ahead;
  }
}

}  // namespace

const std::array<Passes, kFilterCount> kFilters{is_up, has_labels, is_large_enough, counts,
                                                has_room};

std::size_t filters_passed(const Node& node, const Job& job, const StageSpec& stage) {
  std::size_t passed = 0;
  while (passed < kFilterCount && kFilters[passed](node, job, stage)) ++passed;
  return passed;
}

std::size_t PoolView::lacks() const {
  const auto first = std::find_if(passing.begin(), passing.end(),
                                  [this](std::uint64_t passes) { return passes < wanted; });
  return static_cast<std::size_t>(first - passing.begin());
}

std::vector<const PoolView*> Asked::lacking(Filter filter) const {
  std::vector<const PoolView*> found;
  for (const PoolView* view : of)
    if (view->lacks() == static_cast<std::size_t>(filter)) found.push_back(view);
  return found;
}

void survey(Asked& asked) {
  if (asked.waiting == 0) return;  // room is not what they wait for
  survey_nodes(asked);
  survey_queue(asked);
  for (const PoolView& view : asked.pools) {
    const bool least =
        std::none_of(asked.pools.begin(), asked.pools.end(), [&view](const PoolView& other) {
          return is_proper_part(obstacles(other), obstacles(view));
        });
    if (least) asked.of.push_back(&view);
  }
}

}  // namespace leat::core
