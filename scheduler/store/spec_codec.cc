#include "scheduler/store/spec_codec.h"

#include <capnp/message.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/labels.h"
#include "scheduler/store/spec_rules.h"

namespace leat::store {
namespace {

// Runs `read` on a message that may be broken: what Cap'n Proto throws becomes a refusal.
template <typename T, typename Read>
Result<T> guarded(const char* what, Read read) {
  Result<T> result = invalid("");
  KJ_IF_MAYBE (exception, kj::runCatchingExceptions([&] { result = read(); })) {
    return invalid(std::string(what) +
                   ": a damaged message: " + exception->getDescription().cStr());
  }
  return result;
}

// A copy of its own, as one flat message of one segment.
Result<std::shared_ptr<const std::string>> flatten(schema::JobSpec::Reader from) {
  const std::uint64_t words = from.totalSize().wordCount + 1;
  if (words * sizeof(capnp::word) > core::kSpecBytesMax)
    return invalid("the job is larger than " + std::to_string(core::kSpecBytesMax >> 20) +
                   " MiB: its environment, arguments and lists together");
  capnp::MallocMessageBuilder message(static_cast<capnp::uint>(words));
  message.setRoot(from);
  LEAT_CHECK(message.getSegmentsForOutput().size() == 1);
  const kj::Array<capnp::word> flat = capnp::messageToFlatArray(message);
  return std::shared_ptr<const std::string>(std::make_shared<const std::string>(
      reinterpret_cast<const char*>(flat.begin()), flat.asBytes().size()));
}

core::RetryOn read_retry_on(schema::RetryOn::Reader from) {
  core::RetryOn on;
  on.only = from.getOnly();
  for (const std::uint8_t code : from.getCodes())
    on.codes[code / 64] |= std::uint64_t{1} << (code % 64);
  for (const std::uint8_t signal : from.getSignals())
    if (signal < 64) on.signals |= std::uint64_t{1} << signal;
  for (const auto outcome : from.getOutcomes())
    if (static_cast<unsigned>(outcome) < 64)
      on.outcomes |= std::uint64_t{1} << static_cast<unsigned>(outcome);
  return on;
}

// An enumerator of a newer version is as good as none.
std::optional<core::Packing> read_packing(schema::Placement from) {
  if (from == schema::Placement::PACK) return core::Packing::kPack;
  if (from == schema::Placement::SPREAD) return core::Packing::kSpread;
  return std::nullopt;
}

// Ranks are started through PMIx, which nodes have that say so. They talk to each other in words of
// their Open MPI's own, which other versions need not know.
bool needs_open_mpi(schema::StageSpec::Reader stage) {
  const auto launch = stage.getGang().getLaunch();
  return stage.getMembers().size() > 0 &&
         stage.getMembers()[0].getSpread() == schema::Member::Spread::DISTINCT_NODES &&
         (launch == schema::GangSpec::Launch::MPI ||
          launch == schema::GangSpec::Launch::MPI_REQUIRED);
}

Result<core::StageSpec> read_stage(schema::StageSpec::Reader from) {
  core::StageSpec stage;
  Result<IndexList> indices = read_index_list(from.getIndices());
  if (!indices.ok()) return indices.refusal();
  stage.indices = std::move(indices).value();
  const auto members = from.getMembers();
  if (members.size() > 0) {
    stage.resources = read_resources(members[0].getResources());
    stage.nodes = members[0].getCount();
    stage.gang = members[0].getSpread() == schema::Member::Spread::DISTINCT_NODES;
  }
  if (needs_open_mpi(from)) stage.in_common = kMpiLabel;
  stage.retries = from.getRetries();
  stage.time_limit = Duration{from.getTimeLimitUs()};
  stage.grace = Duration{from.getGraceUs()};
  stage.lease = Duration{from.getLeaseUs()};
  stage.on_node_loss = static_cast<core::OnNodeLoss>(from.getOnNodeLoss());
  for (const auto after : from.getAfter())
    stage.after.push_back({JobId{after.getJob()}, after.getElementWise(),
                           static_cast<core::Condition>(after.getOn()), after.getStage()});
  stage.name = read_text(from.getName());
  const auto delay = from.getRetryDelay();
  stage.retry_delay = {Duration{delay.getUs()}, delay.getFactorMilli(), Duration{delay.getMaxUs()}};
  stage.retry_on = read_retry_on(from.getRetryOn());
  stage.start_within = Duration{from.getStartWithinUs()};
  const auto inputs = from.getInputs();
  if (inputs.isOutputs()) {
    const auto outputs = inputs.getOutputs();
    stage.reduces = core::ReduceInput{outputs.getStage(), outputs.getWidth()};
  }
  return stage;
}

Result<core::JobSpec> read_fields(schema::JobSpec::Reader from) {
  core::JobSpec spec;
  spec.name = read_text(from.getName());
  spec.priority = from.getPriority();
  spec.pools = read_texts(from.getPools());
  spec.result_stage = from.getResultStage();
  spec.retry_of = JobId{from.getRetryOf()};
  for (const auto text : from.getRequires()) {
    Result<Requirement> requirement = parse_requirement(read_text(text));
    if (!requirement.ok()) return requirement.refusal();
    spec.labels.push_back(std::move(requirement).value());
  }
  spec.packing = read_packing(from.getPlacement());
  const auto stages = from.getStages();
  if (stages.size() > core::kStagesPerJobMax)
    return invalid("more than " + std::to_string(core::kStagesPerJobMax) + " stages");
  spec.stages.reserve(stages.size());
  for (capnp::uint id = 0; id < stages.size(); ++id) {
    Result<core::StageSpec> stage = read_stage(stages[id]);
    if (!stage.ok())
      return Refusal{stage.refusal().reason,
                     "stage " + std::to_string(id) + ": " + stage.refusal().message};
    spec.stages.push_back(std::move(stage).value());
    spec.stages.back().exclusive = from.getExclusive();
  }
  return spec;
}

Result<core::JobSpec> read_whole(schema::JobSpec::Reader from) {
  Result<core::JobSpec> spec = read_fields(from);
  if (!spec.ok()) return spec;
  Result<std::shared_ptr<const std::string>> encoded = flatten(from);
  if (!encoded.ok()) return encoded.refusal();
  core::JobSpec whole = std::move(spec).value();
  whole.encoded = std::move(encoded).value();
  return whole;
}

}  // namespace

namespace detail {

kj::ArrayPtr<const capnp::word> words_of(const core::JobSpec& spec) {
  LEAT_CHECK(spec.encoded != nullptr && spec.encoded->size() % sizeof(capnp::word) == 0);
  // Strings of more than 15 bytes are on the heap, which aligns for words.
  const char* bytes = spec.encoded->data();
  LEAT_CHECK(reinterpret_cast<std::uintptr_t>(bytes) % alignof(capnp::word) == 0);
  return kj::arrayPtr(reinterpret_cast<const capnp::word*>(bytes),
                      spec.encoded->size() / sizeof(capnp::word));
}

capnp::ReaderOptions own_message() {
  capnp::ReaderOptions options;
  // A whole look at the largest spec, a few times over.
  options.traversalLimitInWords = 16 * core::kSpecBytesMax / sizeof(capnp::word);
  return options;
}

}  // namespace detail

Result<core::JobSpec> read_job_spec(schema::JobSpec::Reader from) {
  return guarded<core::JobSpec>("job", [from]() -> Result<core::JobSpec> {
    if (auto refusal = check_job_message(from)) return std::move(*refusal);
    return read_whole(from);
  });
}

Result<core::JobSpec> read_job_spec(schema::JobSpec::Reader from, schema::PoolSpec::Reader own) {
  return guarded<core::JobSpec>("job", [from, own]() {
    capnp::MallocMessageBuilder message;
    message.setRoot(from);
    auto whole = message.getRoot<schema::JobSpec>();
    whole.setOwnPool(own);
    return read_job_spec(whole.asReader());
  });
}

Result<core::JobSpec> restore_job_spec(schema::JobSpec::Reader from) {
  return guarded<core::JobSpec>("job", [from] { return read_whole(from); });
}

Result<core::JobSpec> restore_job_spec(std::string_view encoded) {
  return guarded<core::JobSpec>("job", [encoded]() -> Result<core::JobSpec> {
    if (encoded.empty() || encoded.size() % sizeof(capnp::word) != 0)
      return invalid("job: not a whole message");
    // Bytes from a file may begin anywhere.
    kj::Array<capnp::word> words = kj::heapArray<capnp::word>(encoded.size() / sizeof(capnp::word));
    std::memcpy(words.begin(), encoded.data(), encoded.size());
    capnp::FlatArrayMessageReader message(words, detail::own_message());
    return read_whole(message.getRoot<schema::JobSpec>());
  });
}

Result<core::PoolSpec> read_pool_spec(schema::PoolSpec::Reader from) {
  return guarded<core::PoolSpec>("pool", [from]() -> Result<core::PoolSpec> {
    if (auto refusal = check_resources_message(from.getShape(), "pool: ")) return *refusal;
    return restore_pool_spec(from);
  });
}

core::PoolSpec restore_pool_spec(schema::PoolSpec::Reader from) {
  core::PoolSpec spec;
  spec.name = read_text(from.getName());
  spec.provider = read_text(from.getProvider());
  spec.nodes = {from.getMin(), from.getMax()};
  if (spec.nodes == core::PoolSize()) spec.nodes = from.getNodes();
  if (from.getDeclared()) spec.shape = read_resources(from.getShape());
  spec.labels = read_texts(from.getLabels());
  spec.idle_timeout = Duration{from.getIdleTimeoutUs()};
  spec.join_deadline = Duration{from.getJoinDeadlineUs()};
  spec.for_job = JobId{from.getForJob()};
  spec.tasks_per_node = from.getTasksPerNode();
  spec.packing = read_packing(from.getPlacement()).value_or(core::Packing::kPack);
  spec.keeps_memory_limits = from.getMemoryLimits() != schema::PoolSpec::MemoryLimits::OFF;
  spec.mpi_interfaces = read_text(from.getMpiInterfaces());
  return spec;
}

void write_pool_spec(const core::PoolSpec& spec, schema::PoolSpec::Builder to) {
  to.setName(text_of(spec.name));
  to.setProvider(text_of(spec.provider));
  to.setNodes(spec.nodes.fixed() ? spec.nodes.max : 0);
  to.setMin(spec.nodes.min);
  to.setMax(spec.nodes.max);
  to.setIdleTimeoutUs(spec.idle_timeout.count());
  to.setJoinDeadlineUs(spec.join_deadline.count());
  to.setForJob(spec.for_job.value);
  to.setDeclared(spec.shape.has_value());
  if (spec.shape) write_resources(*spec.shape, to.initShape());
  write_texts(spec.labels, to.initLabels(static_cast<capnp::uint>(spec.labels.size())));
  to.setTasksPerNode(spec.tasks_per_node);
  to.setPlacement(spec.packing == core::Packing::kSpread ? schema::Placement::SPREAD
                                                         : schema::Placement::AS_POOL);
  to.setMemoryLimits(spec.keeps_memory_limits ? schema::PoolSpec::MemoryLimits::AUTO
                                              : schema::PoolSpec::MemoryLimits::OFF);
  to.setMpiInterfaces(text_of(spec.mpi_interfaces));
}

}  // namespace leat::store
