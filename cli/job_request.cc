#include "cli/job_request.h"

#include <span>

#include "base/check.h"

namespace leat::cli {
namespace {

void fill_blob(const transport::Blob& blob, schema::BlobRef::Builder ref) {
  ref.setHash(kj::arrayPtr(reinterpret_cast<const kj::byte*>(blob.hash.data()), blob.hash.size()));
  ref.setLength(blob.length);
}

void fill_indices(const IndexList& indices, capnp::List<schema::Stride>::Builder strides) {
  for (unsigned i = 0; i < strides.size(); ++i) {
    const Stride& stride = indices.strides()[i];
    strides[i].setFirst(stride.first);
    strides[i].setCount(stride.count);
    strides[i].setStep(stride.step);
  }
}

void fill_program(const JobRequest& request, const std::vector<std::string>& argv,
                  schema::Program::Builder program) {
  auto words = program.initArgv(static_cast<unsigned>(argv.size()));
  for (unsigned i = 0; i < words.size(); ++i) words.set(i, argv[i].c_str());
  auto variables = program.initEnvironment(static_cast<unsigned>(request.environment.size()));
  for (unsigned i = 0; i < variables.size(); ++i) {
    const std::string& entry = request.environment[i];
    const std::size_t equals = entry.find('=');
    LEAT_CHECK(equals != std::string::npos);
    variables[i].setName(entry.substr(0, equals).c_str());
    variables[i].setValue(entry.substr(equals + 1).c_str());
  }
  program.setDirectory(request.directory.c_str());
  if (request.output_limit_bytes) program.setOutputLimitBytes(*request.output_limit_bytes);
}

template <typename T, typename List>
void fill_list(const std::vector<T>& values, List list) {
  for (unsigned i = 0; i < list.size(); ++i) list.set(i, values[i]);
}

void fill_waits(const JobRequest& request, schema::StageSpec::Builder stage) {
  auto after = stage.initAfter(static_cast<unsigned>(request.after.size()));
  for (unsigned i = 0; i < after.size(); ++i) {
    LEAT_CHECK(request.after[i].job.has_value());
    after[i].setJob(request.after[i].job->value);
    after[i].setElementWise(request.after[i].element_wise);
    after[i].setOn(request.after[i].on);
  }
  if (request.retry_delay.first > Duration(0)) {
    auto delay = stage.initRetryDelay();
    delay.setUs(request.retry_delay.first.count());
    delay.setFactorMilli(request.retry_delay.factor_milli);
    delay.setMaxUs(request.retry_delay.max.count());
  }
  if (request.retry_on) {
    auto on = stage.initRetryOn();
    on.setOnly(true);
    fill_list(request.retry_on->codes,
              on.initCodes(static_cast<unsigned>(request.retry_on->codes.size())));
    fill_list(request.retry_on->signals,
              on.initSignals(static_cast<unsigned>(request.retry_on->signals.size())));
    fill_list(request.retry_on->outcomes,
              on.initOutcomes(static_cast<unsigned>(request.retry_on->outcomes.size())));
  }
  stage.setStartWithinUs(request.start_within.count());
  if (request.warning) {
    stage.initWarning().setSignal(request.warning->signal);
    stage.getWarning().setBeforeUs(request.warning->before.count());
  }
}

void fill_gang(const GangRequest& request, schema::StageSpec::Builder stage) {
  stage.getMembers()[0].setCount(request.nodes);
  stage.getMembers()[0].setSpread(schema::Member::Spread::DISTINCT_NODES);
  auto gang = stage.initGang();
  gang.setLaunch(request.launch);
  fill_list(request.ranks_per_node,
            gang.initRanksPerNode(static_cast<unsigned>(request.ranks_per_node.size())));
  gang.setCoresPerRank(request.cores_per_rank);
  gang.setBind(request.bind);
  gang.setBindTo(request.bind_to);
  auto words = gang.initCoordination(static_cast<unsigned>(request.coordination.size()));
  for (unsigned i = 0; i < words.size(); ++i) words.set(i, request.coordination[i].c_str());
  gang.setInterfaces(request.interfaces.c_str());
}

void fill_work_stage(const JobRequest& request, schema::StageSpec::Builder stage) {
  fill_program(request, request.argv, stage.initProgram());
  stage.getProgram().setBindCores(request.bind_cores);
  stage.getProgram().setTaskDirectory(request.task_directory);
  fill_indices(request.indices,
               stage.initIndices(static_cast<unsigned>(request.indices.strides().size())));
  if (request.lines) {
    auto lines = stage.initInputs().initLines();
    fill_blob(request.lines->data, lines.initData());
    fill_blob(request.lines->offsets, lines.initOffsets());
    lines.setChunk(request.lines->chunk);
    lines.setLines(request.lines->lines);
    lines.setUse(request.lines->use);
  }
  if (request.standard_input)
    fill_blob(*request.standard_input, stage.getInputs().initStandardInput());
  stage.getProgram().setOutputDirectory(request.output_directory.c_str());
  auto resources = stage.initMembers(1)[0].initResources();
  resources.setMillicores(request.resources.millicores);
  resources.setMemoryBytes(request.resources.memory_bytes);
  resources.setGpus(request.resources.gpus);
  const std::vector<Counter>& counters = request.resources.counters;
  auto list = resources.initCounters(static_cast<unsigned>(counters.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    list[i].setName(counters[i].name.c_str());
    list[i].setAmount(counters[i].amount);
  }
  if (request.gang) fill_gang(*request.gang, stage);
  stage.setRetries(request.retries);
  stage.setTimeLimitUs(request.time_limit.count());
  fill_waits(request, stage);
}

// One level of the reduce: `tasks` steps, each over `width` outputs of the stage before.
void fill_reduce_stage(const JobRequest& request, std::uint16_t source, std::uint64_t tasks,
                       std::uint64_t width, schema::StageSpec::Builder stage) {
  fill_program(request, request.reduce->argv, stage.initProgram());
  stage.initIndices(1)[0].setCount(tasks);
  auto outputs = stage.initInputs().initOutputs();
  outputs.setStage(source);
  outputs.setWidth(width);
  stage.initMembers(1)[0].initResources().setMillicores(1000);
  stage.setRetries(kReduceRetries);
}

// How many tasks each level of a tree has, down to one. No width: one level.
std::vector<std::uint64_t> levels_over(std::uint64_t inputs, std::optional<std::uint64_t> width) {
  LEAT_CHECK(inputs > 0 && (!width || *width >= kReduceWidthMin));
  std::vector<std::uint64_t> sizes;
  do {
    sizes.push_back(width ? (inputs - 1) / *width + 1 : 1);
    inputs = sizes.back();
  } while (inputs > 1);
  return sizes;
}

// The stages of the schema that one stage of the request becomes: `first` and, if it is a tree, its
// further levels, of which the last is what others mean by it.
struct Levels {
  std::uint16_t first = 0;
  std::vector<std::uint64_t> sizes;

  std::uint16_t last() const { return static_cast<std::uint16_t>(first + sizes.size() - 1); }
};

std::vector<Levels> plan_levels(const std::vector<StageRequest>& stages) {
  std::vector<Levels> plan;
  std::size_t next = 0;
  for (const StageRequest& stage : stages) {
    Levels levels{static_cast<std::uint16_t>(next), {stage.work.indices.size()}};
    if (stage.reduces) levels.sizes = levels_over(plan[*stage.reduces].sizes.back(), stage.width);
    next += levels.sizes.size();
    plan.push_back(std::move(levels));
  }
  return plan;
}

void fill_tree(const StageRequest& stage, const Levels& levels, const Levels& read,
               capnp::List<schema::StageSpec>::Builder all) {
  for (std::size_t n = 0; n < levels.sizes.size(); ++n) {
    const auto id = static_cast<std::uint16_t>(levels.first + n);
    schema::StageSpec::Builder step = all[id];
    fill_work_stage(stage.work, step);
    auto indices = step.initIndices(1);
    indices[0].setCount(levels.sizes[n]);
    auto outputs = step.initInputs().initOutputs();
    outputs.setStage(n == 0 ? read.last() : static_cast<std::uint16_t>(id - 1));
    outputs.setWidth(stage.width.value_or(read.sizes.back()));
  }
}

void fill_stages(const std::vector<StageRequest>& stages, schema::JobSpec::Builder spec) {
  const std::vector<Levels> plan = plan_levels(stages);
  auto all = spec.initStages(plan.back().last() + 1u);
  for (std::size_t n = 0; n < stages.size(); ++n) {
    const StageRequest& stage = stages[n];
    schema::StageSpec::Builder last = all[plan[n].last()];
    if (stage.reduces) {
      fill_tree(stage, plan[n], plan[*stage.reduces], all);
    } else {
      fill_work_stage(stage.work, last);
    }
    last.setName(stage.name.c_str());
    if (stage.result) spec.setResultStage(plan[n].last());
    if (stage.after.empty()) continue;
    LEAT_CHECK(stage.work.after.empty());
    auto after = last.initAfter(static_cast<unsigned>(stage.after.size()));
    for (unsigned k = 0; k < after.size(); ++k) {
      after[k].setStage(plan[stage.after[k].stage].last());
      after[k].setElementWise(stage.after[k].element_wise);
      after[k].setOn(stage.after[k].on);
    }
  }
}

}  // namespace

std::vector<std::uint64_t> stage_sizes(const JobRequest& request) {
  std::vector<std::uint64_t> sizes{request.indices.size()};
  if (!request.reduce) return sizes;
  const std::uint64_t width = request.reduce->width.value_or(request.indices.size());
  LEAT_CHECK(!request.reduce->width || width >= kReduceWidthMin);
  do {
    sizes.push_back((sizes.back() + width - 1) / width);
  } while (sizes.back() > 1);
  return sizes;
}

void fill_job_spec(const JobRequest& request, schema::JobSpec::Builder spec) {
  spec.setName(request.name.c_str());
  spec.setPriority(request.priority);
  auto pools = spec.initPools(static_cast<unsigned>(request.pools.size()));
  for (unsigned i = 0; i < pools.size(); ++i) pools.set(i, request.pools[i].c_str());
  auto labels = spec.initRequires(static_cast<unsigned>(request.labels.size()));
  for (unsigned i = 0; i < labels.size(); ++i) labels.set(i, request.labels[i].c_str());
  spec.setExclusive(request.exclusive);
  spec.setPlacement(request.placement);
  if (!request.stages.empty()) return fill_stages(request.stages, spec);

  const std::vector<std::uint64_t> sizes = stage_sizes(request);
  auto stages = spec.initStages(static_cast<unsigned>(sizes.size()));
  fill_work_stage(request, stages[0]);
  for (unsigned i = 1; i < stages.size(); ++i) {
    const std::uint64_t width = request.reduce->width.value_or(sizes[0]);
    fill_reduce_stage(request, static_cast<std::uint16_t>(i - 1), sizes[i], width, stages[i]);
  }
  if (request.reduce) spec.setResultStage(static_cast<std::int32_t>(sizes.size()) - 1);
}

}  // namespace leat::cli
