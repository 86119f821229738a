// why.cc - why something waits: every cause, and what would unblock it.

#include <algorithm>
#include <iterator>

#include "scheduler/core/why_parts.h"

namespace leat::core {
namespace {

// "1 node", "3 nodes".
std::string nodes_text(std::uint64_t n) {
  return number(n) + (n == 1 ? " node" : " nodes");
}

// Sums one count over some pools.
template <typename Count>
std::uint64_t sum(const std::vector<const PoolView*>& views, Count count) {
  std::uint64_t total = 0;
  for (const PoolView* view : views) total += count(*view);
  return total;
}

std::uint64_t passing(const std::vector<const PoolView*>& views, Filter filter) {
  return sum(views, [filter](const PoolView& view) {
    return view.passing[static_cast<std::size_t>(filter)];
  });
}

std::optional<Cause> no_pool(const Asked& asked) {
  if (asked.waiting == 0 || !asked.pools.empty()) return std::nullopt;
  std::string names;
  for (const std::string& name : asked.job.spec->pools)
    names += (names.empty() ? "" : " or ") + ('"' + name + '"');
  return Cause{"pool", "there is no pool" + (names.empty() ? names : ' ' + names),
               "start one: leat up --local N", asked.waiting};
}

std::optional<Cause> no_node_up(const Asked& asked) {
  if (asked.stage.spec->gang) return gang_lacks(asked, Filter::kUp);
  const auto views = asked.lacking(Filter::kUp);
  if (asked.waiting == 0 || views.empty()) return std::nullopt;
  const std::uint64_t coming = sum(views, [](const PoolView& view) { return view.coming; });
  const std::uint64_t lost = sum(views, [](const PoolView& view) { return view.lost; });
  const std::uint64_t closed = sum(views, [](const PoolView& view) { return view.closed; });
  return Cause{
      "nodes",
      (closed > 0 ? "no node takes work (" + number(closed) + " closed, " : "no node is up (") +
          number(coming) + " coming, " + number(lost) + " lost)" + growth_text(asked, views),
      "wait, or look at: leat node list", asked.waiting};
}

std::optional<Cause> labels_missing(const Asked& asked) {
  if (asked.stage.spec->gang) return gang_lacks(asked, Filter::kHasLabels);
  const auto views = asked.lacking(Filter::kHasLabels);
  if (asked.waiting == 0 || views.empty()) return std::nullopt;
  const std::uint64_t up = passing(views, Filter::kUp);
  const bool limits =
      std::any_of(asked.job.spec->labels.begin(), asked.job.spec->labels.end(),
                  [](const Requirement& r) { return !r.negated && r.label == kMemoryLimitLabel; });
  return Cause{"labels",
               "none of the " + nodes_text(up) + " that " + (up == 1 ? "is" : "are") +
                   " up has the labels it requires: " + required_text(asked) +
                   (limits ? " (leat:memory-limit: the kernel keeps memory limits there)" : ""),
               "add nodes with these labels, or submit without --requires" +
                   std::string(limits ? " or --memory-enforce" : ""),
               asked.waiting};
}

std::optional<Cause> too_large(const Asked& asked) {
  if (asked.stage.spec->gang) return gang_lacks(asked, Filter::kLargeEnough);
  const auto views = asked.lacking(Filter::kLargeEnough);
  if (asked.waiting == 0 || views.empty()) return std::nullopt;
  const std::uint64_t able = passing(views, Filter::kHasLabels);
  return Cause{"resources",
               "none of the " + nodes_text(able) + " that it may use has " +
                   to_text(asked.stage.spec->resources) + " in all" + growth_text(asked, views),
               "ask for less, or add larger nodes", asked.waiting};
}

std::optional<Cause> all_busy(const Asked& asked) {
  if (asked.stage.spec->gang) return gang_lacks(asked, Filter::kHasRoom);
  const auto views = asked.lacking(Filter::kHasRoom);
  if (asked.waiting == 0 || views.empty()) return std::nullopt;
  const std::uint64_t able = passing(views, Filter::kLargeEnough);
  const std::uint64_t at_cap = sum(views, [](const PoolView& view) { return view.at_cap; });
  if (at_cap == able)
    return Cause{"cap",
                 "all " + number(able) +
                     " nodes that could run it have as many tasks as their pool allows "
                     "(tasks_per_node)",
                 "wait, or add nodes", asked.waiting};
  if (asked.stage.spec->exclusive)
    return Cause{"exclusive",
                 "it wants a node to itself, and other tasks run on all " + number(able) +
                     " nodes that could run it",
                 "wait, add nodes, or submit without --exclusive", asked.waiting};
  return Cause{"busy",
               (able == 1 ? "the only node that could run it is busy"
                          : "all " + number(able) + " nodes that could run it are busy") +
                   growth_text(asked, views),
               "wait, or add nodes", asked.waiting};
}

std::optional<Cause> others_ahead(const Asked& asked) {
  const bool contested = std::any_of(asked.of.begin(), asked.of.end(),
                                     [](const PoolView* view) { return view->contested; });
  if (asked.waiting == 0 || !contested) return std::nullopt;
  return Cause{"priority",
               (asked.ahead == 1 ? "1 other stage is" : number(asked.ahead) + " other stages are") +
                   std::string(" ahead in the queue"),
               "wait, or submit with a higher --priority", asked.waiting};
}

std::optional<Cause> inputs_missing(const Asked& asked) {
  if (asked.blocked == 0 || !asked.stage.spec->reduces) return std::nullopt;
  const StageId from = asked.stage.spec->reduces->stage;
  const Stage& inputs = asked.job.stages[from];
  return Cause{"dependency",
               "a reduce step waits for outputs of " + text_of(from, inputs) + ": " +
                   number(inputs.done.size()) + " of " + number(inputs.cells.size()) + " are there",
               "wait", asked.blocked};
}

// Runs that nobody hears of. They are placed, so nothing else is the matter with them. A node that
// was given up while it was lost has its runs, too, until it is proved gone.
std::optional<Cause> node_lost(const Asked& asked) {
  std::string names;
  std::uint64_t nodes = 0;
  IntervalSet runs;  // of a gang several members may be lost
  std::uint64_t deleting = 0;
  for (const auto& [id, node] : asked.state.nodes()) {
    const auto at = node.allotments.find(asked.ref);
    const bool away = node.state == NodeState::kLost || node.state == NodeState::kDeleting;
    if (!away || at == node.allotments.end()) continue;
    const IntervalSet& there = at->second.runs;
    if (asked.position && !there.contains(*asked.position)) continue;
    constexpr std::uint64_t kNamed = 8;
    if (++nodes <= kNamed) names += (names.empty() ? "" : ", ") + number(id.value);
    deleting += node.state == NodeState::kDeleting ? 1 : 0;
    runs.insert_all(asked.position ? IntervalSet(*asked.position, *asked.position) : there);
  }
  if (nodes == 0) return std::nullopt;
  return Cause{"node-lost",
               (nodes == 1 ? "node " : nodes_text(nodes) + ", among them ") + names +
                   (nodes == 1 ? " has" : " have") +
                   " not been heard from; runs are kept there until their lease ends" +
                   (deleting > 0 ? " or the node has been deleted" : ""),
               deleting == nodes ? "wait" : "wait, or prove the node gone", runs.size()};
}

// Every cause there is, in the order in which they are told.
constexpr std::optional<Cause> (*kCauses[])(const Asked&) = {
    held,     no_pool,      no_node_up,     labels_missing, too_large,   gang_divided,
    all_busy, others_ahead, inputs_missing, node_lost,      delayed_try, start_within,
};

}  // namespace

std::vector<Cause> why(const State& state, StageRef ref, std::optional<Index> index, Time now) {
  std::vector<Cause> causes;
  const Job* job = state.job(ref.job);
  const Stage* stage = state.stage(ref);
  if (job == nullptr || stage == nullptr) return causes;
  const auto count = [stage](TaskState s) { return stage->counts[static_cast<std::size_t>(s)]; };
  Asked asked{state, *job, *stage, ref, now};
  asked.waiting = count(TaskState::kWaiting);
  asked.blocked = count(TaskState::kBlocked);
  asked.delayed = count(TaskState::kDelayed);
  if (index) {
    const auto position = stage->spec->indices.position_of(*index);
    if (!position) return causes;
    asked.position = position;
    const TaskState is = stage->cells.at(*position).state;
    asked.waiting = is == TaskState::kWaiting ? 1 : 0;
    asked.blocked = is == TaskState::kBlocked ? 1 : 0;
    asked.delayed = is == TaskState::kDelayed ? 1 : 0;
  }
  survey(asked);
  for (const auto cause : kCauses)
    if (std::optional<Cause> found = cause(asked)) causes.push_back(std::move(*found));
  explain_dependencies(asked, causes);
  return causes;
}

}  // namespace leat::core
