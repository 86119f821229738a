#include "scheduler/store/history.h"

#include <capnp/serialize-packed.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"
#include "scheduler/core/pool_rules.h"
#include "scheduler/store/message_bytes.h"
#include "scheduler/store/row_codec.h"
#include "scheduler/store/value_codec.h"
#include "schema/snapshot.capnp.h"

namespace leat::store {
namespace {

constexpr std::array kOutcomeNames{
    "exit",       "signal",     "out-of-memory",   "time-limit",  "node-lost",
    "withdrawn",  "cancelled",  "could-not-start", "quarantined", "dependency-failed",
    "input-lost", "spool-full", "output-lost",
};

std::string pack(const IndexList& indices, const RunColumns& columns, std::int64_t offset_us) {
  capnp::MallocMessageBuilder message;
  auto runs = message.initRoot<schema::HistoryRuns>();
  write_index_list(indices, runs.initIndices(static_cast<capnp::uint>(indices.strides().size())));
  write_columns(columns, runs.initColumns());
  runs.setWallOffsetUs(offset_us);
  kj::VectorOutputStream out;
  capnp::writePackedMessage(out, message);
  const kj::ArrayPtr<kj::byte> bytes = out.getArray();
  return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
}

// Sums over the runs of one row.
void summarise(const RunColumns& columns, std::int64_t offset_us, std::int64_t at_us,
               RunHistory& row) {
  row.started_us = 0;
  row.ended_us = 0;
  bool same = true;
  for (std::size_t n = 0; n < row.count; ++n) {
    const RunRow run = row_of(columns, n);
    same = same && run.outcome == columns.outcome.at(0) && run.code == columns.code.at(0);
    row.wall_us_sum += run.duration_us;
    row.cpu_us_sum += run.cpu_us;
    row.output_bytes_sum += run.output_bytes;
    if (std::abs(run.peak_kib) > std::abs(row.peak_kib_max)) row.peak_kib_max = run.peak_kib;
    if (run.start_us == 0) continue;  // it never started, or nobody knows when
    const std::int64_t start = offset_us + run.start_us;
    row.started_us = row.started_us == 0 ? start : std::min(row.started_us, start);
    row.ended_us = std::max(row.ended_us, start + run.duration_us);
  }
  if (row.ended_us == 0) row.ended_us = at_us;
  if (!same) return;
  row.outcome = columns.outcome.at(0);
  row.code = columns.code.at(0);
}

// Columns of the runs first..first+count-1.
RunColumns part_of(const RunColumns& columns, std::size_t first, std::size_t count) {
  std::vector<RunRow> rows;
  rows.reserve(count);
  for (std::size_t n = 0; n < count; ++n) rows.push_back(row_of(columns, first + n));
  return to_columns(rows);
}

JobHistory job_row(const core::Job& job, const core::State& state) {
  JobHistory row;
  row.id = job.id;
  row.name = job.name;
  row.owner = job.owner;
  row.priority = job.priority;
  row.submitted_us = state.wall_us(job.submitted);
  row.started_us = state.wall_us(job.started);
  row.ended_us = state.wall_us(job.ended);
  row.state = job.state;
  for (const core::StateCounts& counts : job.final_counts)
    for (std::size_t n = 0; n < counts.size(); ++n) row.counts[n] += counts[n];
  row.retried = job.retried;
  row.lost = job.lost;
  row.summary = encode_job(job);
  return row;
}

class Historian {
 public:
  Historian(const core::State& state, Time at, History& out) : state_(state), at_(at), out_(out) {}

