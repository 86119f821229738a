// job_set.cc - `leat job set`: what may be changed of a job that is there.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "cli/job_options.h"

namespace leat::cli {
namespace {

class JobSet final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB", job_, "the job's number, or last");
    arguments.option("--priority", "P", priority_, "higher goes first");
    arguments.option("--name", "NAME", name_, "the job's name");
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    const TaskName job_name = value_or_fail(parse_job(*job_));
    if (!priority_ && !name_)
      fail(ExitCode::kUsage, "job set: nothing to change: give --priority or --name");
    std::int32_t priority = 0;
    if (priority_) priority = value_or_fail(parse_priority(*priority_), "--priority ");
    if (name_ && name_->size() > kJobNameBytesMax)
      fail(ExitCode::kUsage, "--name: at most 256 bytes");
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobId job = resolve_job(head, job_name);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = client.setJobRequest();
          call.setKey(key.c_str());
          call.setJob(job.value);
          auto change = call.initChange();
          change.setSetsPriority(priority_.has_value());
          change.setPriority(priority);
          change.setSetsName(name_.has_value());
          if (name_) change.setName(name_->c_str());
          return call.send();
        },
        Patience{std::chrono::seconds(30), "it is not known whether it heard: say it again"});
    expect_done(schema::Answer::Reader(answer));
    return ExitCode::kDone;
  }

 private:
  std::optional<std::string> job_, priority_, name_, key_;
};

constexpr std::string_view kJobSetDetails =
    R"(Changes a job that has not ended. Its place in the queue is the new one at once;
what runs goes on.

  leat job set 17 --priority 10
  leat job set last --name nightly)";

}  // namespace

const CommandEntry kJobSet{"job set", "change a job's priority or name", kJobSetDetails,
                           build_command<JobSet>};

}  // namespace leat::cli
