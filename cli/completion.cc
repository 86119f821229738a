// completion.cc - `leat completion`: what bash or zsh needs to complete words.

#include "cli/command.h"
#include "cli/completion_script.h"

namespace leat::cli {
namespace {

class Completion final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("bash|zsh", name_, "for which shell");
  }

  ExitCode run(Shell& shell) override {
    if (*name_ == "bash") {
      shell.console.out(bash_completion(shell.surroundings.commands));
    } else if (*name_ == "zsh") {
      shell.console.out(zsh_completion(shell.surroundings.commands));
    } else {
      fail(ExitCode::kUsage, *name_ + ": no completion for this shell: write bash or zsh");
    }
    return ExitCode::kDone;
  }

 private:
  std::optional<std::string> name_;
};

constexpr std::string_view kCompletionDetails =
    R"(Prints a script that makes bash or zsh complete the commands, options and job ids of
leat. Installing leat installs both; without that, read it into the shell you are in.

  . <(leat completion bash)
  leat completion zsh > ~/.zsh/functions/_leat)";

}  // namespace

const CommandEntry kCompletion{"completion", "print a completion script for a shell",
                               kCompletionDetails, build_command<Completion>};

}  // namespace leat::cli
