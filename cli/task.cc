// task.cc - `leat task show`: what became of one task, and where.

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "cli/task_view.h"

namespace leat::cli {
namespace {

class TaskShow final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB.INDEX", name_, "the task: 17.42, last.0, 17.1.3 in stage 1");
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_task(*name_));
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    TaskView task;
    task.stage = name.stage;
    task.index = name.indices.at(0);
    OutputWanted wanted;
    wanted.job = resolve_job(head, name);
    wanted.stage = task.stage;
    wanted.index = task.index;
    task.places = find_task(shell, head, wanted);
    // Later than that: what has ended by then is in it.
    task.job = ask_job(head, wanted.job);
    task.waits = !task.job.has_ended() && ask_waits(head, wanted);
    shell.console.out(json_ ? json_document(task_row(task)) : task_page(task));
    return ExitCode::kDone;
  }

 private:
  // Whether anything keeps it from running. Of a task that does not wait, the only cause is what
  // became of it, or that its node is lost.
  static bool ask_waits(Head& head, const OutputWanted& task) {
    const auto answer = head.ask([&task](schema::Scheduler::Client& client) {
      auto call = client.whyRequest();
      call.setJob(task.job.value);
      call.setStage(task.stage);
      call.setIndex(task.index);
      call.setOneTask(true);
      return call.send();
    });
    const schema::WhyResult::Reader result = answer;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    for (const schema::Cause::Reader cause : result.getCauses()) {
      const std::string reason = read_text(cause.getReason());
      if (reason != "state" && reason != "ended" && reason != "node-lost") return true;
    }
    return false;
  }

  std::optional<std::string> name_;
  bool json_ = false;
};

constexpr std::string_view kTaskShowDetails =
    R"(One task and its newest run: its state, what it last said of its progress, the node it is
or was on, and where its output is; of an MPI task each of its nodes, and of each rank the
process and the CPUs it is bound to; of a program that starts its own ranks its subtasks.

  leat task show 17.42
  leat task show last.0 --json)";

}  // namespace

const CommandEntry kTaskShow{"task show", "show one task", kTaskShowDetails,
                             build_command<TaskShow>};

}  // namespace leat::cli
