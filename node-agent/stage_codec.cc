#include "node-agent/stage_codec.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "node-agent/agent_codec.h"
#include "node-agent/gang_codec.h"

namespace leat::agent {
namespace {

bool has_nul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

std::string text_of(capnp::Text::Reader in) {
  return std::string(in.begin(), in.size());
}

Result<Program> read_program(schema::Program::Reader in) {
  Program program;
  for (const auto argument : in.getArgv()) program.argv.push_back(text_of(argument));
  if (program.argv.empty() || program.argv.front().empty()) return invalid("no program");
  for (const auto variable : in.getEnvironment()) {
    program.environment.emplace_back(text_of(variable.getName()), text_of(variable.getValue()));
    const auto& [name, value] = program.environment.back();
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value))
      return invalid("a variable of the environment makes no sense");
  }
  program.directory = text_of(in.getDirectory());
  program.bind_cores = in.getBindCores();
  program.output_limit_bytes = in.getOutputLimitBytes();
  program.task_directory = in.getTaskDirectory();
  program.output_directory = text_of(in.getOutputDirectory());
  if (has_nul(program.directory) || has_nul(program.output_directory) ||
      std::any_of(program.argv.begin(), program.argv.end(), has_nul))
    return invalid("an argument or the directory holds a NUL");
  return program;
}

Result<Inputs> read_inputs(schema::Inputs::Reader in) {
  Inputs inputs;
  if (in.hasStandardInput()) {
    const Result<BlobRef> whole = read_blob(in.getStandardInput());
    if (!whole.ok()) return whole.refusal();
    inputs.standard_input = whole.value();
  }
  switch (in.which()) {
    case schema::Inputs::NONE:
      return inputs;
    case schema::Inputs::OUTPUTS:
      inputs.kind = Inputs::Kind::kOutputs;
      return inputs;
    case schema::Inputs::LINES:
      break;
  }
  if (in.which() != schema::Inputs::LINES) return invalid("inputs of a kind not known here");
  const schema::Inputs::Lines::Reader lines = in.getLines();
  const Result<BlobRef> data = read_blob(lines.getData());
  const Result<BlobRef> offsets = read_blob(lines.getOffsets());
  if (!data.ok() || !offsets.ok() || lines.getChunk() == 0 || lines.getLines() > kTasksPerJobMax ||
      lines.getChunk() > kTasksPerJobMax)
    return invalid("the input lines make no sense");
  if (lines.getUse() > schema::Inputs::Lines::Use::OBJECT)
    return invalid("input lines of a use not known here");
  inputs.kind = Inputs::Kind::kLines;
  inputs.use = static_cast<Inputs::Use>(lines.getUse());
  inputs.data = data.value();
  inputs.offsets = offsets.value();
  inputs.chunk = lines.getChunk();
  inputs.lines = lines.getLines();
  return inputs;
}

}  // namespace

Result<IndexList> read_indices(capnp::List<schema::Stride>::Reader in) {
  std::vector<Stride> strides;
  strides.reserve(in.size());
  for (const auto stride : in)
    strides.push_back({stride.getFirst(), stride.getCount(), stride.getStep()});
  return IndexList::from_strides(strides);
}

void write_indices(const IndexList& indices, capnp::List<schema::Stride>::Builder out) {
  for (kj::uint i = 0; i < out.size(); ++i) {
    const Stride& stride = indices.strides()[i];
    out[i].setFirst(stride.first);
    out[i].setCount(stride.count);
    out[i].setStep(stride.step);
  }
}

Result<Resources> read_resources(schema::Resources::Reader in) {
  Resources resources{in.getMillicores(), in.getMemoryBytes(), in.getGpus(), {}};
  std::vector<Counter> counters;
  for (const auto counter : in.getCounters())
    counters.push_back({text_of(counter.getName()), counter.getAmount()});
  Result<std::vector<Counter>> sorted = sorted_counters(std::move(counters));
  if (!sorted.ok()) return sorted.refusal();
  resources.counters = std::move(sorted).value();
  return resources;
}

void write_resources(const Resources& resources, schema::Resources::Builder out) {
  out.setMillicores(resources.millicores);
  out.setMemoryBytes(resources.memory_bytes);
  out.setGpus(resources.gpus);
  auto counters = out.initCounters(static_cast<kj::uint>(resources.counters.size()));
  for (kj::uint i = 0; i < counters.size(); ++i) {
    counters[i].setName(resources.counters[i].name);
    counters[i].setAmount(resources.counters[i].amount);
  }
}

