// hold.cc - `leat hold`, `leat release`: a job that shall start nothing for now.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

const Patience kPatience{std::chrono::seconds(30),
                         "it is not known whether it heard: say it again"};

// One wish about a whole job.
class Wish : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB", job_, "the job's number, or last");
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

 protected:
  // Sends what `request(client)` makes, with key and job.
  template <typename Request>
  ExitCode ask(Shell& shell, Request request) {
    const TaskName name = value_or_fail(parse_job(*job_));
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobId job = resolve_job(head, name);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = request(client);
          call.setKey(key.c_str());
          call.setJob(job.value);
          return call.send();
        },
        kPatience);
    expect_done(schema::Answer::Reader(answer));
    return ExitCode::kDone;
  }

 private:
  std::optional<std::string> job_, key_;
};

class Hold final : public Wish {
 public:
  ExitCode run(Shell& shell) override {
    return ask(shell, [](schema::Scheduler::Client& client) { return client.holdRequest(); });
  }
};

class Release final : public Wish {
 public:
  ExitCode run(Shell& shell) override {
    return ask(shell, [](schema::Scheduler::Client& client) { return client.releaseRequest(); });
  }
};

constexpr std::string_view kHoldDetails =
    R"(Nothing of the job is started any more until it is released; what runs goes on, and
what nodes have only queued comes back. leat why tells who holds it, and since when.

  leat hold 17)";

constexpr std::string_view kReleaseDetails =
    R"(Lets a held job go on. A job that is not held stays as it is.

  leat release 17)";

}  // namespace

const CommandEntry kHold{"hold", "start nothing more of a job", kHoldDetails, build_command<Hold>};
const CommandEntry kRelease{"release", "let a held job go on", kReleaseDetails,
                            build_command<Release>};

}  // namespace leat::cli
