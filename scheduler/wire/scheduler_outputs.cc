// scheduler_outputs.cc - where the output of a task is: at its node, in leat-store, or nowhere.

#include <string>
#include <utility>

#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "scheduler/wire/scheduler_server.h"

namespace leat::wire {
namespace {

std::string name_of(JobId job, StageId stage, Index index) {
  return std::to_string(job.value) + "." + (stage == 0 ? "" : std::to_string(stage) + ".") +
         std::to_string(index);
}

std::string lost_text(NodeRef node, std::int64_t wall_us) {
  return "output lost with node " + std::to_string(node.id.value) + " at " + wall_text(wall_us);
}

// What is known of a task in memory.
struct Seen {
  bool stage = false;    // the stage is here, so the rest is known
  bool task = false;     // and has such a task
  bool placed = false;   // which is on a node, or its output is
  bool pending = false;  // which may run yet
  NodeRef node;          // of the member that is asked for, if it is a gang
  std::size_t members = 0;
};

Seen look_at(const core::State& state, StageRef ref, Index index, std::uint32_t member,
             core::TaskCell& cell) {
  Seen seen;
  const core::Stage* stage = state.stage(ref);
  if (stage == nullptr) return seen;
  seen.stage = true;
  const auto position = stage->spec->indices.position_of(index);
  if (!position) return seen;
  seen.task = true;
  cell = stage->cells.at(*position);
  using core::TaskState;
  seen.placed = cell.state == TaskState::kPlaced || cell.state == TaskState::kEnding ||
                cell.state == TaskState::kHeld;
  seen.pending = !core::is_terminal(cell.state);
  seen.node = cell.node;
  if (!stage->spec->gang) return seen;
  // Where the members of a gang that is over have been, only history knows.
  const core::Gang* gang = state.gang(ref, *position);
  seen.placed = gang != nullptr && member < gang->nodes.size();
  if (!seen.placed) return seen;
  seen.node = gang->nodes[member];
  seen.members = gang->nodes.size();
  return seen;
}

template <typename Context>
kj::Promise<void> refuse(Context context, const Refusal& why) {
  write_refusal(why, context.getResults().initRefusal());
  return kj::READY_NOW;
}

}  // namespace

bool SchedulerServer::write_place(const core::State& state, RunId run, NodeRef node,
                                  schema::LocateResult::Builder to) {
  const core::Node* found = state.node(node);
  const bool stored = found == nullptr || found->report.data_address.empty();
  auto place = to.initPlace();
  auto id = place.initRun();
  id.setJob(run.job.value);
  id.setStage(run.stage);
  id.setAttempt(run.attempt);
  id.setIndex(run.index);
  store::write_node_ref(node, place.initNode());
  place.setStored(stored);
  place.setAddress(
      store::text_of(stored ? services_.blob_store().address : found->report.data_address));
  const std::string ticket = services_.tickets.output_for_user(run, reader());
  place.setTicket(store::data_of(ticket));
  const std::int64_t when = services_.gone.when(node);
  if (stored) place.setLost(store::text_of(lost_text(node, when)));
  return !stored || when != 0;
}

kj::Promise<void> SchedulerServer::write_end(NodeRef node, LocateContext context) {
  return services_.store.find_end_of(node).then([context, node](std::int64_t wall_us) mutable {
    context.getResults().getPlace().setLost(store::text_of(lost_text(node, wall_us)));
  });
}

kj::Promise<void> SchedulerServer::locate(LocateContext context) {
  const JobId id = resolve(services_.engine.state(), context.getParams().getJob());
  auto held = kj::heap<Seen>();
  Seen& seen = *held;
  return services_.engine
      .query([this, context, id, &seen](const core::State& state) mutable {
        const auto asked = context.getParams();
        core::TaskCell cell;
        seen = look_at(state, {id, asked.getStage()}, asked.getIndex(), asked.getMember(), cell);
        if (!seen.placed) return;
        (void)write_place(state, {id, asked.getStage(), cell.attempt, asked.getIndex()}, seen.node,
                          context.getResults());
        context.getResults().getPlace().setMembers(static_cast<std::uint32_t>(seen.members));
      })
      .then([this, context, id, &seen]() mutable -> kj::Promise<void> {
        const auto asked = context.getParams();
        const std::string name = name_of(id, asked.getStage(), asked.getIndex());
        if (seen.placed) return kj::READY_NOW;
        if (seen.stage && !seen.task)
          return refuse(context, {Reason::kNotFound, "there is no task " + name});
        return locate_in_history(context, id, seen.pending);
      })
      .attach(kj::mv(held));
}

kj::Promise<void> SchedulerServer::locate_in_history(LocateContext context, JobId id,
                                                     bool pending) {
  const auto params = context.getParams();
  return services_.store.find_run({id, params.getStage()}, params.getIndex())
      .then([this, context, id,
             pending](std::optional<store::RunPlace> run) mutable -> kj::Promise<void> {
        const core::State& state = services_.engine.state();
        const auto asked = context.getParams();
        const std::string name = name_of(id, asked.getStage(), asked.getIndex());
        if (run) {
          if (!run->members.empty()) {
            if (asked.getMember() >= run->members.size())
              return refuse(context, {Reason::kNotFound, "task " + name + " has no such member"});
            run->node = run->members[asked.getMember()];
          }
          // What is asked of the state here does not change what is told: nodes go for good.
          const bool done = write_place(state, run->run, run->node, context.getResults());
          context.getResults().getPlace().setMembers(
              static_cast<std::uint32_t>(run->members.size()));
          if (done) return kj::READY_NOW;
          return write_end(run->node, context);
        }
        if (pending) {
          const std::string text = "task " + name + " has not run yet; see: leat why " + name;
          context.getResults().setNotYet(store::text_of(text));
          return kj::READY_NOW;
        }
        const bool known = id && id <= state.newest_job();
        return refuse(context,
                      known ? Refusal{Reason::kNotFound, "task " + name +
                                                             " has not run, or there is no such "
                                                             "task; see: leat why " +
                                                             name}
                            : no_job(id));
      });
}

kj::Promise<void> SchedulerServer::tasks(TasksContext context) {
  const auto params = context.getParams();
  const JobId id = resolve(services_.engine.state(), params.getJob());
  const StageRef ref{id, params.getStage()};
  auto write = [context, id](const IndexList& indices) mutable {
    if (indices.size() > store::Store::kTasksFound) {
      write_refusal({Reason::kConflict, "job " + std::to_string(id.value) + " has more than " +
                                            std::to_string(store::Store::kTasksFound) +
                                            " tasks: name those that are wanted, like " +
                                            std::to_string(id.value) + ".0-99"},
                    context.getResults().initRefusal());
      return;
    }
    store::write_index_list(
        indices, context.getResults().initIndices(static_cast<unsigned>(indices.strides().size())));
  };
  const core::Stage* stage = services_.engine.state().stage(ref);
  if (stage != nullptr) {
    write(stage->spec->indices);
    return kj::READY_NOW;
  }
  const bool known = id && id <= services_.engine.state().newest_job();
  if (!known) {
    write_refusal(no_job(id), context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  return services_.store.find_tasks(ref).then(
      [write](const IndexList& indices) mutable { write(indices); });
}

}  // namespace leat::wire
