// node.cc - `leat node list`: every node and what runs on it.

#include "cli/cluster_view.h"
#include "cli/command.h"
#include "cli/head.h"

namespace leat::cli {
namespace {

class NodeList final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.flag("--json", json_, "machine-readable output");
  }

  ExitCode run(Shell& shell) override {
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const auto answer =
        head.ask([](schema::Scheduler::Client& client) { return client.nodesRequest().send(); });
    Value::List rows;
    for (const schema::NodeSummary::Reader node : answer.getNodes()) rows.push_back(node_row(node));
    shell.console.out(json_ ? json_document({{"nodes", std::move(rows)}}) : node_table(rows));
    return ExitCode::kDone;
  }

 private:
  bool json_ = false;
};

constexpr std::string_view kNodeListDetails =
    R"(Every node, what it has, and what runs on it. MPI is the number of the Open MPI whose
ranks can be started there.

  leat node list)";

}  // namespace

const CommandEntry kNodeList{"node list", "list the nodes", kNodeListDetails,
                             build_command<NodeList>};

}  // namespace leat::cli
