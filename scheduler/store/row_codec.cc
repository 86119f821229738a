#include "scheduler/store/row_codec.h"

#include <limits>
#include <utility>

#include "scheduler/store/message_bytes.h"
#include "scheduler/store/spec_codec.h"
#include "schema/snapshot.capnp.h"

namespace leat::store {
namespace {

void write_allotments(const core::Node& node, schema::NodeRow::Builder to) {
  auto list = to.initAllotments(static_cast<capnp::uint>(node.allotments.size()));
  capnp::uint n = 0;
  for (const auto& [stage, allotment] : node.allotments) {
    auto out = list[n++];
    out.setJob(stage.job.value);
    out.setStage(stage.stage);
    out.setClaims(allotment.claims);
    out.setUntilUs(allotment.until.us());
    auto runs = out.initRuns(static_cast<capnp::uint>(allotment.runs.interval_count()));
    capnp::uint at = 0;
    allotment.runs.for_each([&runs, &at](Interval interval) {
      auto run = runs[at++];
      run.setFirst(interval.first);
      run.setLast(interval.last);
    });
  }
}

void write_duty(const core::Node& node, schema::NodeRow::Builder to) {
  to.setDuty(static_cast<std::uint16_t>(node.duty));
  to.setReason(text_of(node.reason));
  to.setRecallAtUs(node.recall_at.us());
  to.setRequestedUs(node.requested.us());
  to.setJoinedUs(node.joined.us());
  to.setIdleSinceUs(node.idle_since.us());
  to.setCountedUs(node.counted.us());
  to.setUsedMillicoreUs(node.used_millicore_us);
  to.setBusyUs(node.busy_us);
  to.setPlacedUs(node.placed.us());
}

void read_duty(schema::NodeRow::Reader from, core::Node& node) {
  node.duty = static_cast<core::NodeDuty>(from.getDuty());
  node.reason = read_text(from.getReason());
  node.recall_at = time_of(from.getRecallAtUs());
  node.requested = time_of(from.getRequestedUs());
  node.joined = time_of(from.getJoinedUs());
  node.idle_since = time_of(from.getIdleSinceUs());
  node.counted = time_of(from.getCountedUs());
  node.used_millicore_us = from.getUsedMillicoreUs();
  node.busy_us = from.getBusyUs();
  node.placed = time_of(from.getPlacedUs());
  if (node.counted != kNever) return;
  // A row of the first version: its accounts begin with its state.
  node.counted = node.requested = node.since;
  if (node.session == 0) return;
  node.joined = node.since;
  if (node.allotments.empty()) node.idle_since = node.since;
}

Result<core::Allotment> read_allotment(schema::NodeRow::Allotment::Reader from) {
  core::Allotment allotment;
  allotment.claims = from.getClaims();
  allotment.until = time_of(from.getUntilUs());
  for (const auto run : from.getRuns()) {
    if (run.getFirst() > run.getLast() || run.getLast() >= kTasksPerJobMax)
      return invalid("node: runs out of range");
    allotment.runs.insert({run.getFirst(), run.getLast()});
  }
  return allotment;
}

void write_failures(const core::Job& job, schema::JobRow::Builder to) {
  auto list = to.initFailures(static_cast<capnp::uint>(job.failures.size()));
  for (capnp::uint n = 0; n < job.failures.size(); ++n) {
    const core::Failure& failure = job.failures[n];
    auto out = list[n];
    out.setStage(failure.stage);
    out.setIndex(failure.index);
    out.setOutcome(static_cast<schema::Outcome>(failure.outcome));
    out.setCode(failure.code);
    write_node_ref(failure.node, out.initNode());
  }
}

void write_past(const core::PastTasks& past, schema::JobRow::Builder to) {
  to.setTasksKnown(past.known);
  const auto size = [](const IndexList& list) {
    return static_cast<capnp::uint>(list.strides().size());
  };
  write_index_list(past.indices, to.initIndices(size(past.indices)));
  write_index_list(past.unsuccessful, to.initUnsuccessful(size(past.unsuccessful)));
  auto later = to.initLaterUnsuccessful(static_cast<capnp::uint>(past.later.size()));
  for (capnp::uint n = 0; n < later.size(); ++n)
    write_index_list(past.later[n], later.init(n, size(past.later[n])));
  if (past.encoded == nullptr) return;
  core::JobSpec spec;
  spec.encoded = past.encoded;
  with_encoded(spec, [&to](schema::JobSpec::Reader whole) { to.setSpec(whole); });
}

Result<std::shared_ptr<const core::PastTasks>> read_past(schema::JobRow::Reader from) {
  auto past = std::make_shared<core::PastTasks>();
  past->known = from.getTasksKnown();
  Result<IndexList> indices = read_index_list(from.getIndices());
  if (!indices.ok()) return indices.refusal();
  past->indices = std::move(indices).value();
  Result<IndexList> unsuccessful = read_index_list(from.getUnsuccessful());
  if (!unsuccessful.ok()) return unsuccessful.refusal();
  past->unsuccessful = std::move(unsuccessful).value();
  for (const auto list : from.getLaterUnsuccessful()) {
    Result<IndexList> more = read_index_list(list);
    if (!more.ok()) return more.refusal();
    past->later.push_back(std::move(more).value());
  }
  if (from.hasSpec()) {
    Result<core::JobSpec> spec = restore_job_spec(from.getSpec());
    if (!spec.ok()) return spec.refusal();
    past->encoded = spec.value().encoded;
  }
  return std::shared_ptr<const core::PastTasks>(std::move(past));
}

Result<core::Job> read_job(schema::JobRow::Reader from, Past which) {
  if (from.getState() >= core::kJobStateCount) return invalid("job: a state out of range");
  core::Job job;
  job.id = JobId{from.getId()};
  job.key = read_text(from.getKey());
  job.name = read_text(from.getName());
  job.owner = read_principal(from.getOwner());
  job.priority = from.getPriority();
  job.state = static_cast<core::JobState>(from.getState());
  job.cancel_requested = from.getCancelRequested();
  job.submitted = time_of(from.getSubmittedUs());
  job.started = time_of(from.getStartedUs());
  job.ended = time_of(from.getEndedUs());
  job.retried = from.getRetried();
  job.lost = from.getLost();
  for (const auto failure : from.getFailures())
    job.failures.push_back({failure.getStage(), failure.getIndex(),
                            static_cast<Outcome>(failure.getOutcome()), failure.getCode(),
                            read_node_ref(failure.getNode())});
  Result<std::optional<core::Blob>> result = read_blob(from.getResult());
  if (!result.ok()) return result.refusal();
  job.result = std::move(result).value();
  for (const auto counts : from.getFinalCounts()) {
    core::StateCounts& out = job.final_counts.emplace_back();
    // Later versions may know more states; none of theirs is terminal in a job of ours.
    for (capnp::uint n = 0; n < counts.size() && n < out.size(); ++n) out[n] = counts[n];
  }
  job.stage_names = read_texts(from.getStageNames());
  if (from.getStages().size() > core::kStagesPerJobMax) return invalid("job: too many stages");
  for (const auto stage : from.getStages()) {
    core::Stage& out = job.stages.emplace_back();
    out.ended_runs = stage.getEndedRuns();
    out.ended_us = stage.getEndedUs();
    for (const auto state : stage.getAfter()) {
      if (state > static_cast<unsigned>(core::AfterState::kDead))
        return invalid("job: a state of a dependency out of range");
      out.after.push_back({static_cast<core::AfterState>(state), {}});
    }
  }
  job.retry_of = JobId{from.getRetryOf()};
  if (from.getSkipReason() > static_cast<unsigned>(core::SkipReason::kStartWithin))
    return invalid("job: a reason out of range");
  job.skip_reason = static_cast<core::SkipReason>(from.getSkipReason());
  job.skip_cause = JobId{from.getSkipCause()};
  job.held_by = read_principal(from.getHeldBy());
  job.held_since = time_of(from.getHeldUs());
  if (which == Past::kRead && (from.hasSpec() || from.getTasksKnown())) {
    Result<std::shared_ptr<const core::PastTasks>> past = read_past(from);
    if (!past.ok()) return past.refusal();
    job.past = std::move(past).value();
  }
  return job;
}

}  // namespace

std::string encode_meta(const core::Meta& meta) {
  return to_bytes<schema::MetaRow>([&meta](schema::MetaRow::Builder to) {
    to.setHeadEpoch(meta.epoch.value);
    to.setNextJob(meta.next_job);
    to.setNextNode(meta.next_node);
    to.setNextNodeEpoch(meta.next_node_epoch);
    to.setNextPool(meta.next_pool);
    to.setMappedUs(meta.mapped.us());
    to.setMappedWallUs(meta.mapped_wall_us);
  });
}

std::string encode_pool(const core::Pool& pool) {
  return to_bytes<schema::PoolRow>([&pool](schema::PoolRow::Builder to) {
    to.setId(pool.id.value);
    to.setState(static_cast<std::uint16_t>(pool.state));
    write_pool_spec(pool.spec, to.initSpec());
    to.setKey(text_of(pool.key));
    to.setFailures(pool.failures);
    to.setFailedAtUs(pool.failed_at.us());
    to.setTrouble(text_of(pool.trouble));
    to.setProbeAtUs(pool.probe_at.us());
    to.setProbePauseUs(pool.probe_pause.count());
    to.setRecallAtUs(pool.recall_at.us());
    to.setHasSeen(pool.seen.has_value());
    if (pool.seen) write_resources(*pool.seen, to.initSeen());
    write_texts(pool.seen_labels,
                to.initSeenLabels(static_cast<capnp::uint>(pool.seen_labels.size())));
  });
}

std::string encode_node(const core::Node& node) {
  return to_bytes<schema::NodeRow>([&node](schema::NodeRow::Builder to) {
    write_node_ref(node.ref, to.initNode());
    to.setPool(node.pool.value);
    to.setState(static_cast<std::uint16_t>(node.state));
    to.setSinceUs(node.since.us());
    to.setTokenHash(hash_bytes(node.token_hash));
    to.setTokenExpiresUs(node.token_expires.us());
    to.setSession(node.session);
    write_node_ref(node.report.node, to.initReported());
    write_resources(node.report.capacity, to.initCapacity());
    to.setHostName(text_of(node.report.host_name));
    to.setDataAddress(text_of(node.report.data_address));
    to.setAgentPid(node.report.agent_pid);
    to.setWardenPid(node.report.warden_pid);
    to.setTopologyHash(hash_bytes(node.report.topology_hash));
    write_texts(node.report.labels,
                to.initLabels(static_cast<capnp::uint>(node.report.labels.size())));
    write_resources(node.free, to.initFree());
    write_allotments(node, to);
    write_duty(node, to);
  });
}

std::string encode_job(const core::Job& job) {
  return to_bytes<schema::JobRow>([&job](schema::JobRow::Builder to) {
    to.setId(job.id.value);
    to.setKey(text_of(job.key));
    to.setName(text_of(job.name));
    write_principal(job.owner, to.initOwner());
    to.setPriority(job.priority);
    to.setState(static_cast<std::uint16_t>(job.state));
    to.setCancelRequested(job.cancel_requested);
    to.setSubmittedUs(job.submitted.us());
    to.setStartedUs(job.started.us());
    to.setEndedUs(job.ended.us());
    to.setRetried(job.retried);
    to.setLost(job.lost);
    write_failures(job, to);
    if (job.result) write_blob(job.result, to.initResult());
    auto counts = to.initFinalCounts(static_cast<capnp::uint>(job.final_counts.size()));
    for (capnp::uint n = 0; n < job.final_counts.size(); ++n) {
      auto list = counts.init(n, core::kTaskStateCount);
      for (capnp::uint s = 0; s < core::kTaskStateCount; ++s) list.set(s, job.final_counts[n][s]);
    }
    if (!job.stage_names.empty())
      write_texts(job.stage_names,
                  to.initStageNames(static_cast<capnp::uint>(job.stage_names.size())));
    auto stages = to.initStages(static_cast<capnp::uint>(job.stages.size()));
    for (capnp::uint n = 0; n < job.stages.size(); ++n) {
      stages[n].setEndedRuns(job.stages[n].ended_runs);
      stages[n].setEndedUs(job.stages[n].ended_us);
      const auto& after = job.stages[n].after;
      auto states = stages[n].initAfter(static_cast<capnp::uint>(after.size()));
      for (capnp::uint k = 0; k < after.size(); ++k)
        states.set(k, static_cast<std::uint8_t>(after[k].state));
    }
    to.setRetryOf(job.retry_of.value);
    to.setSkipReason(static_cast<std::uint16_t>(job.skip_reason));
    to.setSkipCause(job.skip_cause.value);
    write_principal(job.held_by, to.initHeldBy());
    to.setHeldUs(job.held_since.us());
    if (job.past) write_past(*job.past, to);
  });
}

Result<core::Meta> decode_meta(std::span<const std::byte> bytes) {
  return from_bytes<core::Meta, schema::MetaRow>(
      bytes, "meta", [](schema::MetaRow::Reader from) -> Result<core::Meta> {
        core::Meta meta;
        meta.epoch = HeadEpoch{from.getHeadEpoch()};
        meta.next_job = from.getNextJob();
        meta.next_node = from.getNextNode();
        meta.next_node_epoch = from.getNextNodeEpoch();
        meta.next_pool = from.getNextPool();
        meta.mapped = time_of(from.getMappedUs());
        meta.mapped_wall_us = from.getMappedWallUs();
        return meta;
      });
}

Result<core::Pool> decode_pool(std::span<const std::byte> bytes) {
  return from_bytes<core::Pool, schema::PoolRow>(
      bytes, "pool", [](schema::PoolRow::Reader from) -> Result<core::Pool> {
        if (from.getState() >= core::kPoolStateCount) return invalid("pool: a state out of range");
        core::Pool pool;
        pool.id = PoolId{from.getId()};
        pool.state = static_cast<core::PoolState>(from.getState());
        pool.spec = restore_pool_spec(from.getSpec());
        pool.key = read_text(from.getKey());
        pool.failures = from.getFailures();
        pool.failed_at = time_of(from.getFailedAtUs());
        pool.trouble = read_text(from.getTrouble());
        pool.probe_at = time_of(from.getProbeAtUs());
        pool.probe_pause = Duration{from.getProbePauseUs()};
        pool.recall_at = time_of(from.getRecallAtUs());
        if (from.getHasSeen()) pool.seen = read_resources(from.getSeen());
        pool.seen_labels = read_texts(from.getSeenLabels());
        return pool;
      });
}

Result<core::Node> decode_node(std::span<const std::byte> bytes) {
  return from_bytes<
      core::Node,
      schema::NodeRow>(bytes, "node", [](schema::NodeRow::Reader from) -> Result<core::Node> {
    if (from.getState() >= core::kNodeStateCount) return invalid("node: a state out of range");
    const Result<core::Hash> token = read_hash(from.getTokenHash(), "token");
    if (!token.ok()) return token.refusal();
    const Result<core::Hash> topology = read_hash(from.getTopologyHash(), "topology");
    if (!topology.ok()) return topology.refusal();
    core::Node node;
    node.ref = read_node_ref(from.getNode());
    node.pool = PoolId{from.getPool()};
    node.state = static_cast<core::NodeState>(from.getState());
    node.since = time_of(from.getSinceUs());
    node.token_hash = token.value();
    node.token_expires = time_of(from.getTokenExpiresUs());
    node.session = from.getSession();
    node.report.node = read_node_ref(from.getReported());
    node.report.capacity = read_resources(from.getCapacity());
    node.report.host_name = read_text(from.getHostName());
    node.report.data_address = read_text(from.getDataAddress());
    node.report.agent_pid = from.getAgentPid();
    node.report.warden_pid = from.getWardenPid();
    node.report.topology_hash = topology.value();
    node.report.labels = read_texts(from.getLabels());
    node.free = read_resources(from.getFree());
    for (const auto allotment : from.getAllotments()) {
      Result<core::Allotment> read = read_allotment(allotment);
      if (!read.ok()) return read.refusal();
      node.allotments[{JobId{allotment.getJob()}, allotment.getStage()}] = std::move(read).value();
    }
    if (from.getDuty() >= core::kNodeDutyCount) return invalid("node: a duty out of range");
    read_duty(from, node);
    return node;
  });
}

Result<core::Job> decode_job(std::span<const std::byte> bytes, Past past) {
  return from_bytes<core::Job, schema::JobRow>(
      bytes, "job", [past](schema::JobRow::Reader from) { return read_job(from, past); });
}

}  // namespace leat::store
