#include "scheduler/wire/events.h"

#include <string>
#include <variant>
#include <vector>

#include "scheduler/core/lifecycles.h"
#include "scheduler/store/value_codec.h"

namespace leat::wire {
namespace {

EventView about_node(const char* kind, NodeRef node) {
  EventView view;
  view.kind = kind;
  view.node = node.id;
  return view;
}

EventView about_pool(const char* kind, PoolId pool) {
  EventView view;
  view.kind = kind;
  view.pool = pool;
  return view;
}

// Several nodes at once: the first, and all of them in the text.
EventView about_nodes(const char* kind, const std::vector<NodeRef>& nodes,
                      const std::string& reason) {
  EventView view = about_node(kind, nodes.empty() ? NodeRef{} : nodes.front());
  view.text = reason;
  if (nodes.size() < 2) return view;
  view.text += view.text.empty() ? "nodes" : "; nodes";
  for (const NodeRef node : nodes) view.text += ' ' + std::to_string(node.id.value);
  return view;
}

// Nothing if it was Leat itself.
const core::Principal* person(const core::Principal& actor) {
  return actor.host.empty() && actor.certificate.empty() ? nullptr : &actor;
}

EventView about_tasks(const char* kind, StageRef stage, const IndexList& indices) {
  EventView view;
  view.kind = kind;
  view.job = stage.job;
  view.stage = stage.stage;
  view.indices = &indices;
  return view;
}

EventView about_wish(const char* kind, JobId job, const core::Principal& actor) {
  EventView view;
  view.kind = kind;
  view.job = job;
  view.actor = &actor;
  return view;
}

EventView about_runs(const char* kind, const core::RunSet& runs, NodeRef node) {
  EventView view = about_tasks(kind, runs.stage, runs.indices);
  view.attempt = runs.attempt;
  view.node = node.id;
  return view;
}

template <typename Fact>
EventView about_gang(EventView view, const Fact& fact) {
  view.job = fact.stage.job;
  view.stage = fact.stage.stage;
  view.index = fact.index;
  view.attempt = fact.attempt;
  return view;
}

// One overload per kind of fact, in the order of the variant.
struct Words {
  EventView operator()(const core::HeadStarted& f) const {
    EventView view;
    view.kind = "head-started";
    view.text = f.version;
    return view;
  }
  EventView operator()(const core::PoolSet& f) const {
    EventView view;
    view.kind = "pool-set";
    view.pool = f.id;
    view.actor = &f.actor;
    view.text = f.spec.name;
    return view;
  }
  EventView operator()(const core::NodeRequested& f) const {
    EventView view = about_node("node-requested", f.node);
    view.pool = f.pool;
    return view;
  }
  EventView operator()(const core::NodeEnrolled& f) const {
    return about_node("node-enrolled", f.node);
  }
  EventView operator()(const core::NodeJoined& f) const {
    EventView view = about_node("node-joined", f.report.node);
    view.text = f.report.host_name;
    return view;
  }
  EventView operator()(const core::NodeLost& f) const { return about_node("node-lost", f.node); }
  EventView operator()(const core::NodeGone& f) const {
    EventView view = about_node("node-gone", f.node);
    view.text = f.proof;
    return view;
  }
  EventView operator()(const core::JobAccepted& f) const {
    EventView view;
    view.kind = "job-accepted";
    view.job = f.job;
    view.actor = &f.owner;
    view.text = f.spec->name;
    if (!f.spec->stages.empty()) view.indices = &f.spec->stages.front().indices;
    return view;
  }
  EventView operator()(const core::RunsPlaced& f) const {
    return about_runs("runs-placed", f.runs, f.node);
  }
  EventView operator()(const core::GangPlaced& f) const {
    EventView view = about_nodes("gang-placed", f.nodes, {});
    return about_gang(std::move(view), f);
  }
  EventView operator()(const core::MemberEnded& f) const {
    return about_gang(about_node("member-ended", f.node), f);
  }
  EventView operator()(const core::RunsEnded& f) const {
    EventView view = about_runs("runs-ended", f.runs, f.node);
    view.state = core::name_of(f.state);
    return view;
  }
  EventView operator()(const core::RunsRequeued& f) const {
    EventView view = about_runs("runs-requeued", f.runs, f.node);
    const bool delayed = f.delay.count() > 0;
    view.state = core::name_of(delayed ? core::TaskState::kDelayed : core::TaskState::kWaiting);
    view.retry_in = f.delay;
    return view;
  }
  EventView operator()(const core::TasksSetAside& f) const {
    EventView view = about_tasks("tasks-set-aside", f.stage, f.indices);
    view.state = core::name_of(f.state);
    return view;
  }
  EventView operator()(const core::OutputsLost& f) const {
    return about_tasks("outputs-lost", f.stage, f.indices);
  }
  EventView operator()(const core::CancelRequested& f) const {
    EventView view = about_tasks("cancel-requested", f.stage, f.indices);
    view.actor = &f.actor;
    return view;
  }
  EventView operator()(const core::TasksDue& f) const {
    return about_tasks("tasks-due", f.stage, f.indices);
  }
  EventView operator()(const core::JobHeld& f) const {
    return about_wish("job-held", f.job, f.actor);
  }
  EventView operator()(const core::JobReleased& f) const {
    return about_wish("job-released", f.job, f.actor);
  }
  EventView operator()(const core::JobSet& f) const {
    EventView view = about_wish("job-set", f.job, f.actor);
    view.text = "priority " + std::to_string(f.priority) + ", " + f.name;
    return view;
  }
  // What came of the wish says so itself.
  EventView operator()(const core::WishGranted&) const { return {}; }
  EventView operator()(const core::JobEnded& f) const {
    EventView view;
    view.kind = "job-ended";
    view.job = f.job;
    view.state = core::name_of(f.state);
    return view;
  }
  EventView operator()(const core::JobForgotten& f) const {
    EventView view;
    view.kind = "job-forgotten";
    view.job = f.job;
    return view;
  }
  EventView operator()(const core::PoolRemoved& f) const {
    return about_pool("pool-removed", f.pool);
  }
  EventView operator()(const core::NodesRequested& f) const {
    EventView view = about_node("nodes-requested", f.first);
    view.pool = f.pool;
    view.text = std::to_string(f.tokens.size());
    return view;
  }
  EventView operator()(const core::DutyChanged& f) const {
    EventView view = about_nodes("node-duty-changed", f.nodes, f.reason);
    view.state = core::name_of(f.step);
    view.actor = person(f.actor);
    return view;
  }
  EventView operator()(const core::RunsRecalled& f) const {
    return about_node("runs-recalled", f.node);
  }
  EventView operator()(const core::NodesDeleting& f) const {
    EventView view = about_nodes("nodes-deleting", f.nodes, f.reason);
    view.actor = person(f.actor);
    return view;
  }
  EventView operator()(const core::PoolPaused& f) const {
    EventView view = about_pool("pool-paused", f.pool);
    view.actor = person(f.actor);
    view.text = f.reason;
    return view;
  }
  EventView operator()(const core::PoolReopened& f) const {
    EventView view = about_pool("pool-reopened", f.pool);
    view.actor = person(f.actor);
    return view;
  }
  EventView operator()(const core::PoolDeleting& f) const {
    EventView view = about_pool("pool-deleting", f.pool);
    view.actor = person(f.actor);
    view.text = f.reason;
    return view;
  }
};

}  // namespace

EventView view_of(const core::Fact& fact) {
  return std::visit(Words{}, fact);
}

void write_event(const EventView& event, EventPlace next, std::int64_t at_us,
                 schema::Event::Builder to) {
  auto place = to.initNext();
  place.setTurn(next.turn);
  place.setFact(next.fact);
  to.setAtUs(at_us);
  to.setKind(event.kind);
  to.setJob(event.job.value);
  to.setStage(event.stage);
  if (event.indices != nullptr) {
    const auto strides = static_cast<unsigned>(event.indices->strides().size());
    store::write_index_list(*event.indices, to.initIndices(strides));
    to.setCount(event.indices->size());
  }
  if (event.index) {
    store::write_index_list(IndexList(Stride{*event.index}), to.initIndices(1));
    to.setCount(1);
  }
  to.setAttempt(event.attempt);
  to.setNode(event.node.value);
  to.setPool(event.pool.value);
  to.setState(event.state);
  if (event.actor != nullptr) {
    to.setUid(event.actor->uid);
    to.setPerson(true);
  }
  to.setText(store::text_of(event.text));
  to.setRetryInUs(event.retry_in.count());
}

}  // namespace leat::wire
