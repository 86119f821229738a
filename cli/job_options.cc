#include "cli/job_options.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "base/labels.h"
#include "cli/job_environment.h"
#include "cli/job_gang.h"
#include "cli/job_inputs.h"
#include "cli/job_stages.h"
#include "cli/job_waits.h"
#include "cli/program_check.h"
#include "definitions/pool_definition.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using definitions::called_beside;
using definitions::FieldKind;
using definitions::JobDefinition;
using definitions::JobField;
using definitions::Word;

constexpr std::uint64_t kRetriesMax = 1'000'000;

// Reads the word of `field`, if there is one.
template <typename T, typename Parse>
void read_word(const JobDefinition& job, std::string_view field, Parse parse, T& value) {
  if (const Word* word = job.find(field))
    value = static_cast<T>(value_or_fail(parse(word->text), word->where + ' '));
}

auto number_parser(std::uint64_t min, std::uint64_t max) {
  return [min, max](std::string_view text) { return definitions::parse_number(text, min, max); };
}

void read_program(const JobDefinition& job, const Surroundings& surroundings, JobRequest& request) {
  if (job.command.empty())
    fail(ExitCode::kUsage,
         "nothing to run: put -- PROGRAM ARGS… at the end, or command = [\"PROGRAM\"] into the "
         "job file");
  for (const Word& word : job.command) request.argv.push_back(word.text);
  const Word* directory = job.find("cwd");
  request.directory = surroundings.directory;
  if (directory != nullptr)
    request.directory = absolute_path(directory->text, surroundings.directory);
  request.environment = read_environment(job, surroundings);
  // The nodes of this version share our file system.
  struct stat info {};
  if (::stat(request.directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    fail(ExitCode::kUsage, (directory == nullptr ? std::string("--cwd") : directory->where) + ' ' +
                               request.directory + ": no such directory: name one that exists");
  const std::string& where = job.command.front().where;
  value_or_fail(check_program(request.argv[0], request.directory, request.environment),
                where.empty() ? "" : where + ' ');
  const Word* name = job.find("name");
  request.name =
      name != nullptr ? name->text : request.argv[0].substr(request.argv[0].rfind('/') + 1);
  if (request.name.size() > kJobNameBytesMax)
    fail(ExitCode::kUsage, (name == nullptr ? "--name" : name->where) + ": at most 256 bytes");
}

void read_shape(const JobDefinition& job, JobRequest& request) {
  if (const Word* pool = job.find("pool")) {
    if (!definitions::is_pool_name(pool->text))
      fail(ExitCode::kUsage,
           pool->where + ' ' + pool->text + ": no pool has such a name: see leat status");
    request.pools.push_back(pool->text);
  }
}

void read_limits(const JobDefinition& job, JobRequest& request) {
  read_word(job, "cpus", definitions::parse_millicores, request.resources.millicores);
  read_word(job, "memory", definitions::parse_size, request.resources.memory_bytes);
  read_word(job, "retries", number_parser(0, kRetriesMax), request.retries);
  read_word(job, "time", definitions::parse_duration, request.time_limit);
  const Word* time = job.find("time");
  if (time != nullptr && request.time_limit == Duration(0))
    fail(ExitCode::kUsage, time->where + " 0: leave it out for no limit");
  read_word(job, "priority", parse_priority, request.priority);
  if (const Word* limit = job.find("output-limit"))
    request.output_limit_bytes =
        value_or_fail(definitions::parse_size(limit->text), limit->where + ' ');
  request.task_directory = job.find("task-dir") != nullptr;
}

void read_devices(const JobDefinition& job, JobRequest& request) {
  if (const Word* gpus = job.find("gpus")) {
    // Half a gpu would have to say which half: see the manual.
    const std::string hint = gpus->text.find('.') == std::string::npos
                                 ? ""
                                 : " (sharing one gpu between tasks: not in this version)";
    const auto count = definitions::parse_number(gpus->text, 0, kGpusMax);
    if (!count.ok()) fail(ExitCode::kUsage, gpus->where + ' ' + count.refusal().message + hint);
    request.resources.gpus = static_cast<std::uint32_t>(count.value());
  }
  std::vector<Counter> counters;
  for (const Word& word : job.all("resource"))
    counters.push_back(value_or_fail(definitions::parse_counter(word.text), word.where + ' '));
  if (counters.empty()) return;
  request.resources.counters =
      value_or_fail(sorted_counters(std::move(counters)), job.all("resource").front().where + ": ");
}

// Which nodes, and which of them first.
void read_choice(const JobDefinition& job, JobRequest& request) {
  for (const Word& word : job.all("requires")) {
    for (std::size_t from = 0; from <= word.text.size();) {
      const std::size_t end = std::min(word.text.find(',', from), word.text.size());
      const std::string label = word.text.substr(from, end - from);
      value_or_fail(parse_requirement(label), word.where + ' ');
      request.labels.push_back(label);
      from = end + 1;
    }
  }
  if (const Word* enforce = job.find("memory-enforce")) {
    if (request.resources.memory_bytes == 0)
      fail(ExitCode::kUsage, enforce->where + ": give " + called_beside(*enforce, "memory") +
                                 " SIZE too, it is what is kept");
    request.labels.emplace_back(kMemoryLimitLabel);
  }
  request.exclusive = job.find("exclusive") != nullptr;
  const Word* pack = job.find("pack");
  const Word* spread = job.find("spread");
  if (pack != nullptr && spread != nullptr)
    fail(ExitCode::kUsage, pack->where + " and " + spread->where + ": give one of them");
  if (pack != nullptr) request.placement = schema::Placement::PACK;
  if (spread != nullptr) request.placement = schema::Placement::SPREAD;
}

void read_reduce(const JobDefinition& job, JobRequest& request) {
  const Word* program = job.find("reduce");
  if (program == nullptr) {
    for (const std::string_view field : {"reduce-arg", "reduce-width"})
      if (const Word* word = job.find(field))
        fail(ExitCode::kUsage,
             word->where + ": give " + called_beside(*word, "reduce") + " PROG too, it reduces");
    return;
  }
  value_or_fail(check_program(program->text, request.directory, request.environment),
                program->where + ' ');
  ReduceRequest reduce;
  reduce.argv.push_back(program->text);
  for (const Word& word : job.all("reduce-arg")) reduce.argv.push_back(word.text);
  if (const Word* width = job.find("reduce-width"))
    reduce.width =
        value_or_fail(definitions::parse_number(width->text, kReduceWidthMin, kTasksPerJobMax),
                      width->where + ' ');
  request.reduce = std::move(reduce);
}

}  // namespace

Result<std::int32_t> parse_priority(std::string_view text) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return invalid('"' + std::string(text) + "\" is not a priority: write a whole number like 10");
}

