// pool_delete.cc - `leat pool delete`: a pool and its nodes; what runs there is asked about.

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/farewell.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

class PoolDelete final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("POOL", name_, "the pool's name");
    farewell_.declare(arguments);
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    farewell_.check();
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    farewell_.ask_with(shell.console, "pool " + *name_ + " is kept",
                       [&] { return ask(head, key); });
    return ExitCode::kDone;
  }

 private:
  std::optional<Refusal> ask(Head& head, const std::string& key) const {
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = client.deletePoolRequest();
          call.setKey(key.c_str());
          call.setPool(name_->c_str());
          farewell_.fill(schema::Farewell::Running::REFUSE, call.initFarewell());
          return call.send();
        },
        change_patience(key));
    const schema::Answer::Reader result = answer;
    if (!result.isRefusal()) return std::nullopt;
    return read_refusal(result.getRefusal());
  }

  std::optional<std::string> name_, key_;
  FarewellOptions farewell_;
};

constexpr std::string_view kPoolDeleteDetails =
    R"(Deletes a pool: its nodes take no new work, and go when they are empty. Returns
when the wish is on the head's disk. While something runs there, or an active job
names the pool, it asks what is to become of that; without a terminal it is
refused, unless --wait or --requeue says it.

  leat pool delete burst
  leat pool delete burst --requeue)";

}  // namespace

const CommandEntry kPoolDelete{"pool delete", "delete a pool and its nodes", kPoolDeleteDetails,
                               build_command<PoolDelete>};

}  // namespace leat::cli
