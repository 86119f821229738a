// touched_rows.cc - which rows of the snapshot a fact changes.
//
// Naming one too many costs a few bytes; naming one too few loses a change: the crash tests compare
// digests.

#include "base/check.h"
#include "scheduler/store/snapshot.h"

namespace leat::store {
namespace {

class Toucher {
 public:
  Toucher(const core::State& state, Touched& out) : state_(state), out_(out) {}

  void operator()(const core::HeadStarted&) {
    meta();
    for (const auto& [id, node] : state_.nodes()) row(RowKind::kNode, id.value);
  }
  void operator()(const core::PoolSet& f) {
    meta();
    row(RowKind::kPool, f.id.value);
  }
  void operator()(const core::NodeRequested& f) {
    meta();
    node(f.node);
  }
  void operator()(const core::NodeEnrolled& f) { node(f.node); }
  void operator()(const core::NodeJoined& f) { node_and_pool(f.report.node); }
  void operator()(const core::NodeLost& f) { node(f.node); }
  void operator()(const core::NodeGone& f) { node_and_pool(f.node); }
  void operator()(const core::PoolRemoved& f) { row(RowKind::kPool, f.pool.value); }
  void operator()(const core::NodesRequested& f) {
    meta();
    row(RowKind::kPool, f.pool.value);
    for (std::uint32_t n = 0; n < f.tokens.size(); ++n) row(RowKind::kNode, f.first.id.value + n);
  }
  void operator()(const core::DutyChanged& f) {
    for (const NodeRef ref : f.nodes) node(ref);
  }
  void operator()(const core::RunsRecalled& f) { node(f.node); }
  void operator()(const core::NodesDeleting& f) {
    for (const NodeRef ref : f.nodes) node_and_pool(ref);
  }
  void operator()(const core::PoolPaused& f) { row(RowKind::kPool, f.pool.value); }
  void operator()(const core::PoolReopened& f) { row(RowKind::kPool, f.pool.value); }
  void operator()(const core::PoolDeleting& f) { row(RowKind::kPool, f.pool.value); }
  void operator()(const core::JobAccepted& f) {
    meta();
    keys();
    row(RowKind::kJob, f.job.value);
    row(RowKind::kSpec, f.job.value);
    // What it comes after may be there already.
    for (std::size_t n = 0; n < f.spec->stages.size(); ++n) {
      const core::StageSpec& stage = f.spec->stages[n];
      if (stage.after.empty()) continue;
      const std::uint64_t size = stage.indices.size();
      cells({f.job, static_cast<StageId>(n)}, size, {0, size - 1});
    }
  }
  void operator()(const core::RunsPlaced& f) {
    node(f.node);
    tasks(f.runs.stage, f.runs.indices, false);
  }
  void operator()(const core::GangPlaced& f) {
    for (const NodeRef ref : f.nodes) node(ref);
    tasks(f.stage, IndexList(Stride{f.index}), false);
    gangs(f.stage, IndexList(Stride{f.index}));
  }
  void operator()(const core::MemberEnded& f) {
    node(f.node);
    gangs(f.stage, IndexList(Stride{f.index}));
  }
  void operator()(const core::RunsEnded& f) {
    node(f.node);
    gangs(f.runs.stage, f.runs.indices);
    tasks(f.runs.stage, f.runs.indices, true);
    followers(f.runs.stage, f.runs.indices);
  }
  void operator()(const core::RunsRequeued& f) {
    node(f.node);
    gangs(f.runs.stage, f.runs.indices);
    tasks(f.runs.stage, f.runs.indices, true);
  }
  void operator()(const core::TasksSetAside& f) {
    tasks(f.stage, f.indices, true);
    followers(f.stage, f.indices);
  }
  void operator()(const core::TasksDue& f) { tasks(f.stage, f.indices, true); }
  void operator()(const core::JobHeld& f) { row(RowKind::kJob, f.job.value); }
  void operator()(const core::JobReleased& f) { row(RowKind::kJob, f.job.value); }
  void operator()(const core::JobSet& f) { row(RowKind::kJob, f.job.value); }
  void operator()(const core::WishGranted&) { keys(); }
  void operator()(const core::OutputsLost& f) { tasks(f.stage, f.indices, true); }
  void operator()(const core::CancelRequested& f) {
    if (!f.indices.empty()) return tasks(f.stage, f.indices, false);
    row(RowKind::kJob, f.stage.job.value);
    const core::Job* job = state_.job(f.stage.job);
    LEAT_CHECK(job != nullptr);
    for (std::size_t n = 0; n < job->stages.size(); ++n) {
      job->stages[n].cells.for_each([&](Interval where, const core::TaskCell& cell) {
        if (cell.state == core::TaskState::kPlaced)
          cells(*job, {f.stage.job, static_cast<StageId>(n)}, where);
      });
    }
  }
  void operator()(const core::JobEnded& f) {
    row(RowKind::kJob, f.job.value);
    row(RowKind::kSpec, f.job.value);
    out_.cells_of = f.job;
    const std::set<StageRef>* dependants = state_.dependants(f.job);
    if (dependants == nullptr) return;
    for (const StageRef& ref : *dependants) {
      row(RowKind::kJob, ref.job.value);
      const core::Job& job = *state_.job(ref.job);
      job.stages[ref.stage].cells.for_each([&](Interval where, const core::TaskCell& cell) {
        if (cell.state == core::TaskState::kBlocked) cells(job, ref, where);
      });
    }
  }
  void operator()(const core::JobForgotten& f) { row(RowKind::kJob, f.job.value); }

