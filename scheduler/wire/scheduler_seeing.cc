// scheduler_seeing.cc - what happens, as it happens: events, the overview; and history for people.

#include <algorithm>
#include <utility>
#include <vector>

#include "scheduler/core/pool_rules.h"
#include "scheduler/store/fact_codec.h"
#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "scheduler/wire/scheduler_server.h"

namespace leat::wire {
namespace {

// One answer holds at most so much; the reader asks for the rest.
constexpr std::size_t kEventsMax = 1'024;
constexpr std::uint32_t kJobsShownMax = 256;
constexpr std::uint32_t kNodesShownMax = 4'096;

struct Page {
  std::vector<EventView> events;
  std::vector<EventPlace> next;  // after each of them
  std::vector<Time> at;
  std::vector<store::DecodedTurn> turns;  // what the events borrow from
  EventPlace end;                         // after all that was looked at
  std::optional<Refusal> damage;
};

bool concerns(const EventView& event, JobId job) {
  return !job || event.job == job;
}

// Events of `job` (or of all) in the stored turns, from `from` on, up to turn `newest`: the store
// may have one more already, whose answers are not out yet.
Page read_page(const store::StoredTurns& stored, EventPlace from, JobId job, std::uint64_t newest) {
  Page page;
  page.end = from;
  page.turns.reserve(stored.turns.size());
  for (const store::StoredTurns::Turn& turn : stored.turns) {
    if (turn.sequence > newest) return page;
    auto decoded = store::decode_turn(
        {reinterpret_cast<const std::byte*>(turn.facts.data()), turn.facts.size()});
    if (!decoded.ok()) {
      page.damage = decoded.refusal();
      return page;
    }
    page.turns.push_back(std::move(decoded).value());
    const core::Facts& facts = page.turns.back().facts;
    const std::uint32_t first = turn.sequence == from.turn ? from.fact : 0;
    for (std::uint32_t n = first; n < facts.size(); ++n) {
      if (page.events.size() == kEventsMax) return page;
      page.end = {turn.sequence, n + 1};
      EventView event = view_of(facts[n]);
      if (event.kind[0] == '\0' || !concerns(event, job)) continue;
      page.events.push_back(std::move(event));
      page.next.push_back(page.end);
      page.at.push_back(page.turns.back().at);
    }
    page.end = {turn.sequence + 1, 0};
  }
  return page;
}

void write_page(const core::State& state, const Page& page, std::uint64_t lost,
                schema::EventsResult::Page::Builder to) {
  auto events = to.initEvents(static_cast<unsigned>(page.events.size()));
  for (unsigned n = 0; n < events.size(); ++n)
    write_event(page.events[n], page.next[n], state.wall_us(page.at[n]), events[n]);
  auto next = to.initNext();
  next.setTurn(page.end.turn);
  next.setFact(page.end.fact);
  to.setLostTurns(lost);
}

std::uint16_t busy_permille(const core::Node& node) {
  const std::uint64_t all = node.report.capacity.millicores;
  const std::uint64_t taken = all - std::min<std::uint64_t>(all, node.free.millicores);
  return static_cast<std::uint16_t>(all == 0 ? 0 : taken * 1'000 / all);
}

void write_cell(const core::Node& node, schema::Overview::Cell::Builder to) {
  to.setNode(node.ref.id.value);
  to.setPool(node.pool.value);
  to.setState(core::shown_state(node));
  to.setBusyPermille(busy_permille(node));
  std::uint64_t running = 0;
  std::uint64_t placed = 0;
  for (const auto& [stage, allotment] : node.allotments) {
    running += std::min<std::uint64_t>(allotment.claims, allotment.runs.size());
    placed += allotment.runs.size();
  }
  to.setRunning(running);
  to.setQueued(placed - running);
}

bool runs(const core::Job& job) {
  return job.state == core::JobState::kRunning || job.state == core::JobState::kCancelling;
}

// The first `limit` active jobs: those that run, then the others, held ones among them.
std::vector<const core::Job*> jobs_to_show(const core::State& state, std::uint32_t limit) {
  std::vector<const core::Job*> shown;
  for (const bool running : {true, false}) {
    for (const auto& [id, job] : state.jobs()) {
      if (shown.size() == limit) return shown;
      if (job.active() && runs(job) == running) shown.push_back(&job);
    }
  }
  return shown;
}

}  // namespace

kj::Promise<void> SchedulerServer::events(EventsContext context) {
  context.allowCancellation();
  const auto cursor = context.getParams().getCursor();
  return tell_events(context, {cursor.getTurn(), cursor.getFact()}, 0);
}

// Reads on until there is something to tell, or, unless the caller waits, the end.
kj::Promise<void> SchedulerServer::tell_events(EventsContext context, EventPlace from,
                                               std::uint64_t lost) {
  const std::uint64_t newest = services_.engine.sequence();
  if (from.turn > newest + 1) {
    write_refusal(
        {Reason::kNotFound, "cursor " + std::to_string(from.turn) + ": this cluster has had " +
                                std::to_string(newest) + " turns: use a cursor that it gave"},
        context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  return services_.archive.find_turns(from.turn).then(
      [this, context, from, lost](const store::StoredTurns& stored) mutable -> kj::Promise<void> {
        const bool gap = from.turn > 0 && stored.oldest > from.turn;
        if (gap) lost += stored.oldest - from.turn;
        if (from.turn < stored.oldest) from = {stored.oldest, 0};
        const Page page = read_page(stored, from, JobId{context.getParams().getJob()},
                                    services_.engine.sequence());
        if (page.damage) {
          write_refusal(*page.damage, context.getResults().initRefusal());
          return kj::READY_NOW;
        }
        const bool at_end = page.end.turn > services_.engine.sequence();
        const bool stuck = !at_end && page.end == from;  // never, in a store that is whole
        const bool tell = !page.events.empty() || lost > 0 || stuck;
        if (tell || (at_end && !context.getParams().getWait())) {
          write_page(services_.engine.state(), page, lost, context.getResults().initPage());
          return kj::READY_NOW;
        }
        if (!at_end) return tell_events(context, page.end, lost);
        return services_.pulse.wait(page.end.turn - 1)
            .then([this, context,
                   end = page.end](const Result<Done>& woken) mutable -> kj::Promise<void> {
              if (woken.ok()) return tell_events(context, end, 0);
              write_refusal(woken.refusal(), context.getResults().initRefusal());
              return kj::READY_NOW;
            });
      });
}

kj::Promise<void> SchedulerServer::overview(OverviewContext context) {
  context.allowCancellation();
  const std::uint64_t seen = context.getParams().getCursor();
  kj::Promise<Result<Done>> changed =
      seen == 0 ? kj::Promise<Result<Done>>(Result<Done>(Done{})) : services_.pulse.wait(seen);
  return changed.then([this, context](const Result<Done>& woken) mutable -> kj::Promise<void> {
    if (!woken.ok()) {
      write_refusal(woken.refusal(), context.getResults().initRefusal());
      return kj::READY_NOW;
    }
    return services_.engine.query(
        [this, context](const core::State& state) mutable { write_overview(state, context); });
  });
}

void SchedulerServer::write_overview(const core::State& state, OverviewContext& context) const {
  const auto asked = context.getParams();
  auto to = context.getResults().initOverview();
  to.setCursor(services_.engine.sequence());
  to.setNowUs(services_.wall_us());
  auto pools = to.initPools(static_cast<unsigned>(state.pools().size()));
  unsigned n = 0;
  for (const auto& [id, pool] : state.pools()) write_pool(state, pool, pools[n++]);
  const std::size_t nodes = state.nodes().size();
  const std::size_t shown =
      std::min<std::size_t>(nodes, std::min(asked.getNodesMax(), kNodesShownMax));
  auto cells = to.initNodes(static_cast<unsigned>(shown));
  auto node = state.nodes().begin();
  for (n = 0; n < shown; ++n, ++node) write_cell(node->second, cells[n]);
  to.setNodesLeftOut(static_cast<std::uint32_t>(nodes - shown));
  const Running running(state);
  const auto listed = jobs_to_show(state, std::min(asked.getJobsMax(), kJobsShownMax));
  auto jobs = to.initJobs(static_cast<unsigned>(listed.size()));
  for (n = 0; n < jobs.size(); ++n) write_job(state, *listed[n], running, jobs[n]);
  to.setJobsActive(write_totals(state, to.initCounts()));
}

kj::Promise<void> SchedulerServer::copyHistory(CopyHistoryContext context) {
  const std::string path = services_.copy_path();
  return services_.archive.copy_history(path).then(
      [context, path](const Result<Done>& copied) mutable {
        if (copied.ok()) {
          context.getResults().setPath(store::text_of(path));
        } else {
          write_refusal(copied.refusal(), context.getResults().initRefusal());
        }
      });
}

kj::Promise<void> SchedulerServer::pruneHistory(PruneHistoryContext context) {
  const std::int64_t before = context.getParams().getBeforeUs();
  const std::int64_t now = services_.wall_us();
  if (before <= 0 || before > now) {
    write_refusal(invalid("the instant lies in the future, or before 1970: name one in the past"),
                  context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  services_.log("pruning history: asked to by uid " + std::to_string(user_.uid));
  return services_.archive.prune_history({before, now, user_})
      .then([context](const Result<store::Pruned>& pruned) mutable {
        if (!pruned.ok()) {
          write_refusal(pruned.refusal(), context.getResults().initRefusal());
          return;
        }
        auto to = context.getResults().initPruned();
        to.setJobs(pruned.value().jobs);
        to.setRuns(pruned.value().runs);
        to.setOthers(pruned.value().others);
      });
}

}  // namespace leat::wire
