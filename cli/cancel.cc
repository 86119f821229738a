// cancel.cc - `leat cancel`: a wish that the head keeps.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

constexpr Duration kCancelPatience = std::chrono::seconds(30);

class Cancel final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB[.INDICES]", name_, "a job, or some of its tasks: 17, 17.5, 17.10-19");
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_name(*name_));
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobId job = resolve_job(head, name);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = client.cancelRequest();
          call.setKey(key.c_str());
          call.setJob(job.value);
          call.setStage(name.stage);
          const std::span<const Stride> strides = name.indices.strides();
          auto indices = call.initIndices(static_cast<unsigned>(strides.size()));
          for (unsigned i = 0; i < indices.size(); ++i) {
            indices[i].setFirst(strides[i].first);
            indices[i].setCount(strides[i].count);
            indices[i].setStep(strides[i].step);
          }
          return call.send();
        },
        Patience{kCancelPatience, "it is not known whether it heard: cancel again"});
    expect_done(schema::Answer::Reader(answer));
    return ExitCode::kDone;
  }

 private:
  std::optional<std::string> name_, key_;
};

constexpr std::string_view kCancelDetails =
    R"(What waits is dropped, what runs gets SIGTERM and, after its grace, SIGKILL.
Returns when the wish is on the head's disk; leat wait tells when all has ended.

  leat cancel 17
  leat cancel last.10-19)";

}  // namespace

const CommandEntry kCancel{"cancel", "end a job, or some of its tasks", kCancelDetails,
                           build_command<Cancel>};

}  // namespace leat::cli
