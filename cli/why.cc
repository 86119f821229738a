// why.cc - `leat why`: what a job waits for.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "cli/value.h"

namespace leat::cli {
namespace {

class Why final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB[.INDEX]", name_, "a job or one task: 17, 17.42");
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_name(*name_));
    if (name.indices.size() > 1)
      fail(ExitCode::kUsage, *name_ + ": name a job or a single task, like 17 or 17.42");
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobId job = resolve_job(head, name);
    const auto answer = head.ask([&](schema::Scheduler::Client& client) {
      auto call = client.whyRequest();
      call.setJob(job.value);
      call.setStage(name.stage);
      call.setOneTask(name.names_task());
      if (name.names_task()) call.setIndex(name.indices.at(0));
      return call.send();
    });
    const schema::WhyResult::Reader result = answer;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    if (json_) {
      shell.console.out(json_document({{"job", job.value}, {"causes", rows(result)}}));
    } else {
      print(shell.console, result);
    }
    return ExitCode::kDone;
  }

 private:
  static Value rows(schema::WhyResult::Reader result) {
    Value::List rows;
    for (const schema::Cause::Reader cause : result.getCauses()) {
      rows.push_back(Value::Object{{"reason", read_text(cause.getReason())},
                                   {"message", read_text(cause.getMessage())},
                                   {"remedy", read_text(cause.getRemedy())},
                                   {"tasks", cause.getTasks()}});
    }
    return rows;
  }

  static void print(Console& console, schema::WhyResult::Reader result) {
    if (result.getCauses().size() == 0) console.out("nothing keeps it waiting\n");
    for (const schema::Cause::Reader cause : result.getCauses()) {
      std::string line;
      if (cause.getTasks() > 0)
        line = std::to_string(cause.getTasks()) + (cause.getTasks() == 1 ? " task: " : " tasks: ");
      line += read_text(cause.getMessage());
      if (cause.getRemedy().size() > 0) line += ": " + read_text(cause.getRemedy());
      console.out(printable(line) + '\n');
    }
  }

  std::optional<std::string> name_;
  bool json_ = false;
};

constexpr std::string_view kWhyDetails =
    R"(Names everything that keeps a job or task waiting and what would unblock it, or
what became of it.

  leat why last
  leat why 17.42)";

}  // namespace

const CommandEntry kWhy{"why", "say what a job or task waits for", kWhyDetails, build_command<Why>};

}  // namespace leat::cli