 private:
  void row(RowKind kind, std::uint64_t id) { out_.rows.push_back({kind, id, 0}); }
  void meta() { row(RowKind::kMeta, 0); }
  // One is added, and the oldest may go.
  void keys() {
    constexpr std::uint64_t kPerPage = core::GrantedWishes::kPerPage;
    const core::GrantedWishes& granted = state_.granted();
    row(RowKind::kKeys, granted.next() / kPerPage);
    static_assert(core::kKeysDroppedPerWish <= kPerPage);
    row(RowKind::kKeys, granted.first() / kPerPage);
    row(RowKind::kKeys, (granted.first() + core::kKeysDroppedPerWish - 1) / kPerPage);
  }
  void node(NodeRef ref) { row(RowKind::kNode, ref.id.value); }
  void node_and_pool(NodeRef ref) {
    node(ref);
    const core::Node* known = state_.node(ref);
    LEAT_CHECK(known != nullptr);
    row(RowKind::kPool, known->pool.value);
  }

  void cells(const core::Job& job, StageRef stage, Interval where) {
    cells(stage, job.stages[stage.stage].cells.size(), where);
  }

  void cells(StageRef stage, std::uint64_t size, Interval where) {
    for (std::uint64_t at = where.first; at <= where.last;) {
      const RowKey key = cells_key(stage, size, at);
      // A batch of single tasks mostly falls into one row.
      if (out_.rows.empty() || out_.rows.back() != key) out_.rows.push_back(key);
      at = cells_covered(key, size).last + 1;
    }
  }

  // The job's own row and the cells of `indices`; with `ends`, also what their ends, or those of
  // reduce steps that their outputs lead to, may bring about in other stages of the job.
  void tasks(StageRef stage, const IndexList& indices, bool ends) {
    row(RowKind::kJob, stage.job.value);
    const core::Job* job = state_.job(stage.job);
    LEAT_CHECK(job != nullptr && stage.stage < job->stages.size());
    const auto positions = job->stages[stage.stage].spec->indices.positions_of(indices);
    LEAT_CHECK(positions.has_value());
    positions->for_each([&](Interval where) {
      cells(*job, stage, where);
      if (ends) climb(*job, stage.stage, where, positions->size());
    });
  }

  // The runs of gangs; nothing for other stages.
  void gangs(StageRef stage, const IndexList& indices) {
    const core::StageSpec& spec = *state_.stage(stage)->spec;
    if (!spec.gang) return;
    const auto positions = spec.indices.positions_of(indices);
    LEAT_CHECK(positions.has_value());
    positions->for_each([&](Interval where) {
      for (std::uint64_t p = where.first; p <= where.last; ++p)
        out_.rows.push_back(gang_key({stage, p}));
    });
  }

  // Stages that wait for these tasks one by one.
  void followers(StageRef stage, const IndexList& indices) {
    const std::set<StageRef>* followers = state_.followers(stage.job);
    if (followers == nullptr || stage.stage != 0) return;
    const core::Job& job = *state_.job(stage.job);
    const auto positions = job.stages[0].spec->indices.positions_of(indices);
    LEAT_CHECK(positions.has_value());
    for (const StageRef& ref : *followers)
      positions->for_each([&](Interval where) { cells(*state_.job(ref.job), ref, where); });
  }

  // `count` tasks have been named in all; each level has no more.
  void climb(const core::Job& job, StageId id, Interval where, std::uint64_t count) {
    waiters(job, id, where, count);
    while (job.stages[id].reduced_by) {
      const StageId above = *job.stages[id].reduced_by;
      const std::uint64_t width = job.stages[above].spec->reduces->width;
      where = {where.first / width, where.last / width};
      cells(job, {job.id, above}, where);
      id = above;
      waiters(job, id, where, count);
    }
  }

  // Stages of the job that come after tasks of this one, `count` of which may end.
  void waiters(const core::Job& job, StageId id, Interval where, std::uint64_t count) {
    for (const StageId waiter : job.stages[id].awaited_by) {
      const StageRef ref{job.id, waiter};
      const core::Stage& stage = job.stages[waiter];
      bool whole = false;
      for (const core::After& after : stage.spec->after) {
        if (after.job || after.stage != id) continue;
        if (after.element_wise) cells(job, ref, where);
        whole = whole || !after.element_wise;
      }
      if (!whole || core::open_tasks(job.stages[id]) > count) continue;
      stage.cells.for_each([&](Interval part, const core::TaskCell& cell) {
        if (cell.state == core::TaskState::kBlocked) cells(job, ref, part);
      });
    }
  }

  const core::State& state_;
  Touched& out_;
};

}  // namespace

Touched rows_of(const core::Fact& fact, const core::State& state) {
  Touched touched;
  Toucher toucher(state, touched);
  std::visit([&toucher](const auto& f) { toucher(f); }, fact);
  return touched;
}

}  // namespace leat::store
