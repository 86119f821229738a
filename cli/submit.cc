// submit.cc - `leat submit`: a program, and what makes tasks of it.

#include <capnp/message.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "cli/job_request.h"
#include "cli/line_input.h"
#include "cli/program_check.h"
#include "definitions/pool_definition.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

constexpr Duration kSubmitPatience = std::chrono::seconds(30);
constexpr std::uint64_t kRetriesMax = 1'000'000;
constexpr std::size_t kKeyBytesMax = 128;
constexpr std::size_t kNameBytesMax = 256;
constexpr const char* kLaterOptions[] = {"--nodes", "--ranks-per-node", "--mpi",      "--gpus",
                                         "--after", "--each-file",      "--from-json"};

using Text = std::optional<std::string>;

// Reads `text` if it was given. `option` begins the line of a refusal.
template <typename T, typename Parse>
void read_option(const char* option, const Text& text, Parse parse, T& value) {
  if (text) value = static_cast<T>(value_or_fail(parse(*text), std::string(option) + ' '));
}

Result<std::int32_t> parse_priority(std::string_view text) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return invalid('"' + std::string(text) + "\" is not a priority: write a whole number like 10");
}

auto number_parser(std::uint64_t min, std::uint64_t max) {
  return [min, max](std::string_view text) { return definitions::parse_number(text, min, max); };
}

void set_variable(std::vector<std::string>& environment, const std::string& entry) {
  const std::string name = entry.substr(0, entry.find('=') + 1);
  std::erase_if(environment, [&name](const std::string& e) { return e.rfind(name, 0) == 0; });
  environment.push_back(entry);
}

