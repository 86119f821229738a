#include "scheduler/store/fact_readers.h"

#include <algorithm>
#include <string>
#include <utility>

#include "scheduler/store/fact_codec.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/spec_codec.h"

namespace leat::store {
namespace {

using core::Fact;

Result<core::TaskState> read_task_state(schema::TaskState from) {
  if (static_cast<unsigned>(from) >= core::kTaskStateCount)
    return invalid("fact: a task state this version does not know");
  return static_cast<core::TaskState>(from);
}

Result<Fact> read(schema::PoolSet::Reader from) {
  core::PoolSet fact;
  fact.id = PoolId{from.getId()};
  fact.spec = restore_pool_spec(from.getSpec());
  fact.actor = read_principal(from.getActor());
  fact.key = read_text(from.getKey());
  return Fact(std::move(fact));
}

Result<Fact> read(schema::NodeRequested::Reader from) {
  const Result<core::Hash> hash = read_hash(from.getTokenHash(), "token");
  if (!hash.ok()) return hash.refusal();
  return Fact(core::NodeRequested{read_node_ref(from.getNode()), PoolId{from.getPool()},
                                  hash.value(), Time{Duration{from.getTokenExpiresUs()}}});
}

Result<Fact> read(schema::NodeJoined::Reader from) {
  const Result<core::Hash> topology = read_hash(from.getTopologyHash(), "topology");
  if (!topology.ok()) return topology.refusal();
  core::NodeJoined fact;
  fact.session = from.getSession();
  core::NodeReport& report = fact.report;
  report.node = read_node_ref(from.getNode());
  report.capacity = read_resources(from.getCapacity());
  report.host_name = read_text(from.getHostName());
  report.data_address = read_text(from.getDataAddress());
  report.agent_pid = from.getAgentPid();
  report.warden_pid = from.getWardenPid();
  report.topology_hash = topology.value();
  report.labels = read_texts(from.getLabels());
  return Fact(std::move(fact));
}

Result<Fact> read(schema::JobAccepted::Reader from) {
  Result<core::JobSpec> spec = restore_job_spec(from.getSpec());
  if (!spec.ok()) return spec.refusal();
  core::JobAccepted fact;
  fact.job = JobId{from.getJob()};
  fact.key = read_text(from.getKey());
  fact.owner = read_principal(from.getOwner());
  fact.spec = std::make_shared<const core::JobSpec>(std::move(spec).value());
  for (const auto state : from.getAfter()) {
    if (static_cast<unsigned>(state) > static_cast<unsigned>(core::AfterState::kDead))
      return invalid("fact: a state of a dependency this version does not know");
    fact.after.push_back(static_cast<core::AfterState>(state));
  }
  return Fact(std::move(fact));
}

Result<Fact> read(schema::RunsPlaced::Reader from) {
  if (from.getShares().size() > 0)
    return invalid("fact: a placement on several nodes, which this version does not know");
  Result<core::RunSet> runs = read_run_set(from.getRuns());
  if (!runs.ok()) return runs.refusal();
  return Fact(
      core::RunsPlaced{std::move(runs).value(), read_node_ref(from.getNode()), from.getClaims()});
}

Result<Fact> read(schema::RunsEnded::Reader from, bool requeued) {
  Result<core::RunSet> runs = read_run_set(from.getRuns());
  if (!runs.ok()) return runs.refusal();
  Result<RunColumns> columns = read_columns(from.getColumns(), runs.value().indices.size());
  if (!columns.ok()) return columns.refusal();
  const Result<core::TaskState> state = read_task_state(from.getState());
  if (!state.ok()) return state.refusal();
  const Result<std::optional<core::Blob>> result = read_blob(from.getResult());
  if (!result.ok()) return result.refusal();
  const NodeRef node = read_node_ref(from.getNode());
  if (requeued)
    return Fact(core::RunsRequeued{std::move(runs).value(), node, std::move(columns).value(),
                                   Duration{std::max<std::int64_t>(from.getDelayUs(), 0)}});
  return Fact(core::RunsEnded{std::move(runs).value(), node, state.value(),
                              std::move(columns).value(), result.value()});
}

Result<Fact> read(schema::GangPlaced::Reader from) {
  if (from.getNodes().size() == 0 || from.getNodes().size() > core::kGangNodesMax)
    return invalid("fact: a gang with a number of nodes this version does not know");
  core::GangPlaced fact{
      {JobId{from.getJob()}, from.getStage()}, from.getAttempt(), from.getIndex(), {}};
  fact.nodes.reserve(from.getNodes().size());
  for (const auto node : from.getNodes()) fact.nodes.push_back(read_node_ref(node));
  return Fact(std::move(fact));
}

Result<Fact> read(schema::MemberEnded::Reader from) {
  Result<RunColumns> columns = read_columns(from.getColumns(), 1);
  if (!columns.ok()) return columns.refusal();
  const Result<std::optional<core::Blob>> result = read_blob(from.getResult());
  if (!result.ok()) return result.refusal();
  return Fact(core::MemberEnded{{JobId{from.getJob()}, from.getStage()},
                                from.getAttempt(),
                                from.getIndex(),
                                read_node_ref(from.getNode()),
                                std::move(columns).value(),
                                result.value()});
}

Result<Fact> read(schema::TasksSetAside::Reader from) {
  Result<IndexList> indices = read_index_list(from.getIndices());
  if (!indices.ok()) return indices.refusal();
  const Result<core::TaskState> state = read_task_state(from.getState());
  if (!state.ok()) return state.refusal();
  const auto reason = static_cast<unsigned>(from.getReason());
  if (reason > static_cast<unsigned>(core::SkipReason::kStartWithin))
    return invalid("fact: a reason to skip tasks this version does not know");
  return Fact(core::TasksSetAside{{JobId{from.getJob()}, from.getStage()},
                                  std::move(indices).value(),
                                  state.value(),
                                  static_cast<core::SkipReason>(reason),
                                  JobId{from.getCause()}});
}

Result<Fact> read(schema::TasksDue::Reader from) {
  Result<IndexList> indices = read_index_list(from.getIndices());
  if (!indices.ok()) return indices.refusal();
  return Fact(core::TasksDue{{JobId{from.getJob()}, from.getStage()}, std::move(indices).value()});
}

Result<Fact> read(schema::JobSet::Reader from) {
  return Fact(core::JobSet{JobId{from.getJob()}, read_principal(from.getActor()),
                           from.getPriority(), read_text(from.getName())});
}

Result<Fact> read(schema::WishGranted::Reader from) {
  const Result<core::WishKind> kind = read_wish_kind(from.getKind());
  if (!kind.ok()) return kind.refusal();
  Result<core::Answer> answer = read_answer(kind.value(), from.getAnswer());
  if (!answer.ok()) return answer.refusal();
  return Fact(core::WishGranted{kind.value(), read_text(from.getKey()),
                                read_principal(from.getActor()), std::move(answer).value()});
}

Result<Fact> read(schema::OutputsLost::Reader from) {
  Result<IndexList> indices = read_index_list(from.getIndices());
  if (!indices.ok()) return indices.refusal();
  return Fact(
      core::OutputsLost{{JobId{from.getJob()}, from.getStage()}, std::move(indices).value()});
}

Result<Fact> read(schema::CancelRequested::Reader from) {
  Result<IndexList> indices = read_index_list(from.getIndices());
  if (!indices.ok()) return indices.refusal();
  return Fact(core::CancelRequested{{JobId{from.getJob()}, from.getStage()},
                                    std::move(indices).value(),
                                    read_principal(from.getActor())});
}

Result<Fact> read(schema::JobEnded::Reader from) {
  if (from.getState() >= core::kJobStateCount)
    return invalid("fact: a job state this version does not know");
  return Fact(core::JobEnded{JobId{from.getJob()}, static_cast<core::JobState>(from.getState())});
}

}  // namespace

Result<Fact> read_fact(schema::Fact::Reader from) {
  switch (from.which()) {
    case schema::Fact::HEAD_STARTED: {
      const auto started = from.getHeadStarted();
      return Fact(core::HeadStarted{HeadEpoch{started.getEpoch()}, started.getWallUs(),
                                    read_text(started.getVersion())});
    }
    case schema::Fact::POOL_SET:
      return read(from.getPoolSet());
    case schema::Fact::NODE_REQUESTED:
      return read(from.getNodeRequested());
    case schema::Fact::NODE_ENROLLED:
      return Fact(core::NodeEnrolled{read_node_ref(from.getNodeEnrolled())});
    case schema::Fact::NODE_JOINED:
      return read(from.getNodeJoined());
    case schema::Fact::NODE_LOST:
      return Fact(core::NodeLost{read_node_ref(from.getNodeLost())});
    case schema::Fact::NODE_GONE: {
      const auto gone = from.getNodeGone();
      return Fact(core::NodeGone{read_node_ref(gone.getNode()), read_text(gone.getProof())});
    }
    case schema::Fact::JOB_ACCEPTED:
      return read(from.getJobAccepted());
    case schema::Fact::RUNS_PLACED:
      return read(from.getRunsPlaced());
    case schema::Fact::RUNS_ENDED:
      return read(from.getRunsEnded(), false);
    case schema::Fact::RUNS_REQUEUED:
      return read(from.getRunsRequeued(), true);
    case schema::Fact::TASKS_SET_ASIDE:
      return read(from.getTasksSetAside());
    case schema::Fact::OUTPUTS_LOST:
      return read(from.getOutputsLost());
    case schema::Fact::CANCEL_REQUESTED:
      return read(from.getCancelRequested());
    case schema::Fact::JOB_ENDED:
      return read(from.getJobEnded());
    case schema::Fact::JOB_FORGOTTEN:
      return Fact(core::JobForgotten{JobId{from.getJobForgotten()}});
    case schema::Fact::TASKS_DUE:
      return read(from.getTasksDue());
    case schema::Fact::JOB_HELD: {
      const auto held = from.getJobHeld();
      return Fact(core::JobHeld{JobId{held.getJob()}, read_principal(held.getActor())});
    }
    case schema::Fact::JOB_RELEASED: {
      const auto released = from.getJobReleased();
      return Fact(core::JobReleased{JobId{released.getJob()}, read_principal(released.getActor())});
    }
    case schema::Fact::GANG_PLACED:
      return read(from.getGangPlaced());
    case schema::Fact::MEMBER_ENDED:
      return read(from.getMemberEnded());
    case schema::Fact::JOB_SET:
      return read(from.getJobSet());
    case schema::Fact::WISH_GRANTED:
      return read(from.getWishGranted());
    default:
      return read_pool_fact(from);
  }
}

Refusal unknown_fact(schema::Fact::Reader from) {
  return invalid("fact of kind " + std::to_string(static_cast<unsigned>(from.which())) +
                 ", which this version of the format (" + std::to_string(kFormatVersion) +
                 ") does not know: it was written by a newer leat");
}

}  // namespace leat::store
