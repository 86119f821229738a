// down.cc - `leat down`: the nodes and the head end, work that waits stays.

#include <cstdlib>

#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

constexpr Duration kGoneDeadline = std::chrono::seconds(30);
// The nodes' runs get their grace first.
constexpr Duration kStopDeadline = std::chrono::seconds(60);
constexpr std::string_view kHeadName = "leat-scheduler";

class Down final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--force", force_,
                   "also while tasks run: they end, and run again after leat up");
  }

  ExitCode run(Shell& shell) override {
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const pid_t pid = pid_of_head(head);
    ProcessHandle process(pid);
    shell.console.progress("stopping");
    stop(head);
    if (process.wait_for_end(shell, kGoneDeadline)) return ExitCode::kDone;
    fail(ExitCode::kTimedOut, "the head (process " + std::to_string(pid) +
                                  ") has not ended within 30 s: see " + shell.home.logs());
  }

 private:
  // A head that is gone before its answer has arrived is stopped too.
  void stop(Head& head) const {
    try {
      const auto answer = head.ask(
          [this](schema::Scheduler::Client& client) {
            auto call = client.shutdownRequest();
            call.setEndTasks(force_);
            return call.send();
          },
          {}, kStopDeadline);
      expect_done(schema::Answer::Reader(answer));
    } catch (const Failure& failure) {
      if (failure.code != ExitCode::kUnreachable) throw;
    }
  }

  static pid_t pid_of_head(Head& head) {
    const auto answer =
        head.ask([](schema::Scheduler::Client& client) { return client.statusRequest().send(); });
    for (const schema::Status::Daemon::Reader daemon : answer.getStatus().getDaemons())
      if (kHeadName == daemon.getName().cStr()) return static_cast<pid_t>(daemon.getPid());
    fail(ExitCode::kUnreachable, "the head does not tell its process id: see leat status");
  }

  bool force_ = false;
};

constexpr std::string_view kDownDetails =
    R"(Stops the local nodes, leat-store and the head, and returns when the head is gone.
Work that waits is kept and goes on after leat up. Refused while tasks run.

  leat down
  leat down --force)";

}  // namespace

const CommandEntry kDown{"down", "stop the nodes and the head", kDownDetails, build_command<Down>};

}  // namespace leat::cli
