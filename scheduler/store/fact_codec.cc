#include "scheduler/store/fact_codec.h"

#include <utility>

#include "scheduler/store/fact_readers.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/message_bytes.h"
#include "scheduler/store/spec_codec.h"
#include "schema/facts.capnp.h"

namespace leat::store {
namespace {

using core::Fact;

template <typename Builder>
void write_indices(const IndexList& indices, Builder to) {
  write_index_list(indices, to.initIndices(static_cast<capnp::uint>(indices.strides().size())));
}

void write(const core::HeadStarted& f, schema::Fact::Builder to) {
  auto out = to.initHeadStarted();
  out.setEpoch(f.epoch.value);
  out.setWallUs(f.wall_us);
  out.setVersion(text_of(f.version));
}

void write(const core::PoolSet& f, schema::Fact::Builder to) {
  auto out = to.initPoolSet();
  out.setId(f.id.value);
  write_pool_spec(f.spec, out.initSpec());
  write_principal(f.actor, out.initActor());
  out.setKey(text_of(f.key));
}

void write(const core::NodeRequested& f, schema::Fact::Builder to) {
  auto out = to.initNodeRequested();
  write_node_ref(f.node, out.initNode());
  out.setPool(f.pool.value);
  out.setTokenHash(hash_bytes(f.token_hash));
  out.setTokenExpiresUs(f.token_expires.us());
}

void write(const core::NodeEnrolled& f, schema::Fact::Builder to) {
  write_node_ref(f.node, to.initNodeEnrolled());
}

void write(const core::NodeJoined& f, schema::Fact::Builder to) {
  auto out = to.initNodeJoined();
  const core::NodeReport& report = f.report;
  write_node_ref(report.node, out.initNode());
  out.setSession(f.session);
  write_resources(report.capacity, out.initCapacity());
  out.setHostName(text_of(report.host_name));
  out.setDataAddress(text_of(report.data_address));
  out.setAgentPid(report.agent_pid);
  out.setWardenPid(report.warden_pid);
  out.setTopologyHash(hash_bytes(report.topology_hash));
  write_texts(report.labels, out.initLabels(static_cast<capnp::uint>(report.labels.size())));
}

void write(const core::NodeLost& f, schema::Fact::Builder to) {
  write_node_ref(f.node, to.initNodeLost());
}

void write(const core::NodeGone& f, schema::Fact::Builder to) {
  auto out = to.initNodeGone();
  write_node_ref(f.node, out.initNode());
  out.setProof(text_of(f.proof));
}

void write(const core::JobAccepted& f, schema::Fact::Builder to) {
  auto out = to.initJobAccepted();
  out.setJob(f.job.value);
  out.setKey(text_of(f.key));
  write_principal(f.owner, out.initOwner());
  with_encoded(*f.spec, [&out](schema::JobSpec::Reader spec) { out.setSpec(spec); });
  if (f.after.empty()) return;
  auto after = out.initAfter(static_cast<capnp::uint>(f.after.size()));
  for (capnp::uint n = 0; n < after.size(); ++n)
    after.set(n, static_cast<schema::AfterState>(f.after[n]));
}

void write(const core::RunsPlaced& f, schema::Fact::Builder to) {
  auto out = to.initRunsPlaced();
  write_run_set(f.runs, out.initRuns());
  write_node_ref(f.node, out.initNode());
  out.setClaims(f.claims);
}

void write(const core::RunsEnded& f, schema::Fact::Builder to) {
  auto out = to.initRunsEnded();
  write_run_set(f.runs, out.initRuns());
  write_node_ref(f.node, out.initNode());
  out.setState(static_cast<schema::TaskState>(f.state));
  write_columns(f.columns, out.initColumns());
  if (f.result) write_blob(f.result, out.initResult());
}

void write(const core::RunsRequeued& f, schema::Fact::Builder to) {
  auto out = to.initRunsRequeued();
  write_run_set(f.runs, out.initRuns());
  write_node_ref(f.node, out.initNode());
  out.setState(f.delay.count() > 0 ? schema::TaskState::DELAYED : schema::TaskState::WAITING);
  write_columns(f.columns, out.initColumns());
  out.setDelayUs(f.delay.count());
}

void write(const core::TasksSetAside& f, schema::Fact::Builder to) {
  auto out = to.initTasksSetAside();
  out.setJob(f.stage.job.value);
  out.setStage(f.stage.stage);
  write_indices(f.indices, out);
  out.setState(static_cast<schema::TaskState>(f.state));
  out.setReason(static_cast<schema::SkipReason>(f.reason));
  out.setCause(f.cause.value);
}

void write(const core::OutputsLost& f, schema::Fact::Builder to) {
  auto out = to.initOutputsLost();
  out.setJob(f.stage.job.value);
  out.setStage(f.stage.stage);
  write_indices(f.indices, out);
}

void write(const core::CancelRequested& f, schema::Fact::Builder to) {
  auto out = to.initCancelRequested();
  out.setJob(f.stage.job.value);
  out.setStage(f.stage.stage);
  write_indices(f.indices, out);
  write_principal(f.actor, out.initActor());
}

void write(const core::JobEnded& f, schema::Fact::Builder to) {
  auto out = to.initJobEnded();
  out.setJob(f.job.value);
  out.setState(static_cast<std::uint16_t>(f.state));
}

void write(const core::JobForgotten& f, schema::Fact::Builder to) {
  to.setJobForgotten(f.job.value);
}

void write(const core::TasksDue& f, schema::Fact::Builder to) {
  auto out = to.initTasksDue();
  out.setJob(f.stage.job.value);
  out.setStage(f.stage.stage);
  write_indices(f.indices, out);
}

void write(const core::JobHeld& f, schema::Fact::Builder to) {
  auto out = to.initJobHeld();
  out.setJob(f.job.value);
  write_principal(f.actor, out.initActor());
}

void write(const core::JobReleased& f, schema::Fact::Builder to) {
  auto out = to.initJobReleased();
  out.setJob(f.job.value);
  write_principal(f.actor, out.initActor());
}

void write(const core::JobSet& f, schema::Fact::Builder to) {
  auto out = to.initJobSet();
  out.setJob(f.job.value);
  write_principal(f.actor, out.initActor());
  out.setPriority(f.priority);
  out.setName(text_of(f.name));
}

template <typename Builder>
void write_member_run(StageRef stage, Attempt attempt, Index index, Builder to) {
  to.setJob(stage.job.value);
  to.setStage(stage.stage);
  to.setAttempt(attempt);
  to.setIndex(index);
}

template <typename Builder>
void write_nodes(const std::vector<NodeRef>& nodes, Builder to) {
  auto list = to.initNodes(static_cast<capnp::uint>(nodes.size()));
  for (capnp::uint n = 0; n < list.size(); ++n) write_node_ref(nodes[n], list[n]);
}

template <typename Builder>
void write_who(const core::Principal& actor, const std::string& key, Builder to) {
  write_principal(actor, to.initActor());
  to.setKey(text_of(key));
}

void write(const core::WishGranted& f, schema::Fact::Builder to) {
  auto out = to.initWishGranted();
  out.setKind(static_cast<std::uint16_t>(f.kind));
  write_who(f.actor, f.key, out);
  write_answer(f.answer, out.initAnswer());
}

void write(const core::PoolRemoved& f, schema::Fact::Builder to) {
  to.setPoolRemoved(f.pool.value);
}

void write(const core::NodesRequested& f, schema::Fact::Builder to) {
  auto out = to.initNodesRequested();
  write_node_ref(f.first, out.initFirst());
  out.setPool(f.pool.value);
  auto hashes = out.initTokenHashes(static_cast<capnp::uint>(f.tokens.size()));
  for (capnp::uint n = 0; n < hashes.size(); ++n) hashes.set(n, hash_bytes(f.tokens[n]));
  out.setTokenExpiresUs(f.token_expires.us());
}

void write(const core::DutyChanged& f, schema::Fact::Builder to) {
  auto out = to.initDutyChanged();
  write_nodes(f.nodes, out);
  out.setStep(static_cast<std::uint16_t>(f.step));
  out.setReason(text_of(f.reason));
  out.setRecallAtUs(f.recall_at.us());
  write_who(f.actor, f.key, out);
}

void write(const core::RunsRecalled& f, schema::Fact::Builder to) {
  write_node_ref(f.node, to.initRunsRecalled());
}

void write(const core::NodesDeleting& f, schema::Fact::Builder to) {
  auto out = to.initNodesDeleting();
  write_nodes(f.nodes, out);
  out.setCause(static_cast<std::uint16_t>(f.cause));
  out.setReason(text_of(f.reason));
  write_who(f.actor, f.key, out);
}

void write(const core::PoolPaused& f, schema::Fact::Builder to) {
  auto out = to.initPoolPaused();
  out.setPool(f.pool.value);
  out.setReason(text_of(f.reason));
  out.setProbeAtUs(f.probe_at.us());
  write_who(f.actor, f.key, out);
}

void write(const core::PoolReopened& f, schema::Fact::Builder to) {
  auto out = to.initPoolReopened();
  out.setPool(f.pool.value);
  write_who(f.actor, f.key, out);
}

void write(const core::PoolDeleting& f, schema::Fact::Builder to) {
  auto out = to.initPoolDeleting();
  out.setPool(f.pool.value);
  out.setReason(text_of(f.reason));
  out.setRecallAtUs(f.recall_at.us());
  write_who(f.actor, f.key, out);
}

void write(const core::GangPlaced& f, schema::Fact::Builder to) {
  auto out = to.initGangPlaced();
  write_member_run(f.stage, f.attempt, f.index, out);
  write_nodes(f.nodes, out);
}

void write(const core::MemberEnded& f, schema::Fact::Builder to) {
  auto out = to.initMemberEnded();
  write_member_run(f.stage, f.attempt, f.index, out);
  write_node_ref(f.node, out.initNode());
  write_columns(f.columns, out.initColumns());
  if (f.result) write_blob(f.result, out.initResult());
}

}  // namespace

std::string encode_turn(const core::Facts& facts, Time at, HeadEpoch epoch) {
  return to_bytes<schema::Turn>([&](schema::Turn::Builder turn) {
    turn.setTimeUs(at.us());
    turn.setHeadEpoch(epoch.value);
    auto list = turn.initFacts(static_cast<capnp::uint>(facts.size()));
    for (capnp::uint i = 0; i < facts.size(); ++i)
      std::visit([&list, i](const auto& fact) { write(fact, list[i]); }, facts[i]);
  });
}

Result<DecodedTurn> decode_turn(std::span<const std::byte> bytes) {
  return from_bytes<DecodedTurn, schema::Turn>(
      bytes, "turn", [bytes](schema::Turn::Reader from) -> Result<DecodedTurn> {
        DecodedTurn turn{Time{Duration{from.getTimeUs()}}, HeadEpoch{from.getHeadEpoch()}, {}};
        const auto facts = from.getFacts();
        // A list of empty structs says any number in no bytes; ours are never empty.
        if (facts.size() > bytes.size() / sizeof(capnp::word))
          return invalid("turn: more facts than it has room for");
        turn.facts.reserve(facts.size());
        for (const auto fact : facts) {
          Result<Fact> read = read_fact(fact);
          if (!read.ok()) return read.refusal();
          turn.facts.push_back(std::move(read).value());
        }
        return turn;
      });
}

}  // namespace leat::store