Result<StageSpec> read_stage_spec(schema::StageSpec::Reader in) {
  StageSpec spec;
  Result<Program> program = read_program(in.getProgram());
  if (!program.ok()) return program.refusal();
  spec.program = std::move(program).value();
  Result<IndexList> indices = read_indices(in.getIndices());
  if (!indices.ok()) return indices.refusal();
  spec.indices = std::move(indices).value();
  if (spec.indices.empty()) return invalid("a stage without tasks");
  Result<Inputs> inputs = read_inputs(in.getInputs());
  if (!inputs.ok()) return inputs.refusal();
  spec.inputs = inputs.value();
  if (in.getMembers().size() > 0) {
    Result<Resources> resources = read_resources(in.getMembers()[0].getResources());
    if (!resources.ok()) return resources.refusal();
    spec.resources = std::move(resources).value();
  }
  spec.time_limit = Duration(std::max<std::int64_t>(0, in.getTimeLimitUs()));
  spec.grace = Duration(std::max<std::int64_t>(0, in.getGraceUs()));
  spec.warning_signal = in.getWarning().getSignal();
  spec.warning_before = Duration(std::max<std::int64_t>(0, in.getWarning().getBeforeUs()));
  Result<IndexList> origin = read_indices(in.getOrigin());
  if (!origin.ok()) return origin.refusal();
  spec.origin = std::move(origin).value();
  if (in.getMembers().size() > 0 &&
      in.getMembers()[0].getSpread() == schema::Member::Spread::DISTINCT_NODES) {
    Result<GangSpec> gang = read_gang_spec(in.getGang());
    if (!gang.ok()) return gang.refusal();
    spec.gang = std::move(gang).value();
  }
  return spec;
}

void write_stage_spec(const StageSpec& spec, schema::StageSpec::Builder out) {
  schema::Program::Builder program = out.initProgram();
  auto argv = program.initArgv(static_cast<kj::uint>(spec.program.argv.size()));
  for (kj::uint i = 0; i < argv.size(); ++i) argv.set(i, spec.program.argv[i]);
  auto environment =
      program.initEnvironment(static_cast<kj::uint>(spec.program.environment.size()));
  for (kj::uint i = 0; i < environment.size(); ++i) {
    environment[i].setName(spec.program.environment[i].first);
    environment[i].setValue(spec.program.environment[i].second);
  }
  program.setDirectory(spec.program.directory);
  program.setBindCores(spec.program.bind_cores);
  program.setOutputLimitBytes(spec.program.output_limit_bytes);
  program.setTaskDirectory(spec.program.task_directory);
  program.setOutputDirectory(spec.program.output_directory);
  write_indices(spec.indices,
                out.initIndices(static_cast<kj::uint>(spec.indices.strides().size())));
  schema::Inputs::Builder inputs = out.initInputs();
  if (spec.inputs.kind == Inputs::Kind::kOutputs) inputs.initOutputs();
  if (spec.inputs.kind == Inputs::Kind::kLines) {
    schema::Inputs::Lines::Builder lines = inputs.initLines();
    write_blob(spec.inputs.data, lines.initData());
    write_blob(spec.inputs.offsets, lines.initOffsets());
    lines.setChunk(spec.inputs.chunk);
    lines.setLines(spec.inputs.lines);
    lines.setUse(static_cast<schema::Inputs::Lines::Use>(spec.inputs.use));
  }
  if (spec.inputs.standard_input)
    write_blob(*spec.inputs.standard_input, inputs.initStandardInput());
  schema::Member::Builder member = out.initMembers(1)[0];
  write_resources(spec.resources, member.initResources());
  if (spec.gang) {
    member.setSpread(schema::Member::Spread::DISTINCT_NODES);
    write_gang_spec(*spec.gang, out.initGang());
  }
  out.setTimeLimitUs(spec.time_limit.count());
  out.setGraceUs(spec.grace.count());
  out.initWarning().setSignal(static_cast<std::uint8_t>(spec.warning_signal));
  out.getWarning().setBeforeUs(spec.warning_before.count());
  write_indices(spec.origin, out.initOrigin(static_cast<kj::uint>(spec.origin.strides().size())));
}

}  // namespace leat::agent