class Submit final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--array", "RANGE", array_, "one task per index: 1-100, 0-99:3, 1,5,9-12");
    arguments.option("--each-line", "FILE", each_line_,
                     "one task per line of FILE (\"-\": standard input), given on its stdin");
    arguments.option("--chunk", "N", chunk_, "with --each-line: N lines per task");
    arguments.option("--pool", "POOL", pool_, "run in this pool (default: any)");
    arguments.option("--name", "NAME", name_, "the job's name (default: the program's)");
    arguments.option("--cpus", "N", cpus_, "cores per task, like 2 or 0.5 (default: 1)");
    arguments.option("--memory", "SIZE", memory_, "memory per task, like 512M or 2G");
    arguments.option("--retries", "N", retries_, "try a failed task again, up to N times");
    arguments.option("--time", "LIMIT", time_, "wall-clock limit of a task: 90s, 1h30m, 01:30:00");
    arguments.option("--priority", "P", priority_, "higher goes first (default: 0)");
    arguments.option("--key", "TEXT", key_, "submitting twice with one key makes one job");
    arguments.flag("--bind", bind_, "bind each task to cores of its own");
    arguments.list("--env", "NAME=VALUE", env_, "set a variable of the tasks' environment");
    arguments.option("--cwd", "DIR", cwd_, "the tasks' directory (default: this one)");
    arguments.option("--output-limit", "SIZE", output_limit_,
                     "keep at most SIZE of a task's output (default: 1G)");
    arguments.flag("--task-dir", task_directory_, "a scratch directory for each task");
    arguments.option("--reduce", "PROG", reduce_,
                     "feed all outputs, in index order, to PROG; its output is the result");
    arguments.list("--reduce-arg", "A", reduce_args_, "an argument of PROG");
    arguments.option("--reduce-width", "K", reduce_width_,
                     "reduce as a tree, K outputs at a time; PROG must accept its own output");
    arguments.flag("--wait", wait_, "return when the job has ended, with its exit code");
    arguments.flag("--progress", progress_, "wait, and show how far it is");
    for (const char* const name : kLaterOptions) arguments.later(name);
    arguments.rest("PROGRAM ARGS…", argv_);
  }

  ExitCode run(Shell& shell) override {
    JobRequest request = read(shell.surroundings);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    if (each_line_) {
      std::uint64_t chunk = 1;
      read_option("--chunk", chunk_, number_parser(1, kTasksPerJobMax), chunk);
      request.lines = upload_lines(shell, head, *each_line_, chunk);
      request.indices = IndexList(Stride{0, (request.lines->lines + chunk - 1) / chunk, 1});
    }
    const JobId job = submit(head, request, key);
    shell.console.out(std::to_string(job.value) + '\n');
    if (!wait_ && !progress_) return ExitCode::kDone;
    TaskName name;
    name.job = job;
    const bool talk = progress_ || shell.console.shows_progress();
    FollowOptions options;
    options.progress = talk;
    return conclude(shell, follow(shell, head, name, options), talk);
  }

 private:
  // Everything that can be wrong without asking the head.
  JobRequest read(const Surroundings& surroundings) const {
    JobRequest request;
    request.argv = argv_;
    request.directory = absolute_path(cwd_.value_or("."), surroundings.directory);
    if (!cwd_) request.directory = surroundings.directory;
    request.environment = read_environment(surroundings);
    check_directory(request.directory);
    value_or_fail(check_program(argv_[0], request.directory, request.environment));
    request.name = name_.value_or(argv_[0].substr(argv_[0].rfind('/') + 1));
    if (request.name.size() > kNameBytesMax) fail(ExitCode::kUsage, "--name: at most 256 bytes");
    if (key_ && (key_->empty() || key_->size() > kKeyBytesMax))
      fail(ExitCode::kUsage, "--key: 1 to 128 bytes");
    read_shape(request);
    read_limits(request);
    read_reduce(request);
    return request;
  }

  void read_shape(JobRequest& request) const {
    if (array_ && each_line_)
      fail(ExitCode::kUsage, "--array and --each-line: give one of them, each makes the tasks");
    if (chunk_ && !each_line_)
      fail(ExitCode::kUsage, "--chunk: give --each-line FILE too, it counts its lines");
    if (array_) {
      request.indices = value_or_fail(IndexList::parse(*array_), "--array: ");
    } else {
      request.indices = IndexList(Stride{0, 1, 1});
    }
    if (chunk_)
      (void)value_or_fail(definitions::parse_number(*chunk_, 1, kTasksPerJobMax), "--chunk ");
    if (pool_) {
      if (!definitions::is_pool_name(*pool_))
        fail(ExitCode::kUsage, "--pool " + *pool_ + ": no pool has such a name: see leat status");
      request.pools.push_back(*pool_);
    }
  }

  void read_limits(JobRequest& request) const {
    read_option("--cpus", cpus_, definitions::parse_millicores, request.millicores);
    read_option("--memory", memory_, definitions::parse_size, request.memory_bytes);
    read_option("--retries", retries_, number_parser(0, kRetriesMax), request.retries);
    read_option("--time", time_, definitions::parse_duration, request.time_limit);
    if (time_ && request.time_limit == Duration(0))
      fail(ExitCode::kUsage, "--time 0: leave it out for no limit");
    read_option("--priority", priority_, parse_priority, request.priority);
    if (output_limit_)
      request.output_limit_bytes =
          value_or_fail(definitions::parse_size(*output_limit_), "--output-limit ");
    request.bind_cores = bind_;
    request.task_directory = task_directory_;
  }

  void read_reduce(JobRequest& request) const {
    if (!reduce_) {
      if (!reduce_args_.empty() || reduce_width_)
        fail(ExitCode::kUsage, "--reduce-arg and --reduce-width: give --reduce PROG too");
      return;
    }
    value_or_fail(check_program(*reduce_, request.directory, request.environment), "--reduce ");
    ReduceRequest reduce;
    reduce.argv.push_back(*reduce_);
    reduce.argv.insert(reduce.argv.end(), reduce_args_.begin(), reduce_args_.end());
    if (reduce_width_)
      reduce.width =
          value_or_fail(definitions::parse_number(*reduce_width_, kReduceWidthMin, kTasksPerJobMax),
                        "--reduce-width ");
    request.reduce = std::move(reduce);
  }

  // The caller's environment, but for what belongs to Leat, and then --env.
  std::vector<std::string> read_environment(const Surroundings& surroundings) const {
    std::vector<std::string> environment;
    for (const std::string& entry : surroundings.environment)
      if (entry.find('=') != std::string::npos && entry.rfind("LEAT_", 0) != 0)
        environment.push_back(entry);
    for (const std::string& entry : env_) {
      if (entry.find('=') == std::string::npos || entry.front() == '=')
        fail(ExitCode::kUsage, "--env " + entry + ": write NAME=VALUE");
      if (entry.rfind("LEAT_", 0) == 0)
        fail(ExitCode::kUsage, "--env " + entry + ": names that begin with LEAT_ are Leat's own");
      set_variable(environment, entry);
    }
    return environment;
  }

  // The nodes of this version share our file system.
  void check_directory(const std::string& directory) const {
    struct stat info {};
    if (::stat(directory.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return;
    fail(ExitCode::kUsage, "--cwd " + directory + ": no such directory: name one that exists");
  }

  static JobId submit(Head& head, const JobRequest& request, const std::string& key) {
    capnp::MallocMessageBuilder message;
    const auto spec = message.initRoot<schema::JobSpec>();
    fill_job_spec(request, spec);
    if (spec.totalSize().wordCount > kJobWordsMax)
      fail(ExitCode::kUsage,
           "the job's description is over 8 MiB: give fewer separate indices or a smaller "
           "environment");
    const auto response = head.ask(
        [&spec, &key](schema::Scheduler::Client& client) {
          auto call = client.submitRequest();
          call.setKey(key.c_str());
          call.setSpec(spec.asReader());
          return call.send();
        },
        Patience{kSubmitPatience,
                 "it is not known whether the job was taken, so submit again with --key " + key +
                     ": it will not run twice"});
    const schema::SubmitResult::Reader result = response;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    return JobId{result.getJob()};
  }

  Text array_, each_line_, chunk_, pool_, name_, cpus_, memory_, retries_, time_, priority_, key_,
      cwd_, output_limit_, reduce_, reduce_width_;
  std::vector<std::string> env_, reduce_args_, argv_;
  bool bind_ = false;
  bool task_directory_ = false;
  bool wait_ = false;
  bool progress_ = false;
};

constexpr std::string_view kDetails =
    R"(Makes one job of a program and prints its id, nothing else. Without --array and
--each-line it has one task, 0. A task finds its number in LEAT_TASK_INDEX. The
program is run as it is given, never through a shell, in this directory and with
this environment; its output stays with the job (leat logs, leat result).

  leat submit --array 1-100 --reduce sort --wait -- ./simulate --seed 7
  leat submit --each-line files.txt --chunk 25 --progress -- ./count_words)";

}  // namespace

const CommandEntry kSubmit{"submit", "make a job of a program", kDetails, build_command<Submit>};

}  // namespace leat::cli
