// node_change.cc - `leat node drain`, `resume` and `remove`: what a node is for.

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/farewell.h"
#include "cli/head.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using Text = std::optional<std::string>;
using Running = schema::Farewell::Running;

std::uint32_t read_node(const Text& text) {
  return static_cast<std::uint32_t>(
      value_or_fail(definitions::parse_number(*text, 1, ~std::uint32_t{0}), "NODE "));
}

// Sends one request that `make(client)` has begun: node, key, and whatever `fill` adds.
template <typename Make, typename Fill>
void ask_node(Shell& shell, std::uint32_t node, const Text& chosen_key, Make make, Fill fill) {
  value_or_fail(verify_home(shell.home));
  Head head(shell);
  const std::string key = chosen_key.value_or(shell.surroundings.fresh_key);
  const auto answer = head.ask(
      [&](schema::Scheduler::Client& client) {
        auto call = make(client);
        call.setKey(key.c_str());
        call.setNode(node);
        fill(call);
        return call.send();
      },
      change_patience(key));
  expect_done(schema::Answer::Reader(answer));
}

class NodeDrain final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("NODE", node_, "the node's number (leat node list)");
    arguments.option("--deadline", "TIME", deadline_,
                     "what still runs after so long is ended and runs again elsewhere");
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    const std::uint32_t node = read_node(node_);
    std::optional<Duration> deadline;
    if (deadline_) deadline = value_or_fail(definitions::parse_duration(*deadline_), "--deadline ");
    ask_node(
        shell, node, key_,
        [](schema::Scheduler::Client& client) { return client.drainNodeRequest(); },
        [&deadline](auto& call) {
          auto farewell = call.initFarewell();
          farewell.setRunning(deadline ? Running::REQUEUE : Running::COMPLETE);
          farewell.setWithinUs(deadline ? deadline->count() : 0);
        });
    return ExitCode::kDone;
  }

 private:
  Text node_, deadline_, key_;
};

class NodeResume final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("NODE", node_, "the node's number (leat node list)");
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    ask_node(
        shell, read_node(node_), key_,
        [](schema::Scheduler::Client& client) { return client.resumeNodeRequest(); }, [](auto&) {});
    return ExitCode::kDone;
  }

 private:
  Text node_, key_;
};

class NodeRemove final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("NODE", node_, "the node's number (leat node list)");
    farewell_.declare(arguments);
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    farewell_.check();
    ask_node(
        shell, read_node(node_), key_,
        [](schema::Scheduler::Client& client) { return client.removeNodeRequest(); },
        [this](auto& call) { farewell_.fill(Running::COMPLETE, call.initFarewell()); });
    return ExitCode::kDone;
  }

 private:
  Text node_, key_;
  FarewellOptions farewell_;
};

constexpr std::string_view kNodeDrainDetails =
    R"(The node takes no new work until it is resumed or removed. What runs there
completes, unless --deadline says otherwise.

  leat node drain 3
  leat node drain 3 --deadline 10m)";

constexpr std::string_view kNodeResumeDetails =
    R"(The node takes work again.

  leat node resume 3)";

constexpr std::string_view kNodeRemoveDetails =
    R"(The node takes no new work, and goes when it is empty; its pool replaces it if it
then is too small. Of a lost node this says that it will not come back.

  leat node remove 3
  leat node remove 3 --requeue --within 1m)";

}  // namespace

const CommandEntry kNodeDrain{"node drain", "close a node to new work", kNodeDrainDetails,
                              build_command<NodeDrain>};
const CommandEntry kNodeResume{"node resume", "open a node again", kNodeResumeDetails,
                               build_command<NodeResume>};
const CommandEntry kNodeRemove{"node remove", "remove a node from its pool", kNodeRemoveDetails,
                               build_command<NodeRemove>};

}  // namespace leat::cli