  void operator()(const core::PoolSet& f) { action("pool", f.id.value, f.actor, f.spec.name); }
  void operator()(const core::NodeRequested& f) { node(f.node, f.pool, "requested", {}); }
  void operator()(const core::NodesRequested& f) {
    NodeRef ref = f.first;
    for (std::size_t n = 0; n < f.tokens.size(); ++n, ++ref.id.value, ++ref.epoch.value)
      node(ref, f.pool, "requested", {});
  }
  void operator()(const core::DutyChanged& f) {
    for (const NodeRef ref : f.nodes) node(ref, pool_of(ref), core::name_of(f.step), f.reason);
    if (!f.key.empty() && !f.nodes.empty())
      action(core::name_of(f.step), f.nodes.front().id.value, f.actor, f.reason);
  }
  void operator()(const core::RunsRecalled& f) { node(f.node, pool_of(f.node), "recalled", {}); }
  void operator()(const core::NodesDeleting& f) {
    for (const NodeRef ref : f.nodes) node(ref, pool_of(ref), "deleting", f.reason);
    if (!f.key.empty() && !f.nodes.empty())
      action("remove-node", f.nodes.front().id.value, f.actor, f.reason);
  }
  void operator()(const core::PoolPaused& f) {
    action("pool-paused", f.pool.value, f.actor, f.reason);
  }
  void operator()(const core::PoolReopened& f) {
    action("pool-reopened", f.pool.value, f.actor, {});
  }
  void operator()(const core::PoolDeleting& f) {
    action("pool-deleting", f.pool.value, f.actor, f.reason);
  }
  void operator()(const core::PoolRemoved& f) { action("pool-removed", f.pool.value, {}, {}); }
  void operator()(const core::NodeEnrolled& f) { node(f.node, pool_of(f.node), "enrolled", {}); }
  void operator()(const core::NodeJoined& f) {
    node(f.report.node, pool_of(f.report.node), "joined", f.report.host_name);
  }
  void operator()(const core::NodeLost& f) { node(f.node, pool_of(f.node), "lost", {}); }
  void operator()(const core::NodeGone& f) { node(f.node, pool_of(f.node), "gone", f.proof); }
  void operator()(const core::JobAccepted& f) {
    action("submit", f.job.value, f.owner, f.spec->name);
  }
  void operator()(const core::RunsEnded& f) { runs_of(f.runs, f.node, f.state, f.columns); }
  void operator()(const core::RunsRequeued& f) {
    runs_of(f.runs, f.node, core::TaskState::kWaiting, f.columns);
  }
  void operator()(const core::CancelRequested& f) {
    action("cancel", f.stage.job.value, f.actor, f.indices.to_string());
  }
  void operator()(const core::JobEnded& f) {
    const core::Job* job = state_.job(f.job);
    LEAT_CHECK(job != nullptr);
    out_.jobs.push_back(job_row(*job, state_));
  }
  void operator()(const core::HeadStarted& f) { action("start", f.epoch.value, {}, f.version); }
  void operator()(const core::RunsPlaced&) {}
  void operator()(const core::GangPlaced&) {}
  void operator()(const core::MemberEnded& f) {
    // Its gang lives until the fact that follows its last member's end.
    const auto position = state_.stage(f.stage)->spec->indices.position_of(f.index);
    const std::vector<NodeRef>& nodes = state_.gang(f.stage, *position)->nodes;
    const auto member = std::find(nodes.begin(), nodes.end(), f.node) - nodes.begin();
    RunRow row = row_of(f.columns, 0);
    if (row.start_us != 0) row.start_us += state_.wall_us(Time{});
    const std::int64_t end =
        row.start_us == 0 ? state_.wall_us(at_) : row.start_us + row.duration_us;
    out_.members.push_back({{f.stage.job, f.stage.stage, f.attempt, f.index},
                            static_cast<std::uint32_t>(member),
                            f.node,
                            row,
                            end});
  }
  void operator()(const core::TasksSetAside&) {}
  void operator()(const core::OutputsLost&) {}
  void operator()(const core::JobForgotten&) {}
  void operator()(const core::TasksDue&) {}
  void operator()(const core::WishGranted&) {}
  void operator()(const core::JobHeld& f) { action("hold", f.job.value, f.actor, {}); }
  void operator()(const core::JobReleased& f) { action("release", f.job.value, f.actor, {}); }
  void operator()(const core::JobSet& f) {
    action("set", f.job.value, f.actor, "priority " + std::to_string(f.priority) + ", " + f.name);
  }

