// wait.cc - `leat wait`: returns when a job has ended.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

class Wait final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB", job_, "the job's number, or last");
    arguments.option("--timeout", "T", timeout_, "give up after T, like 90s or 1h (exit code 124)");
    arguments.flag("--progress", progress_, "show how far it is");
    arguments.flag("--json", json_, "print the job as it ended, as leat job show does");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_job(*job_));
    FollowOptions options;
    if (timeout_)
      options.timeout = value_or_fail(definitions::parse_duration(*timeout_), "--timeout ");
    options.progress = progress_ || shell.console.shows_progress();
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobView job = follow(shell, head, name, options);
    if (json_) shell.console.out(json_document(job_row(job, shell.surroundings.wall_us())));
    return conclude(shell, job, options.progress);
  }

 private:
  std::optional<std::string> job_, timeout_;
  bool progress_ = false;
  bool json_ = false;
};

constexpr std::string_view kWaitDetails =
    R"(Returns when the job has ended: 0 if it succeeded, 1 if it failed or was
cancelled, 124 if it has not ended in time. The head may be restarted meanwhile.

  leat wait last --progress
  leat wait 17 --timeout 1h)";

}  // namespace

const CommandEntry kWait{"wait", "return when a job has ended", kWaitDetails, build_command<Wait>};

}  // namespace leat::cli
