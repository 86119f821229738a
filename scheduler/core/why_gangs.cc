// why_gangs.cc - why a gang waits: which of the nodes it needs at once it lacks, and how long yet.

#include <algorithm>

#include "scheduler/core/clock_text.h"
#include "scheduler/core/decide.h"
#include "scheduler/core/why_parts.h"

namespace leat::core {
namespace {

std::string nodes_at_once(std::uint64_t nodes) {
  return nodes == 1 ? "it needs a node" : "it needs " + number(nodes) + " nodes at once";
}

// "2 of the 5 nodes that are up".
std::string some_of(std::uint64_t some, std::uint64_t all, const std::string& what) {
  return (some == 0 ? "none" : number(some)) + " of the " + number(all) +
         (all == 1 ? " node" : " nodes") + " that " + what;
}

bool wants_open_mpi(const Asked& asked) {
  return asked.stage.spec->in_common == kMpiLabel;
}

// "one Open MPI version".
std::string sort_text(const Asked& asked) {
  return wants_open_mpi(asked) ? "one Open MPI version"
                               : "one value of " + asked.stage.spec->in_common;
}

// "2 have 40.30.4, 1 has 50.0.1": of each sort so many as `count` says.
template <typename Count>
std::string sorts_text(const PoolView& view, Count count) {
  constexpr std::size_t kNamed = 8;
  std::string text;
  std::size_t named = 0;
  for (const auto& [value, alike] : view.alike) {
    if (count(alike) == 0) continue;
    if (++named > kNamed) return text + ", ...";
    text += (text.empty() ? "" : ", ") + number(count(alike)) +
            (count(alike) == 1 ? " has " : " have ") +
            (value.empty() ? "no number" : std::string(value));
  }
  return text.empty() ? "there are none" : text;
}

// Its nodes are all in one pool: that one counts which comes nearest.
const PoolView& nearest(const std::vector<const PoolView*>& views, Filter filter) {
  const auto at = static_cast<std::size_t>(filter);
  return **std::max_element(views.begin(), views.end(), [at](const PoolView* a, const PoolView* b) {
    return a->passing[at] < b->passing[at];
  });
}

// What the nodes that are reserved for it promise, if any are.
std::string promise_text(const Asked& asked) {
  Placer placer(asked.now);
  Facts placed;
  // Work is about to be placed: what is reserved after that, nobody knows yet.
  if (placer.next(asked.state, placed)) return {};
  for (const Reservation& reservation : placer.reservations()) {
    if (reservation.stage != asked.ref) continue;
    if (reservation.from == kNever)
      return "; nodes are kept for it, but what runs there has no time limit";
    return "; nodes are reserved for " +
           std::string(asked.waiting == 1 ? "it" : "the next of them") + " from " +
           clock_text(asked.state.wall_us(reservation.from)) + " on (in " +
           span_text(reservation.from - asked.now) + "), or sooner";
  }
  return {};
}

}  // namespace

std::string required_text(const Asked& asked) {
  std::string wanted;
  for (const Requirement& requirement : asked.job.spec->labels)
    wanted += (wanted.empty() ? "" : ", ") + requirement.to_string();
  const std::string& in_common = asked.stage.spec->in_common;
  if (in_common.empty()) return wanted;
  wanted += (wanted.empty() ? "" : ", ") + in_common;
  return wants_open_mpi(asked) ? wanted + " (leat:mpi: Open MPI is there, for ranks to be started)"
                               : wanted;
}

std::optional<Cause> gang_divided(const Asked& asked) {
  const auto views = asked.lacking(Filter::kAlike);
  if (asked.waiting == 0 || views.empty()) return std::nullopt;
  const PoolView& view = nearest(views, Filter::kAlike);
  return Cause{"versions",
               "it needs " + number(asked.stage.spec->nodes) + " nodes of " + sort_text(asked) +
                   "; in pool \"" + view.pool->spec.name + "\" " +
                   sorts_text(view, [](const AlikeNodes& nodes) { return nodes.able; }) +
                   growth_text(asked, views),
               wants_open_mpi(asked) ? "add nodes with the same Open MPI, or install one on all"
                                     : "add nodes that are alike",
               asked.waiting};
}

std::optional<Cause> gang_lacks(const Asked& asked, Filter filter) {
  const auto views = asked.lacking(filter);
  if (asked.waiting == 0 || views.empty()) return std::nullopt;
  const auto at = static_cast<std::size_t>(filter);
  const PoolView& view = nearest(views, filter);
  const std::uint64_t some = view.passing[at];
  const std::uint64_t all = at == 0 ? view.nodes : view.passing[at - 1];
  const std::string needs = nodes_at_once(asked.stage.spec->nodes) +
                            (asked.pools.size() > 1 ? " of one pool" : "") + "; in pool \"" +
                            view.pool->spec.name + "\" ";
  switch (filter) {
    case Filter::kUp:
      return Cause{"nodes",
                   needs + number(some) + (some == 1 ? " is" : " are") + " up (" +
                       (view.closed > 0 ? number(view.closed) + " closed, " : "") +
                       number(view.coming) + " coming, " + number(view.lost) + " lost)" +
                       growth_text(asked, views),
                   "wait, or look at: leat node list", asked.waiting};
    case Filter::kHasLabels:
      return Cause{"labels",
                   needs + some_of(some, all, "are up") +
                       " have the labels it requires: " + required_text(asked),
                   "add nodes with these labels, or submit without --requires" +
                       std::string(wants_open_mpi(asked) ? " or --mpi" : ""),
                   asked.waiting};
    case Filter::kLargeEnough:
      return Cause{"resources",
                   needs + some_of(some, all, "it may use") + " have " +
                       to_text(asked.stage.spec->resources) + " in all" + growth_text(asked, views),
                   "ask for less, or add larger nodes", asked.waiting};
    case Filter::kAlike:
    case Filter::kHasRoom:
      break;
  }
  if (view.alike.size() > 1)
    return Cause{"busy",
                 "it needs " + number(asked.stage.spec->nodes) + " nodes of " + sort_text(asked) +
                     " at once; of those in pool \"" + view.pool->spec.name + "\" that are free " +
                     sorts_text(view, [](const AlikeNodes& nodes) { return nodes.free; }) +
                     promise_text(asked) + growth_text(asked, views),
                 "wait, or add nodes", asked.waiting};
  return Cause{"busy",
               needs + some_of(some, all, "could run it") + (some == 1 ? " is" : " are") + " free" +
                   promise_text(asked) + growth_text(asked, views),
               "wait, or add nodes", asked.waiting};
}

}  // namespace leat::core
