// status.cc - `leat status`: the head, its pools, its daemons.

#include "cli/cluster_view.h"
#include "cli/command.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

class StatusCommand final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const auto answer =
        head.ask([](schema::Scheduler::Client& client) { return client.statusRequest().send(); });
    Value::Object row = status_row(answer.getStatus(), shell.surroundings.wall_us());
    row.insert(row.begin(), Field{"home", shell.home.path});
    shell.console.out(json_ ? json_document(std::move(row)) : status_page(row));
    return ExitCode::kDone;
  }

 private:
  bool json_ = false;
};

constexpr std::string_view kStatusDetails =
    R"(The head, its pools, every daemon with its process id, and how many bytes have
passed between head and agents.

  leat status
  leat status --json)";

}  // namespace

const CommandEntry kStatus{"status", "show the head, its pools and daemons", kStatusDetails,
                           build_command<StatusCommand>};

}  // namespace leat::cli
