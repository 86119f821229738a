#include "scheduler/store/value_codec.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/check.h"

namespace leat::store {
namespace {

template <typename List>
bool fits(List list, std::uint64_t count) {
  return list.size() <= 1 || list.size() == count;
}

// None, one and many values stay what they are: what is written and read again is equal.
template <typename T, typename List>
Column<T> read_column(List from) {
  if (from.size() == 0) return {};
  if (from.size() == 1) return Column<T>(static_cast<T>(from[0]));
  std::vector<T> values;
  values.reserve(from.size());
  for (const auto value : from) values.push_back(static_cast<T>(value));
  return Column<T>(std::move(values));
}

// `init` makes the list of the size it is given. An absent list costs nothing on disk.
template <typename T, typename Init>
void write_column(const Column<T>& column, Init init) {
  const std::span<const T> values = column.values();
  if (values.empty()) return;
  auto to = init(static_cast<capnp::uint>(values.size()));
  for (capnp::uint i = 0; i < values.size(); ++i) to.set(i, values[i]);
}

}  // namespace

std::string read_text(capnp::Text::Reader text) {
  return std::string(text.begin(), text.size());
}

kj::StringPtr text_of(const std::string& text) {
  return kj::StringPtr(text.c_str(), text.size());
}

capnp::Data::Reader data_of(std::string_view bytes) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size());
}

NodeRef read_node_ref(schema::NodeRef::Reader from) {
  return {NodeId{from.getId()}, NodeEpoch{from.getEpoch()}};
}

void write_node_ref(NodeRef node, schema::NodeRef::Builder to) {
  to.setId(node.id.value);
  to.setEpoch(node.epoch.value);
}

Result<IndexList> read_index_list(StrideReader from) {
  if (from.size() > IndexList::kStridesMax) return invalid("index list: too many strides");
  std::vector<Stride> strides;
  strides.reserve(from.size());
  for (const auto stride : from)
    strides.push_back({stride.getFirst(), stride.getCount(), stride.getStep()});
  return IndexList::from_strides(strides);
}

void write_index_list(const IndexList& list, StrideBuilder to) {
  const std::span<const Stride> strides = list.strides();
  LEAT_CHECK(to.size() == strides.size());
  for (capnp::uint i = 0; i < strides.size(); ++i) {
    auto stride = to[i];
    stride.setFirst(strides[i].first);
    stride.setCount(strides[i].count);
    stride.setStep(strides[i].step);
  }
}

Result<core::RunSet> read_run_set(schema::RunSet::Reader from) {
  if (from.getMember() != 0)
    return Refusal{Reason::kNotInThisVersion, "runs on several nodes: not in this version"};
  Result<IndexList> indices = read_index_list(from.getIndices());
  if (!indices.ok()) return indices.refusal();
  return core::RunSet{
      {JobId{from.getJob()}, from.getStage()}, from.getAttempt(), std::move(indices).value()};
}

void write_run_set(const core::RunSet& runs, schema::RunSet::Builder to) {
  to.setJob(runs.stage.job.value);
  to.setStage(runs.stage.stage);
  to.setAttempt(runs.attempt);
  write_index_list(runs.indices,
                   to.initIndices(static_cast<capnp::uint>(runs.indices.strides().size())));
}

Result<RunColumns> read_columns(schema::RunColumns::Reader from, std::uint64_t count) {
  const auto outcome = from.getOutcome();
  const auto code = from.getCode();
  const auto start_us = from.getStartUs();
  const auto duration_us = from.getDurationUs();
  const auto cpu_us = from.getCpuUs();
  const auto peak_kib = from.getPeakKib();
  const auto output_bytes = from.getOutputBytes();
  const auto flags = from.getFlags();
  const bool fit = fits(outcome, count) && fits(code, count) && fits(start_us, count) &&
                   fits(duration_us, count) && fits(cpu_us, count) && fits(peak_kib, count) &&
                   fits(output_bytes, count) && fits(flags, count);
  if (!fit) return invalid("run columns: a column does not fit its runs");
  RunColumns columns;
  columns.outcome = read_column<Outcome>(outcome);
  columns.code = read_column<std::int32_t>(code);
  columns.start_us = read_column<std::int64_t>(start_us);
  columns.duration_us = read_column<std::int64_t>(duration_us);
  columns.cpu_us = read_column<std::int64_t>(cpu_us);
  columns.peak_kib = read_column<std::int64_t>(peak_kib);
  columns.output_bytes = read_column<std::int64_t>(output_bytes);
  columns.flags = read_column<std::uint32_t>(flags);
  return columns;
}

