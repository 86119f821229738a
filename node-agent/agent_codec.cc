#include "node-agent/agent_codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "node-agent/gang_codec.h"
#include "node-agent/stage_codec.h"

namespace leat::agent {
namespace {

// What the log may hold in one record, in words, with room for what the reader counts twice.
constexpr std::uint64_t kStageWordsMax = 16u << 20;

template <typename List, typename Convert>
auto column(List list, Convert convert) {
  std::vector<decltype(convert(list[0]))> values;
  values.reserve(list.size());
  for (const auto& value : list) values.push_back(convert(value));
  return Column(std::move(values));
}

template <typename List>
auto plain_column(List list) {
  return column(list, [](auto value) { return value; });
}

Outcome to_outcome(schema::Outcome value) {
  return static_cast<Outcome>(static_cast<std::uint16_t>(value));
}

schema::Outcome from_outcome(Outcome value) {
  return static_cast<schema::Outcome>(static_cast<std::uint16_t>(value));
}

Result<RunColumns> read_columns(schema::RunColumns::Reader in, std::uint64_t count) {
  RunColumns columns;
  columns.outcome = column(in.getOutcome(), to_outcome);
  columns.code = plain_column(in.getCode());
  columns.start_us = plain_column(in.getStartUs());
  columns.duration_us = plain_column(in.getDurationUs());
  columns.cpu_us = plain_column(in.getCpuUs());
  columns.peak_kib = plain_column(in.getPeakKib());
  columns.output_bytes = plain_column(in.getOutputBytes());
  columns.flags = plain_column(in.getFlags());
  if (!columns.fit(count)) return invalid("columns do not fit their runs");
  return columns;
}

template <typename List, typename T>
void fill(List list, const Column<T>& column) {
  for (kj::uint i = 0; i < list.size(); ++i) list.set(i, column.values()[i]);
}

kj::uint size_of(std::size_t size) {
  return static_cast<kj::uint>(size);
}

void write_columns(const RunColumns& columns, schema::RunColumns::Builder out) {
  auto outcomes = out.initOutcome(size_of(columns.outcome.values().size()));
  for (kj::uint i = 0; i < outcomes.size(); ++i)
    outcomes.set(i, from_outcome(columns.outcome.values()[i]));
  fill(out.initCode(size_of(columns.code.values().size())), columns.code);
  fill(out.initStartUs(size_of(columns.start_us.values().size())), columns.start_us);
  fill(out.initDurationUs(size_of(columns.duration_us.values().size())), columns.duration_us);
  fill(out.initCpuUs(size_of(columns.cpu_us.values().size())), columns.cpu_us);
  fill(out.initPeakKib(size_of(columns.peak_kib.values().size())), columns.peak_kib);
  fill(out.initOutputBytes(size_of(columns.output_bytes.values().size())), columns.output_bytes);
  fill(out.initFlags(size_of(columns.flags.values().size())), columns.flags);
}

}  // namespace

RunId read_run_id(schema::RunId::Reader in) {
  return {JobId{in.getJob()}, in.getStage(), in.getAttempt(), in.getIndex()};
}

void write_run_id(const RunId& run, schema::RunId::Builder out) {
  out.setJob(run.job.value);
  out.setStage(run.stage);
  out.setAttempt(run.attempt);
  out.setIndex(run.index);
}

void write_node(const NodeRef& node, schema::NodeRef::Builder out) {
  out.setId(node.id.value);
  out.setEpoch(node.epoch.value);
}

Result<BlobRef> read_blob(schema::BlobRef::Reader in) {
  BlobRef blob;
  if (in.getHash().size() == 0) return blob;
  if (in.getHash().size() != blob.hash.size()) return invalid("a blob's hash is not 32 bytes");
  std::memcpy(blob.hash.data(), in.getHash().begin(), blob.hash.size());
  blob.length = in.getLength();
  return blob;
}

void write_blob(const BlobRef& blob, schema::BlobRef::Builder out) {
  const auto* bytes = reinterpret_cast<const kj::byte*>(blob.hash.data());
  out.setHash(kj::arrayPtr(bytes, blob.hash.size()));
  out.setLength(blob.length);
}

Result<RunSet> read_run_set(schema::RunSet::Reader in) {
  RunSet set;
  set.stage = {JobId{in.getJob()}, in.getStage()};
  set.attempt = in.getAttempt();
  set.member = in.getMember();
  Result<IndexList> indices = read_indices(in.getIndices());
  if (!indices.ok()) return indices.refusal();
  set.indices = std::move(indices).value();
  return set;
}

void write_run_set(const RunSet& set, schema::RunSet::Builder out) {
  out.setJob(set.stage.job.value);
  out.setStage(set.stage.stage);
  out.setAttempt(set.attempt);
  out.setMember(set.member);
  write_indices(set.indices, out.initIndices(size_of(set.indices.strides().size())));
}

Result<StartSet> read_start_set(schema::StartSet::Reader in) {
  StartSet set;
  Result<RunSet> runs = read_run_set(in.getRuns());
  if (!runs.ok()) return runs.refusal();
  set.runs = std::move(runs).value();
  set.claims = in.getClaims();
  if (in.hasSpec()) {
    Result<StageSpec> spec = read_stage_spec(in.getSpec());
    if (!spec.ok()) return spec.refusal();
    StageSpec whole = std::move(spec).value();
    whole.exclusive = in.getExclusive();
    set.spec = std::make_shared<const StageSpec>(std::move(whole));
  }
  set.task_count = in.getTaskCount();
  if (in.getInputs().size() != 0 && in.getInputs().size() != set.runs.indices.size())
    return invalid("inputs do not fit their runs");
  for (const auto inputs : in.getInputs()) {
    TaskInputs parts;
    for (const auto part : inputs.getParts()) {
      Result<RunSet> from = read_run_set(part.getRuns());
      if (!from.ok()) return from.refusal();
      const kj::ArrayPtr<const char> ticket = part.getTicket().asChars();
      parts.push_back({std::move(from).value(),
                       {NodeId{part.getNode().getId()}, NodeEpoch{part.getNode().getEpoch()}},
                       part.getAddress().cStr(),
                       std::string(ticket.begin(), ticket.size()),
                       part.getOfGangs()});
    }
    set.inputs.push_back(std::move(parts));
  }
  set.job_name = in.getJobName().cStr();
  set.is_result = in.getIsResult();
  const kj::ArrayPtr<const char> ticket = in.getStoreTicket().asChars();
  set.store_ticket.assign(ticket.begin(), ticket.size());
  const kj::ArrayPtr<const char> input_ticket = in.getInputTicket().asChars();
  set.input_ticket.assign(input_ticket.begin(), input_ticket.size());
  if (!in.hasGang()) return set;
  Result<GangStart> gang = read_gang_start(in.getGang());
  if (!gang.ok()) return gang.refusal();
  if (set.runs.indices.size() != 1) return invalid("a gang that is not one run");
  set.gang = std::move(gang).value();
  return set;
}

void write_start_set(const StartSet& set, schema::StartSet::Builder out) {
  write_run_set(set.runs, out.initRuns());
  out.setClaims(set.claims);
  if (set.spec != nullptr) {
    write_stage_spec(*set.spec, out.initSpec());
    out.setExclusive(set.spec->exclusive);
  }
  out.setTaskCount(set.task_count);
  auto inputs = out.initInputs(size_of(set.inputs.size()));
  for (kj::uint i = 0; i < inputs.size(); ++i) {
    auto parts = inputs[i].initParts(size_of(set.inputs[i].size()));
    for (kj::uint k = 0; k < parts.size(); ++k) {
      const InputPart& part = set.inputs[i][k];
      write_run_set(part.runs, parts[k].initRuns());
      write_node(part.node, parts[k].initNode());
      parts[k].setAddress(part.address);
      parts[k].setTicket(kj::arrayPtr(part.ticket.data(), part.ticket.size()).asBytes());
      parts[k].setOfGangs(part.of_gangs);
    }
  }
  out.setJobName(set.job_name);
  out.setIsResult(set.is_result);
  out.setStoreTicket(kj::arrayPtr(set.store_ticket.data(), set.store_ticket.size()).asBytes());
  out.setInputTicket(kj::arrayPtr(set.input_ticket.data(), set.input_ticket.size()).asBytes());
  if (set.gang) write_gang_start(*set.gang, out.initGang());
}

Result<StartBatch> read_start_batch(schema::StartBatch::Reader in) {
  StartBatch batch;
  batch.head_epoch = HeadEpoch{in.getHeadEpoch()};
  batch.session = in.getSession();
  batch.sequence = in.getSequence();
  for (const auto each : in.getSets()) {
    Result<StartSet> set = read_start_set(each);
    if (!set.ok()) return set.refusal();
    batch.sets.push_back(std::move(set).value());
  }
  return batch;
}

void write_start_batch(const StartBatch& batch, schema::StartBatch::Builder out) {
  out.setHeadEpoch(batch.head_epoch.value);
  out.setSession(batch.session);
  out.setSequence(batch.sequence);
  auto sets = out.initSets(size_of(batch.sets.size()));
  for (kj::uint i = 0; i < sets.size(); ++i) write_start_set(batch.sets[i], sets[i]);
}

Result<std::vector<EndOrder>> read_end_orders(capnp::List<schema::EndOrder>::Reader in) {
  std::vector<EndOrder> orders;
  for (const auto each : in) {
    Result<RunSet> runs = read_run_set(each.getRuns());
    if (!runs.ok()) return runs.refusal();
    const Duration grace(std::max<std::int64_t>(0, each.getGraceUs()));
    orders.push_back({std::move(runs).value(), to_outcome(each.getWhy()), grace});
  }
  return orders;
}

void write_end_orders(const std::vector<EndOrder>& orders,
                      capnp::List<schema::EndOrder>::Builder out) {
  for (kj::uint i = 0; i < out.size(); ++i) {
    write_run_set(orders[i].runs, out[i].initRuns());
    out[i].setWhy(from_outcome(orders[i].why));
    out[i].setGraceUs(orders[i].grace.count());
  }
}

Result<ReportBatch> read_report(schema::ReportBatch::Reader in) {
  ReportBatch batch;
  for (const auto each : in.getEnded()) {
    Ended ended;
    Result<RunSet> runs = read_run_set(each.getRuns());
    if (!runs.ok()) return runs.refusal();
    ended.runs = std::move(runs).value();
    Result<RunColumns> columns = read_columns(each.getColumns(), ended.runs.indices.size());
    if (!columns.ok()) return columns.refusal();
    ended.columns = std::move(columns).value();
    if (each.getResult().getHash().size() != 0) {
      Result<BlobRef> blob = read_blob(each.getResult());
      if (!blob.ok()) return blob.refusal();
      ended.result = blob.value();
    }
    batch.ended.push_back(std::move(ended));
  }
  return batch;
}

void write_report(const ReportBatch& batch, schema::ReportBatch::Builder out) {
  auto all = out.initEnded(size_of(batch.ended.size()));
  for (kj::uint i = 0; i < all.size(); ++i) {
    const Ended& ended = batch.ended[i];
    write_run_set(ended.runs, all[i].initRuns());
    write_columns(ended.columns, all[i].initColumns());
    if (ended.result) write_blob(*ended.result, all[i].initResult());
  }
}

std::string stage_to_bytes(const StartSet& set) {
  StartSet stage;
  stage.runs.stage = set.runs.stage;
  stage.spec = set.spec;
  stage.task_count = set.task_count;
  stage.job_name = set.job_name;
  stage.is_result = set.is_result;
  stage.store_ticket = set.store_ticket;
  stage.input_ticket = set.input_ticket;
  capnp::MallocMessageBuilder message;
  write_start_set(stage, message.initRoot<schema::StartSet>());
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(message);
  const kj::ArrayPtr<const char> chars = words.asPtr().asChars();
  return std::string(chars.begin(), chars.size());
}

Result<StartSet> stage_from_bytes(std::string_view bytes) {
  if (bytes.size() % sizeof(capnp::word) != 0) return invalid("a stage in the log is cut");
  kj::Array<capnp::word> words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.begin(), bytes.data(), bytes.size());
  Result<StartSet> set = invalid("");
  capnp::ReaderOptions options;
  options.traversalLimitInWords = kStageWordsMax;
  // Cap'n Proto answers damage with an exception.
  const kj::Maybe<kj::Exception> failure = kj::runCatchingExceptions([&set, &words, &options]() {
    capnp::FlatArrayMessageReader reader(words, options);
    set = read_start_set(reader.getRoot<schema::StartSet>());
  });
  KJ_IF_MAYBE (e, failure) {
    return invalid(std::string("a stage in the log: ") + e->getDescription().cStr());
  }
  return set;
}

}  // namespace leat::agent