void JobOptions::declare(Arguments& arguments) {
  for (const JobField& field : definitions::job_fields()) {
    const std::string name(field.name);
    const std::string metavar(field.metavar);
    const std::string help(field.help);
    switch (field.kind) {
      case FieldKind::kText:
      case FieldKind::kNumber:
      case FieldKind::kAmount:
        arguments.option("--" + name, metavar, texts_[name], help);
        break;
      case FieldKind::kFlag:
        arguments.flag("--" + name, flags_[name], help);
        break;
      case FieldKind::kChoice:
        arguments.choice("--" + name, definitions::choices_of(field), texts_[name], help);
        break;
      case FieldKind::kTexts:
      case FieldKind::kVariables:
        arguments.list("--" + name, metavar, lists_[name], help);
        break;
    }
  }
}

JobDefinition JobOptions::given(const std::vector<std::string>& command) const {
  JobDefinition job;
  for (const std::string& word : command) job.command.push_back({word, ""});
  for (const auto& [name, text] : texts_)
    if (text) job.add(name, {*text, "--" + name});
  for (const auto& [name, words] : lists_) {
    if (words.size() > definitions::kWordsPerFieldMax)
      fail(ExitCode::kUsage, "--" + name + ": given more than " +
                                 std::to_string(definitions::kWordsPerFieldMax) + " times");
    for (const std::string& word : words) job.add(name, {word, "--" + name});
  }
  for (const auto& [name, set] : flags_)
    if (set) job.add(name, {"", "--" + name});
  return job;
}

JobRequest read_job_request(const JobDefinition& job, const Surroundings& surroundings) {
  if (!job.stages.empty()) return read_staged_request(job, surroundings);
  JobRequest request;
  read_program(job, surroundings, request);
  read_job_inputs(job, surroundings, request);
  read_shape(job, request);
  read_limits(job, request);
  read_waits(job, request);
  read_devices(job, request);
  read_choice(job, request);
  read_gang(job, request);
  read_reduce(job, request);
  return request;
}

}  // namespace leat::cli
