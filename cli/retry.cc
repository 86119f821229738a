// retry.cc - `leat retry`: what did not succeed, once more.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

constexpr Duration kRetryPatience = std::chrono::seconds(30);

class Retry final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB", job_, "the job's number, or last");
    arguments.flag("--failed", failed_,
                   "the tasks that failed, were cancelled, skipped or set aside");
    arguments.option("--key", "TEXT", key_, "asking twice with one key makes one job");
    arguments.flag("--wait", wait_, "return when the new job has ended, with its exit code");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_job(*job_));
    if (!failed_)
      fail(ExitCode::kUsage, "retry: say which tasks: --failed is the only choice so far");
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobId old = resolve_job(head, name);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = client.retryRequest();
          call.setKey(key.c_str());
          call.setJob(old.value);
          return call.send();
        },
        Patience{kRetryPatience,
                 "it is not known whether the job was taken, so retry again with --key " + key +
                     ": it will not run twice"});
    const schema::SubmitResult::Reader result = answer;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    if (result.getNote().size() > 0) shell.console.talk("leat: " + read_text(result.getNote()));
    shell.console.out(std::to_string(result.getJob()) + '\n');
    if (!wait_) return ExitCode::kDone;
    TaskName made;
    made.job = JobId{result.getJob()};
    FollowOptions options;
    options.progress = shell.console.shows_progress();
    return conclude(shell, follow(shell, head, made, options), options.progress);
  }

 private:
  std::optional<std::string> job_, key_;
  bool failed_ = false;
  bool wait_ = false;
};

constexpr std::string_view kRetryDetails =
    R"(Makes a job of the tasks of JOB that ended without success, and prints its id. They
have the indices, program, inputs and policies they had; the new job comes after no
other, and says which one it retries. Of a job of several stages, what comes after those
tasks runs, too, and what a reduce step has to read again; stages that need not run are
left out. A job of one stage may be retried while it is active: what has ended is taken.

  leat retry last --failed
  leat retry 17 --failed --wait)";

}  // namespace

const CommandEntry kRetry{"retry", "run failed tasks of a job again", kRetryDetails,
                          build_command<Retry>};

}  // namespace leat::cli
