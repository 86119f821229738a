// pool.cc - `leat pool list` and `leat pool show`: every pool, or all about one.

#include <algorithm>

#include "cli/cluster_view.h"
#include "cli/command.h"
#include "cli/head.h"
#include "cli/job_view.h"

namespace leat::cli {
namespace {

auto ask_pools(Head& head) {
  return head.ask([](schema::Scheduler::Client& client) { return client.poolsRequest().send(); });
}

class PoolList final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const auto answer = ask_pools(head);
    Value::List rows;
    for (const schema::PoolSummary::Reader pool : answer.getPools()) rows.push_back(pool_row(pool));
    shell.console.out(json_ ? json_document({{"pools", std::move(rows)}}) : pool_table(rows));
    return ExitCode::kDone;
  }

 private:
  bool json_ = false;
};

class PoolShow final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("POOL", name_, "the pool's name");
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const auto answer = ask_pools(head);
    for (const schema::PoolSummary::Reader pool : answer.getPools()) {
      if (*name_ != pool.getSpec().getName().cStr()) continue;
      Value::Object row = pool_row(pool);
      shell.console.out(json_ ? json_document(std::move(row)) : pool_page(row));
      return ExitCode::kDone;
    }
    fail(ExitCode::kUsage, "no pool \"" + *name_ + "\": see leat pool list");
  }

 private:
  std::optional<std::string> name_;
  bool json_ = false;
};

constexpr std::string_view kPoolListDetails =
    R"(Every pool: how many nodes it may have, and how many are up, coming, lost or on
their way out.

  leat pool list)";

constexpr std::string_view kPoolShowDetails =
    R"(One pool: its size, its times, what its nodes have, and why it is paused if it is.

  leat pool show local
  leat pool show local --json)";

}  // namespace

const CommandEntry kPoolList{"pool list", "list the pools", kPoolListDetails,
                             build_command<PoolList>};
const CommandEntry kPoolShow{"pool show", "show one pool", kPoolShowDetails,
                             build_command<PoolShow>};

}  // namespace leat::cli
