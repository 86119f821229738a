// pool_create.cc - `leat pool create` and `leat pool plan`: a pool from a file or from options.

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/head.h"
#include "cli/pool_options.h"
#include "cli/value.h"

namespace leat::cli {
namespace {

using Text = std::optional<std::string>;

definitions::PoolDefinition read_pool(const Text& file, const PoolOptions& options,
                                      const Surroundings& surroundings) {
  if (file && options.given())
    fail(ExitCode::kUsage, "give FILE or options, not both: " + *file + " says it all");
  return file ? load_pool_file(*file, surroundings) : options.read();
}

class PoolCreate final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("FILE.toml", file_, "the pool's definition, see leat-pool(5)", false);
    options_.declare(arguments);
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    const definitions::PoolDefinition pool = read_pool(file_, options_, shell.surroundings);
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const std::string key = key_.value_or(shell.surroundings.fresh_key);
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = client.createPoolRequest();
          call.setKey(key.c_str());
          definitions::fill_pool_spec(pool, call.initSpec());
          return call.send();
        },
        change_patience(key));
    expect_done(schema::Answer::Reader(answer));
    return ExitCode::kDone;
  }

 private:
  Text file_, key_;
  PoolOptions options_;
};

class PoolPlan final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("FILE.toml", file_, "the pool's definition, see leat-pool(5)", false);
    options_.declare(arguments);
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    const definitions::PoolDefinition pool = read_pool(file_, options_, shell.surroundings);
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const auto answer = head.ask([&](schema::Scheduler::Client& client) {
      auto call = client.planPoolRequest();
      definitions::fill_pool_spec(pool, call.initSpec());
      return call.send();
    });
    const schema::PlanResult::Reader result = answer;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    show(shell.console, pool.name, result.getPlan());
    return ExitCode::kDone;
  }

 private:
  void show(Console& console, const std::string& name,
            schema::PlanResult::Plan::Reader plan) const {
    Value::List why;
    std::string lines;
    for (const capnp::Text::Reader line : plan.getWhy()) {
      why.push_back(std::string(line.cStr()));
      lines += "  " + printable(line.cStr()) + '\n';
    }
    if (json_) {
      console.out(json_document({{"pool", name},
                                 {"have", plan.getHave()},
                                 {"wanted", plan.getWanted()},
                                 {"why", std::move(why)}}));
      return;
    }
    console.out("pool " + name + ": " + std::to_string(plan.getWanted()) + " nodes wanted, " +
                std::to_string(plan.getHave()) + " there or coming\n" + lines);
  }

  Text file_;
  PoolOptions options_;
  bool json_ = false;
};

constexpr std::string_view kPoolCreateDetails =
    R"(Makes a pool. Of nodes = N it has N nodes from now on; of min and max it has as
many as work waits for, and fewer again when they are idle. Doing it twice changes
nothing; a pool of this name with other settings is not touched (leat pool set).

  leat pool create big.toml
  leat pool create --name burst --max 8 --cores 1 --idle-timeout 2m)";

constexpr std::string_view kPoolPlanDetails =
    R"(Tells how many nodes the head would have in such a pool now, and why, and changes
nothing.

  leat pool plan big.toml)";

}  // namespace

const CommandEntry kPoolCreate{"pool create", "make a pool", kPoolCreateDetails,
                               build_command<PoolCreate>};
const CommandEntry kPoolPlan{"pool plan", "tell what the head would do with a pool",
                             kPoolPlanDetails, build_command<PoolPlan>};

}  // namespace leat::cli
