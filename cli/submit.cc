// submit.cc - `leat submit`: a program or a job file, made into a job.

#include <capnp/message.h>

#include <utility>

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "cli/job_options.h"
#include "cli/job_request.h"
#include "cli/line_input.h"
#include "cli/pool_options.h"

namespace leat::cli {
namespace {

constexpr Duration kSubmitPatience = std::chrono::seconds(30);
constexpr std::size_t kKeyBytesMax = 128;
constexpr std::string_view kJobFileEnding = ".toml";

class Submit final : public Command {
 public:
  void declare(Arguments& arguments) override {
    options_.declare(arguments);
    arguments.option("--pool-file", "FILE.toml", pool_file_,
                     "make this pool for the job alone; it goes when the job has ended");
    arguments.option("--key", "TEXT", key_, "submitting twice with one key makes one job");
    arguments.flag("--wait", wait_, "return when the job has ended, with its exit code");
    arguments.flag("--progress", progress_, "wait, and show how far it is");
    arguments.flag("--print-file", print_file_,
                   "submit nothing: print the job file that says the same");
    arguments.operand("FILE.toml", file_,
                      "a job file (leat-job(5)); options come before what it says", false);
    arguments.rest("PROGRAM ARGS…", argv_, false);
  }

  ExitCode run(Shell& shell) override {
    const definitions::JobDefinition definition = define();
    JobRequest request = read_job_request(definition, shell.surroundings);
    if (key_ && (key_->empty() || key_->size() > kKeyBytesMax))
      fail(ExitCode::kUsage, "--key: 1 to 128 bytes");
    if (print_file_) {
      shell.console.out(value_or_fail(definitions::print_job(definition), "--print-file: "));
      return ExitCode::kDone;
    }
    std::optional<definitions::PoolDefinition> pool;
    if (pool_file_ && !request.pools.empty())
      fail(ExitCode::kUsage,
           "--pool and --pool-file: give one of them, the job's own pool is its "
           "only one");
    if (pool_file_) pool = load_pool_file(*pool_file_, shell.surroundings);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    prepare(shell, head, request);
    for (StageRequest& stage : request.stages) prepare(shell, head, stage.work);
    const JobId job = submit(head, request, pool, key);
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
  // What the file says, and then the command line.
  definitions::JobDefinition define() const {
    definitions::JobDefinition job;
    if (file_) {
      if (!file_->ends_with(kJobFileEnding))
        fail(ExitCode::kUsage,
             *file_ + ": a job file ends in .toml; a program and its arguments stand after --");
      job = value_or_fail(definitions::load_job(*file_));
    } else if (argv_.empty()) {
      fail(ExitCode::kUsage,
           "nothing to run: put -- PROGRAM ARGS… at the end, or name a job file: see leat submit "
           "--help");
    }
    job.override_with(options_.given(argv_));
    return job;
  }

  // What the head has to be there for.
  static void prepare(Shell& shell, Head& head, JobRequest& request) {
    upload_inputs(shell, head, request);
    for (AfterRequest& after : request.after)
      if (!after.job) after.job = resolve_job(head, TaskName{});
  }

  static JobId submit(Head& head, const JobRequest& request,
                      const std::optional<definitions::PoolDefinition>& pool,
                      const std::string& key) {
    capnp::MallocMessageBuilder message;
    const auto spec = message.initRoot<schema::JobSpec>();
    fill_job_spec(request, spec);
    if (spec.totalSize().wordCount > kJobWordsMax)
      fail(ExitCode::kUsage,
           "the job's description is over 8 MiB: give fewer separate indices or a smaller "
           "environment");
    const auto response = head.ask(
        [&spec, &pool, &key](schema::Scheduler::Client& client) {
          auto call = client.submitRequest();
          call.setKey(key.c_str());
          call.setSpec(spec.asReader());
          if (pool) definitions::fill_pool_spec(*pool, call.initPool());
          return call.send();
        },
        Patience{kSubmitPatience,
                 "it is not known whether the job was taken, so submit again with --key " + key +
                     ": it will not run twice"});
    const schema::SubmitResult::Reader result = response;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    return JobId{result.getJob()};
  }

  JobOptions options_;
  std::optional<std::string> file_, pool_file_, key_;
  std::vector<std::string> argv_;
  bool wait_ = false;
  bool progress_ = false;
  bool print_file_ = false;
};

constexpr std::string_view kSubmitDetails =
    R"(Makes one job of a program, or of a job file, and prints its id, nothing else. Without
--array and --each-line it has one task, 0. A task finds its number in
LEAT_TASK_INDEX. The program is run as it is given, never through a shell, in this
directory and with this environment; its output stays with the job (leat logs,
leat result).

  leat submit --array 1-100 --reduce sort --wait -- ./simulate --seed 7
  leat submit --each-line files.txt --chunk 25 --progress -- ./count_words
  leat submit nightly.toml --priority 10
  leat submit --array 1-100 --pool-file burst.toml -- ./simulate
  leat submit --nodes 2 --ranks-per-node 4 --mpi -- ./solver
  leat submit --nodes 2 --gang -- mpirun ./solver)";

}  // namespace

const CommandEntry kSubmit{"submit", "make a job of a program", kSubmitDetails,
                           build_command<Submit>};

}  // namespace leat::cli
