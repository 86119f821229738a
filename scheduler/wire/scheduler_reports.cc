// scheduler_reports.cc - the readers that look at the whole head, and the way to stop it.

#include <optional>
#include <utility>

#include "scheduler/core/lifecycles.h"
#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "scheduler/wire/scheduler_server.h"

namespace leat::wire {
namespace {

void write_daemons(const core::State& state, const HeadFacts& facts, const BlobStore& blobs,
                   schema::Status::Builder to) {
  struct Row {
    const char* name;
    std::uint32_t pid;
    NodeId node;
  };
  std::vector<Row> rows{{"leat-scheduler", facts.pid, {}}};
  if (blobs.pid != 0) rows.push_back({"leat-store", blobs.pid, {}});
  for (const auto& [id, node] : state.nodes()) {
    if (node.state != core::NodeState::kUp) continue;
    rows.push_back({"leat-agent", node.report.agent_pid, id});
    rows.push_back({"leat-warden", node.report.warden_pid, id});
  }
  auto daemons = to.initDaemons(static_cast<unsigned>(rows.size()));
  for (unsigned n = 0; n < daemons.size(); ++n) {
    daemons[n].setName(rows[n].name);
    daemons[n].setPid(rows[n].pid);
    daemons[n].setNode(rows[n].node.value);
  }
}

// What became of a task that does not wait.
core::Cause state_of_task(const core::Stage& stage, Index index) {
  const auto position = stage.spec->indices.position_of(index);
  const core::TaskCell& cell = stage.cells.at(*position);
  std::string message = std::string("the task is ") + core::name_of(cell.state);
  if (cell.node.id) message += " on node " + std::to_string(cell.node.id.value);
  if (cell.attempt > 1) message += ", run " + std::to_string(cell.attempt);
  return {"state", std::move(message), "", 1};
}

core::Cause end_of_job(const core::Job& job) {
  const std::string reason = skip_text(job);
  const std::string id = std::to_string(job.id.value);
  return {"ended",
          "job " + id + " has ended: " + core::name_of(job.state) +
              (reason.empty() ? "" : ": " + reason),
          "leat job show " + id, 0};
}

// Of all stages of an active job; never empty.
std::vector<core::Cause> causes_of_job(const core::State& state, const core::Job& job, Time now) {
  std::vector<core::Cause> causes;
  for (std::size_t n = 0; n < job.stages.size(); ++n)
    for (core::Cause& cause :
         core::why(state, {job.id, static_cast<StageId>(n)}, std::nullopt, now))
      causes.push_back(std::move(cause));
  if (causes.empty())
    causes.push_back({"state",
                      "job " + std::to_string(job.id.value) + " is " + core::name_of(job.state) +
                          "; nothing of it waits for room",
                      "", 0});
  return causes;
}

std::uint64_t running_tasks(const core::State& state) {
  std::uint64_t runs = 0;
  for (const auto& [id, node] : state.nodes())
    for (const auto& [stage, allotment] : node.allotments) runs += allotment.runs.size();
  return runs;
}

}  // namespace

kj::Promise<void> SchedulerServer::status(StatusContext context) {
  return services_.engine.query([this, context](const core::State& state) mutable {
    auto to = context.getResults().initStatus();
    const HeadFacts& facts = services_.facts;
    const BlobStore blobs = services_.blob_store();
    to.setVersion(store::text_of(facts.version));
    to.setHeadEpoch(state.meta().epoch.value);
    to.setClusterId(store::text_of(facts.cluster_id));
    write_daemons(state, facts, blobs, to);
    auto pools = to.initPools(static_cast<unsigned>(state.pools().size()));
    unsigned n = 0;
    for (const auto& [id, pool] : state.pools()) write_pool(state, pool, pools[n++]);
    to.setJobsActive(write_totals(state, to.initCounts()));
    to.setAgentBytesIn(services_.agent_bytes_in());
    to.setAgentBytesOut(services_.agent_bytes_out());
    to.setStoreSequence(services_.engine.sequence());
    to.setStartedUs(facts.started_us);
    to.setAgentAddress(store::text_of(facts.agent_address));
    to.setEnrolAddress(store::text_of(facts.enrol_address));
    to.setStoreAddress(store::text_of(blobs.address));
    to.setStoreFactBytes(services_.engine.fact_bytes_written());
    to.setFacts(services_.engine.facts_written());
  });
}

kj::Promise<void> SchedulerServer::nodes(NodesContext context) {
  return services_.engine.query([context](const core::State& state) mutable {
    auto to = context.getResults().initNodes(static_cast<unsigned>(state.nodes().size()));
    unsigned n = 0;
    for (const auto& [id, node] : state.nodes()) write_node(state, node, to[n++]);
  });
}

kj::Promise<void> SchedulerServer::pools(PoolsContext context) {
  return services_.engine.query([context](const core::State& state) mutable {
    auto to = context.getResults().initPools(static_cast<unsigned>(state.pools().size()));
    unsigned n = 0;
    for (const auto& [id, pool] : state.pools()) write_pool(state, pool, to[n++]);
  });
}

kj::Promise<void> SchedulerServer::why(WhyContext context) {
  const JobId id = resolve(services_.engine.state(), context.getParams().getJob());
  return with_job(id, [this, context, id](const core::State& state, const core::Job* job) mutable {
    const auto asked = context.getParams();
    if (job == nullptr) {
      write_refusal({Reason::kNotFound, "no such job; see: leat job list"},
                    context.getResults().initRefusal());
      return;
    }
    std::vector<core::Cause> causes;
    if (!job->active()) {
      causes.push_back(end_of_job(*job));
    } else if (asked.getOneTask()) {
      const core::Stage* stage = state.stage({id, asked.getStage()});
      if (stage == nullptr || !stage->spec->indices.position_of(asked.getIndex())) {
        write_refusal({Reason::kNotFound, "job " + std::to_string(id.value) + " has no such task"},
                      context.getResults().initRefusal());
        return;
      }
      causes = core::why(state, {id, asked.getStage()}, asked.getIndex(), services_.clock());
      if (causes.empty()) causes.push_back(state_of_task(*stage, asked.getIndex()));
    } else {
      causes = causes_of_job(state, *job, services_.clock());
    }
    auto to = context.getResults().initCauses(static_cast<unsigned>(causes.size()));
    for (unsigned n = 0; n < to.size(); ++n) write_cause(causes[n], to[n]);
  });
}

kj::Promise<void> SchedulerServer::shutdown(ShutdownContext context) {
  const std::uint64_t runs = running_tasks(services_.engine.state());
  if (runs > 0 && !context.getParams().getEndTasks()) {
    write_refusal({Reason::kConflict, std::to_string(runs) +
                                          " tasks are on nodes; wait for them, or: leat down "
                                          "--force (they will run again)"},
                  context.getResults().initRefusal());
    return kj::READY_NOW;
  }
  services_.log("stopping: asked to by uid " + std::to_string(user_.uid));
  return services_.shut_down().then([context]() mutable { context.getResults().setDone(); });
}

}  // namespace leat::wire