 private:
  // Zero once the node has left the state: its earlier rows say it.
  PoolId pool_of(NodeRef ref) const {
    const core::Node* node = state_.node(ref);
    return node == nullptr ? PoolId{} : node->pool;
  }
  // One row per kHistorySpan of indices: usually one.
  void runs_of(const core::RunSet& runs, NodeRef node, core::TaskState state,
               const RunColumns& columns) {
    const std::int64_t offset_us = state_.wall_us(Time{});
    const std::uint64_t size = runs.indices.size();
    for (std::uint64_t begin = 0; begin < size;) {
      const Index first = runs.indices.at(begin);
      std::uint64_t count = size - begin;
      if (runs.indices.strides().back().last() - first >= kHistorySpan) {
        count = 1;
        while (begin + count < size && runs.indices.at(begin + count) - first < kHistorySpan)
          ++count;
      }
      const bool whole = count == size;
      const IndexList indices =
          whole ? runs.indices : runs.indices.select(IntervalSet(begin, begin + count - 1));
      const RunColumns part = whole ? columns : part_of(columns, begin, count);
      RunHistory row;
      row.stage = runs.stage;
      row.first = first;
      row.last = indices.strides().back().last();
      row.count = count;
      row.attempt = runs.attempt;
      row.node = node;
      row.state = state;
      summarise(part, offset_us, state_.wall_us(at_), row);
      row.runs = pack(indices, part, offset_us);
      out_.runs.push_back(std::move(row));
      begin += count;
    }
  }
  void node(NodeRef ref, PoolId pool, const char* event, const std::string& text) {
    out_.nodes.push_back({ref, pool, event, state_.wall_us(at_), text});
  }
  void action(const char* what, std::uint64_t subject, const core::Principal& actor,
              const std::string& text) {
    out_.actions.push_back({what, subject, state_.wall_us(at_), actor, text});
  }

  const core::State& state_;
  Time at_;
  History& out_;
};

}  // namespace

std::string name_of(Outcome outcome) {
  const auto number = static_cast<std::size_t>(outcome);
  return number < kOutcomeNames.size() ? kOutcomeNames[number] : std::to_string(number);
}

void history_of(const core::Fact& fact, const core::State& state, Time at, History& out) {
  Historian historian(state, at, out);
  std::visit([&historian](const auto& f) { historian(f); }, fact);
}

IndexList indices_in(const std::string& runs) {
  IndexList found;
  const auto broken = kj::runCatchingExceptions([&] {
    kj::ArrayInputStream in(
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(runs.data()), runs.size()));
    capnp::PackedMessageReader message(in);
    Result<IndexList> indices =
        read_index_list(message.getRoot<schema::HistoryRuns>().getIndices());
    if (indices.ok()) found = std::move(indices).value();
  });
  (void)broken;  // bytes that are no message hold no run
  return found;
}

NodeUseHistory use_row(const core::NodeGone& fact, const core::State& state, Time at) {
  const core::Node* node = state.node(fact.node);
  LEAT_CHECK(node != nullptr);
  const core::Pool* pool = state.pool(node->pool);
  const core::NodeUse use = core::use_of(*node, at);
  NodeUseHistory row;
  row.node = fact.node;
  row.pool = node->pool;
  if (pool != nullptr) row.pool_name = pool->spec.name;
  row.requested_us = state.wall_us(node->requested);
  row.joined_us = state.wall_us(node->joined);
  row.gone_us = state.wall_us(at);
  row.millicores = node->report.capacity.millicores;
  row.used_core_us = static_cast<std::int64_t>(use.used_millicore_us / 1000);
  row.busy_us = static_cast<std::int64_t>(use.busy_us);
  row.why = fact.proof;
  return row;
}

std::optional<RunPlace> run_in(const RunHistory& row, Index index) {
  std::optional<RunPlace> place;
  const auto broken = kj::runCatchingExceptions([&] {
    kj::ArrayInputStream in(
        kj::arrayPtr(reinterpret_cast<const kj::byte*>(row.runs.data()), row.runs.size()));
    capnp::PackedMessageReader message(in);
    const auto runs = message.getRoot<schema::HistoryRuns>();
    const Result<IndexList> indices = read_index_list(runs.getIndices());
    if (!indices.ok()) return;
    const auto position = indices.value().position_of(index);
    if (!position) return;
    const Result<RunColumns> columns = read_columns(runs.getColumns(), indices.value().size());
    if (!columns.ok()) return;
    const RunRow run = row_of(columns.value(), *position);
    place = RunPlace{
        {row.stage.job, row.stage.stage, row.attempt, index},
        row.node,
        run.outcome,
        run.code,
        run.start_us == 0 ? row.ended_us : runs.getWallOffsetUs() + run.start_us + run.duration_us,
        run.output_bytes,
        {}};
  });
  (void)broken;  // bytes that are no message hold no run
  return place;
}

}  // namespace leat::store