void write_columns(const RunColumns& columns, schema::RunColumns::Builder to) {
  const std::span<const Outcome> outcomes = columns.outcome.values();
  if (!outcomes.empty()) {
    auto list = to.initOutcome(static_cast<capnp::uint>(outcomes.size()));
    for (capnp::uint i = 0; i < outcomes.size(); ++i)
      list.set(i, static_cast<schema::Outcome>(outcomes[i]));
  }
  write_column(columns.code, [&to](capnp::uint n) { return to.initCode(n); });
  write_column(columns.start_us, [&to](capnp::uint n) { return to.initStartUs(n); });
  write_column(columns.duration_us, [&to](capnp::uint n) { return to.initDurationUs(n); });
  write_column(columns.cpu_us, [&to](capnp::uint n) { return to.initCpuUs(n); });
  write_column(columns.peak_kib, [&to](capnp::uint n) { return to.initPeakKib(n); });
  write_column(columns.output_bytes, [&to](capnp::uint n) { return to.initOutputBytes(n); });
  write_column(columns.flags, [&to](capnp::uint n) { return to.initFlags(n); });
}

core::Principal read_principal(schema::Principal::Reader from) {
  return {from.getUid(), read_text(from.getHost()), read_text(from.getCertificate())};
}

void write_principal(const core::Principal& principal, schema::Principal::Builder to) {
  to.setUid(principal.uid);
  to.setHost(text_of(principal.host));
  to.setCertificate(text_of(principal.certificate));
}

core::Resources read_resources(schema::Resources::Reader from) {
  core::Resources resources{from.getMillicores(), from.getMemoryBytes(), from.getGpus(), {}};
  for (const auto counter : from.getCounters())
    resources.counters.push_back({read_text(counter.getName()), counter.getAmount()});
  return resources;
}

void write_resources(const core::Resources& resources, schema::Resources::Builder to) {
  to.setMillicores(resources.millicores);
  to.setMemoryBytes(resources.memory_bytes);
  to.setGpus(resources.gpus);
  auto counters = to.initCounters(static_cast<capnp::uint>(resources.counters.size()));
  for (capnp::uint i = 0; i < counters.size(); ++i) {
    counters[i].setName(text_of(resources.counters[i].name));
    counters[i].setAmount(resources.counters[i].amount);
  }
}

Result<std::optional<core::Blob>> read_blob(schema::BlobRef::Reader from) {
  if (from.getHash().size() == 0) return std::optional<core::Blob>();
  const Result<core::Hash> hash = read_hash(from.getHash(), "blob");
  if (!hash.ok()) return hash.refusal();
  return std::optional<core::Blob>(core::Blob{hash.value(), from.getLength()});
}

void write_blob(const std::optional<core::Blob>& blob, schema::BlobRef::Builder to) {
  if (!blob) return;
  to.setHash(hash_bytes(blob->hash));
  to.setLength(blob->length);
}

Result<core::Hash> read_hash(capnp::Data::Reader from, const char* what) {
  core::Hash hash{};
  if (from.size() != hash.size())
    return invalid(std::string(what) + ": a SHA-256 has 32 bytes, not " +
                   std::to_string(from.size()));
  std::copy(from.begin(), from.end(), hash.begin());
  return hash;
}

capnp::Data::Reader hash_bytes(const core::Hash& hash) {
  return capnp::Data::Reader(hash.data(), hash.size());
}

std::vector<std::string> read_texts(TextReader from) {
  std::vector<std::string> texts;
  texts.reserve(from.size());
  for (const auto text : from) texts.push_back(read_text(text));
  return texts;
}

void write_texts(const std::vector<std::string>& texts, TextBuilder to) {
  LEAT_CHECK(to.size() == texts.size());
  for (capnp::uint i = 0; i < texts.size(); ++i) to.set(i, text_of(texts[i]));
}

}  // namespace leat::store
