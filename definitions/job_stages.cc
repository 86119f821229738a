// job_stages.cc - the stages of one job: what may be said of them, and how they are told apart.

#include <algorithm>
#include <array>
#include <set>

#include "base/check.h"
#include "definitions/job_definition.h"

namespace leat::definitions {
namespace {

using Names = std::span<const std::string_view>;

constexpr auto kOfJob =
    std::to_array<std::string_view>({"pool", "name", "memory-enforce", "requires", "exclusive",
                                     "pack", "spread", "after", "start-within", "priority"});

// What makes tasks, and how each of them runs on several nodes.
constexpr auto kOfStage = std::to_array<std::string_view>(
    {"array", "each-line", "chunk", "each-file", "from-json", "stdin", "output-dir", "nodes",
     "ranks-per-node", "ranks", "mpi", "gang", "coordination", "coordination-arg"});

// Stages say it in their own words.
constexpr auto kOfPlainJob =
    std::to_array<std::string_view>({"reduce", "reduce-arg", "reduce-width"});

bool is_in(Names names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The first word of a field that is in a place where it does not belong.
std::optional<Refusal> check_places(const JobDefinition& said, bool in_stage) {
  for (const JobField& field : job_fields()) {
    const Word* word = said.find(field.name);
    if (word == nullptr) continue;
    const FieldScope scope = scope_of(field.name);
    if (scope == FieldScope::kPlain)
      return invalid(word->where +
                     ": in a job of stages a stage reduces another: write reduces = "
                     "\"NAME\" into it, and what it runs as its command");
    if (in_stage && scope == FieldScope::kJob)
      return invalid(word->where + ": it is said of the whole job, above the first [[stage]]");
    if (!in_stage && scope == FieldScope::kStage)
      return invalid(word->where + ": which of the stages? Write it into one of them");
  }
  return std::nullopt;
}

std::string quoted(const std::string& text) {
  return '"' + text + '"';
}

// A name that an earlier stage has.
std::optional<Refusal> check_earlier(const Word& name, const std::set<std::string>& earlier) {
  if (earlier.contains(name.text)) return std::nullopt;
  std::string known;
  for (const std::string& each : earlier) known += (known.empty() ? "" : ", ") + each;
  return invalid(name.where + ' ' + quoted(name.text) + ": no stage before this one has this name" +
                 (known.empty() ? "" : "; those before it are " + known));
}

std::optional<Refusal> check_stage(const StageDefinition& stage,
                                   const std::set<std::string>& earlier) {
  if (earlier.contains(stage.name.text))
    return invalid(stage.name.where + ' ' + quoted(stage.name.text) +
                   ": another stage has this name");
  if (auto refusal = check_places(stage.said, true)) return refusal;
  for (const StageAfter& after : stage.after) {
    if (auto refusal = check_earlier(after.stage, earlier)) return refusal;
    const std::string& on = after.on.text;
    if (!on.empty() && on != "success" && on != "failure" && on != "any")
      return invalid(after.on.where + ' ' + quoted(on) + ": write success, failure or any");
  }
  const Word& reduces = stage.reduces;
  if (reduces.text.empty()) {
    if (stage.width.text.empty()) return std::nullopt;
    return invalid(stage.width.where + ": say which stage it reduces, too");
  }
  if (auto refusal = check_earlier(reduces, earlier)) return refusal;
  if (!stage.after.empty())
    return invalid(stage.after[0].stage.where +
                   ": a stage that reduces another comes after the outputs it reads, and nothing "
                   "else");
  for (const std::string_view name : kOfStage)
    if (const Word* word = stage.said.find(name); word != nullptr && name != "output-dir")
      return invalid(word->where + ": the tasks of a stage that reduces another are its steps");
  return std::nullopt;
}

}  // namespace

FieldScope scope_of(std::string_view name) {
  if (is_in(kOfJob, name)) return FieldScope::kJob;
  if (is_in(kOfStage, name)) return FieldScope::kStage;
  return is_in(kOfPlainJob, name) ? FieldScope::kPlain : FieldScope::kEither;
}

std::optional<Refusal> check_stages(const JobDefinition& job) {
  if (job.stages.empty()) return std::nullopt;
  if (!job.command.empty()) {
    const std::string& where = job.command[0].where;
    return invalid((where.empty() ? std::string("-- PROGRAM") : where) +
                   ": which of the stages runs it? Write it into one of them");
  }
  if (auto refusal = check_places(job, false)) return refusal;
  std::set<std::string> earlier;
  std::set<std::string> read;
  const StageDefinition* result = nullptr;
  for (const StageDefinition& stage : job.stages) {
    if (auto refusal = check_stage(stage, earlier)) return refusal;
    if (!stage.name.text.empty()) earlier.insert(stage.name.text);
    if (!stage.reduces.text.empty() && !read.insert(stage.reduces.text).second)
      return invalid(stage.reduces.where + ' ' + quoted(stage.reduces.text) +
                     ": another stage reduces it already");
    if (stage.result && result != nullptr)
      return invalid(stage.where + ": the output of another stage is the result already");
    if (stage.result) result = &stage;
  }
  return std::nullopt;
}

JobDefinition stage_of(const JobDefinition& job, std::size_t n) {
  LEAT_CHECK(n < job.stages.size());
  JobDefinition whole = job;
  whole.stages.clear();
  whole.override_with(job.stages[n].said);
  return whole;
}

}  // namespace leat::definitions
