#include "scheduler/store/spec_rules.h"

#include <algorithm>
#include <limits>

#include "base/labels.h"
#include "base/resources.h"
#include "scheduler/store/value_codec.h"
#include "schema/gang.capnp.h"

namespace leat::store {
namespace {

constexpr unsigned kSignalMax = 64;

Refusal not_yet(const std::string& what) {
  return {Reason::kNotInThisVersion, what + ": not in this version"};
}

// The kernel's strings end at the first zero byte: what stands behind it would be lost silently.
bool has_zero(capnp::Text::Reader text) {
  return std::find(text.begin(), text.end(), '\0') != text.end();
}

std::optional<Refusal> check_program(schema::Program::Reader program, const std::string& where) {
  const auto argv = program.getArgv();
  if (argv.size() == 0 || argv[0].size() == 0) return invalid(where + "no program is named");
  for (const auto argument : argv)
    if (has_zero(argument)) return invalid(where + "an argument contains a zero byte");
  for (const auto variable : program.getEnvironment()) {
    const auto name = variable.getName();
    const bool bad_name = name.size() == 0 || has_zero(name) ||
                          std::find(name.begin(), name.end(), '=') != name.end();
    if (bad_name) return invalid(where + "a name in the environment is empty or contains = or 0");
    if (has_zero(variable.getValue()))
      return invalid(where + "the value of " + read_text(name) + " contains a zero byte");
  }
  const auto directory = program.getDirectory();
  if (directory.size() == 0 || directory[0] != '/' || has_zero(directory))
    return invalid(where + "the working directory must be an absolute path");
  const auto outputs = program.getOutputDirectory();
  if (outputs.size() > 0 && (outputs[0] != '/' || has_zero(outputs)))
    return invalid(where + "the directory for outputs must be an absolute path");
  return std::nullopt;
}

std::optional<Refusal> check_lines(schema::Inputs::Lines::Reader lines, std::uint64_t tasks,
                                   const std::string& where) {
  if (lines.getChunk() == 0) return invalid(where + "a chunk needs at least one line");
  if (lines.getLines() == 0) return invalid(where + "the input has no lines");
  if (tasks != (lines.getLines() - 1) / lines.getChunk() + 1)
    return invalid(where + "the number of tasks does not match lines and chunk");
  if (lines.getLines() > std::numeric_limits<std::uint64_t>::max() / 16)
    return invalid(where + "too many lines");
  for (const auto blob : {lines.getData(), lines.getOffsets()}) {
    const auto read = read_blob(blob);
    if (!read.ok()) return invalid(where + read.refusal().message);
    if (!read.value()) return invalid(where + "an input without its bytes");
  }
  if (lines.getOffsets().getLength() != (tasks + 1) * sizeof(std::uint64_t))
    return invalid(where + "the table of line offsets has the wrong length");
  return std::nullopt;
}

// What Leat reads from leat-store for the tasks of a stage.
std::optional<Refusal> check_inputs(schema::Inputs::Reader inputs, std::uint64_t tasks,
                                    const std::string& where) {
  using Use = schema::Inputs::Lines::Use;
  const bool is_lines = inputs.isLines();
  if (!is_lines && !inputs.isNone() && !inputs.isOutputs())
    return not_yet(where + "inputs of a newer kind");
  const Use use = is_lines ? inputs.getLines().getUse() : Use::STREAM;
  if (use > Use::OBJECT) return not_yet(where + "input lines of a newer use");
  if (use != Use::STREAM && inputs.getLines().getChunk() != 1)
    return invalid(where + "files and objects come one to a task");
  if (inputs.hasStandardInput()) {
    if (inputs.isOutputs() || (is_lines && use != Use::FILE))
      return invalid(where + "a task cannot have two standard inputs");
    const auto read = read_blob(inputs.getStandardInput());
    if (!read.ok()) return invalid(where + read.refusal().message);
    if (!read.value()) return invalid(where + "an input without its bytes");
  }
  // core::check() knows the tree of outputs.
  return is_lines ? check_lines(inputs.getLines(), tasks, where) : std::nullopt;
}

std::optional<Refusal> check_members(schema::StageSpec::Reader stage, const std::string& where) {
  const auto members = stage.getMembers();
  if (members.size() == 0) return invalid(where + "no member says what a task needs");
  if (members.size() > 1) return not_yet(where + "members of a gang that are not alike");
  const auto spread = members[0].getSpread();
  if (members[0].getCount() != 1 && spread != schema::Member::Spread::DISTINCT_NODES)
    return not_yet(where + "members of a gang that share nodes");
  if (spread > schema::Member::Spread::DISTINCT_NODES)
    return not_yet(where + "members spread in a newer way");
  return check_resources_message(members[0].getResources(), where);
}

std::optional<Refusal> check_gang(schema::StageSpec::Reader stage, const std::string& where) {
  const auto gang = stage.getGang();
  using Gang = schema::GangSpec;
  const bool known = gang.getLaunch() <= Gang::Launch::APPLICATION &&
                     gang.getBind() <= Gang::Bind::NONE && gang.getBindTo() <= Gang::BindTo::SOCKET;
  if (!known) return not_yet(where + "a gang that is started or bound in a newer way");
  const std::uint32_t nodes = stage.getMembers()[0].getCount();
  const auto lists = gang.getRanksPerNode();
  if (lists.size() > 1 && lists.size() != nodes)
    return invalid(where + "ranks for " + std::to_string(lists.size()) + " nodes, but there are " +
                   std::to_string(nodes));
  std::uint64_t ranks = 0;
  for (const std::uint32_t each : lists) {
    if (each == 0) return invalid(where + "a node without ranks");
    ranks += lists.size() == 1 ? std::uint64_t{each} * nodes : each;
  }
  if (ranks > schema::MAX_GANG_RANKS)
    return invalid(where + "more than " + std::to_string(schema::MAX_GANG_RANKS) + " ranks");
  for (const auto word : gang.getCoordination())
    if (has_zero(word)) return invalid(where + "the coordination command contains a zero byte");
  if (gang.getCoordination().size() > 0 && gang.getCoordination()[0].size() == 0)
    return invalid(where + "the coordination command is empty");
  if (has_zero(gang.getInterfaces()) || gang.getInterfaces().size() > 1024)
    return invalid(where + "the list of interfaces makes no sense");
  return std::nullopt;
}

std::optional<Refusal> check_after(schema::StageSpec::Reader stage, capnp::uint id,
                                   const std::string& where) {
  for (const auto after : stage.getAfter()) {
    if (after.getJob() == 0 && after.getStage() >= id)
      return invalid(where + (id == 0 ? "a job cannot wait for itself"
                                      : "it can come only after stages before it"));
    if (after.getJob() != 0 && after.getStage() != 0)
      return not_yet(where + "waiting for a stage of another job");
    if (static_cast<unsigned>(after.getOn()) > static_cast<unsigned>(schema::After::Condition::ANY))
      return not_yet(where + "waiting for an end of a newer kind");
  }
  return std::nullopt;
}

std::optional<Refusal> check_warning(schema::StageSpec::Reader stage, const std::string& where) {
  const auto warning = stage.getWarning();
  if (warning.getSignal() == 0) return std::nullopt;
  if (warning.getSignal() > kSignalMax) return invalid(where + "the warning is no signal");
  if (warning.getBeforeUs() <= 0 || warning.getBeforeUs() >= stage.getTimeLimitUs())
    return invalid(where + "the warning must come before the time limit, and within it");
  return std::nullopt;
}

// A retry counts by the indices of the stage it retries some of: they must be among them.
std::optional<Refusal> check_origin(schema::StageSpec::Reader stage, const std::string& where) {
  if (stage.getOrigin().size() == 0) return std::nullopt;
  const Result<IndexList> origin = read_index_list(stage.getOrigin());
  if (!origin.ok()) return invalid(where + origin.refusal().message);
  const Result<IndexList> indices = read_index_list(stage.getIndices());
  if (!indices.ok()) return invalid(where + indices.refusal().message);
  if (!origin.value().positions_of(indices.value()))
    return invalid(where + "its tasks are not among those it retries");
  return std::nullopt;
}

std::optional<Refusal> check_stage(schema::StageSpec::Reader stage, capnp::uint id,
                                   const std::string& where) {
  if (auto refusal = check_members(stage, where)) return refusal;
  if (auto refusal = check_gang(stage, where)) return refusal;
  if (auto refusal = check_after(stage, id, where)) return refusal;
  if (auto refusal = check_warning(stage, where)) return refusal;
  if (stage.getOnNodeLoss() != schema::StageSpec::OnNodeLoss::REQUEUE)
    return not_yet(where + "on-node-loss other than requeue");
  if (stage.getExclusiveRun()) return not_yet(where + "exclusive runs");
  if (auto refusal = check_origin(stage, where)) return refusal;
  if (auto refusal = check_program(stage.getProgram(), where)) return refusal;
  std::uint64_t tasks = 0;
  const auto counted = stage.getOrigin().size() > 0 ? stage.getOrigin() : stage.getIndices();
  for (const auto stride : counted) tasks += stride.getCount();
  return check_inputs(stage.getInputs(), tasks, where);
}

}  // namespace

std::optional<Refusal> check_resources_message(schema::Resources::Reader resources,
                                               const std::string& where) {
  if (resources.getGpus() > kGpusMax)
    return invalid(where + "more than " + std::to_string(kGpusMax) + " gpus");
  if (resources.getCounters().size() > kCountersMax)
    return invalid(where + "more than " + std::to_string(kCountersMax) + " named resources");
  std::vector<Counter> counters;
  for (const auto counter : resources.getCounters())
    counters.push_back({read_text(counter.getName()), counter.getAmount()});
  const Result<std::vector<Counter>> sorted = sorted_counters(counters);
  if (!sorted.ok()) return invalid(where + sorted.refusal().message);
  if (sorted.value() != counters) return invalid(where + "resources are not sorted by name");
  return std::nullopt;
}

std::optional<Refusal> check_job_message(schema::JobSpec::Reader job) {
  if (job.getRequires().size() > kLabelsMax)
    return invalid("more than " + std::to_string(kLabelsMax) + " required labels");
  for (const auto text : job.getRequires()) {
    const Result<Requirement> requirement = parse_requirement(read_text(text));
    if (!requirement.ok()) return requirement.refusal();
  }
  if (job.getPlacement() > schema::Placement::SPREAD) return not_yet("a placement of a newer kind");
  const auto stages = job.getStages();
  if (stages.size() > core::kStagesPerJobMax)
    return invalid("more than " + std::to_string(core::kStagesPerJobMax) + " stages");
  for (const auto pool : job.getPools())
    if (pool.size() == 0 || pool.size() > core::kNameBytesMax)
      return invalid("the name of a pool must have 1 to " + std::to_string(core::kNameBytesMax) +
                     " bytes");
  for (capnp::uint id = 0; id < stages.size(); ++id) {
    const std::string where = stages.size() == 1 ? "" : "stage " + std::to_string(id) + ": ";
    if (id > 0 && stages[id].getStartWithinUs() != 0)
      return not_yet(where + "start-within of a later stage");
    if (auto refusal = check_stage(stages[id], id, where)) return refusal;
  }
  return std::nullopt;
}

}  // namespace leat::store
