// pool_change.cc - `leat pool resize` and `leat pool set`: another size, other times.

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/farewell.h"
#include "cli/head.h"
#include "definitions/pool_definition.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using Text = std::optional<std::string>;
using Running = schema::Farewell::Running;

// What both commands ask for; what is not given stays.
struct Change {
  std::optional<std::uint64_t> min, max;
  std::optional<Duration> idle_timeout, join_deadline;
};

std::optional<Refusal> ask_change(Head& head, const std::string& key, const std::string& pool,
                                  const Change& change, const FarewellOptions& farewell) {
  const auto answer = head.ask(
      [&](schema::Scheduler::Client& client) {
        auto call = client.changePoolRequest();
        call.setKey(key.c_str());
        call.setPool(pool.c_str());
        auto to = call.initChange();
        if (change.min) to.setMin(static_cast<std::int64_t>(*change.min));
        if (change.max) to.setMax(static_cast<std::int64_t>(*change.max));
        if (change.idle_timeout) to.setIdleTimeoutUs(change.idle_timeout->count());
        if (change.join_deadline) to.setJoinDeadlineUs(change.join_deadline->count());
        farewell.fill(Running::REFUSE, to.initFarewell());
        return call.send();
      },
      change_patience(key));
  const schema::Answer::Reader result = answer;
  if (!result.isRefusal()) return std::nullopt;
  return read_refusal(result.getRefusal());
}

void change_pool(Shell& shell, const std::string& pool, const Change& change, const Text& key,
                 FarewellOptions& farewell) {
  value_or_fail(verify_home(shell.home));
  Head head(shell);
  const std::string one_key = key.value_or(shell.surroundings.fresh_key);
  farewell.ask_with(shell.console, "pool " + pool + " stays as it is",
                    [&] { return ask_change(head, one_key, pool, change, farewell); });
}

std::optional<std::uint64_t> read_nodes(const std::string& name, const Text& text,
                                        std::uint64_t min) {
  if (!text) return std::nullopt;
  return value_or_fail(definitions::parse_number(*text, min, definitions::kNodesMax), name + ' ');
}

std::optional<Duration> read_time(const std::string& option, const Text& text, Duration min,
                                  Duration max) {
  if (!text) return std::nullopt;
  const Duration time = value_or_fail(definitions::parse_duration(*text), option + ' ');
  if (time < min || time > max)
    fail(ExitCode::kUsage, option + ' ' + *text + ": wants a time from " +
                               definitions::show_duration(min) + " to " +
                               definitions::show_duration(max));
  return time;
}

void refuse_crossed(const Change& change) {
  if (change.min && change.max && *change.min > *change.max)
    fail(ExitCode::kUsage,
         "--min " + std::to_string(*change.min) + " is above --max " + std::to_string(*change.max));
}

class PoolResize final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("POOL", name_, "the pool's name");
    arguments.operand("N", nodes_, "so many nodes, always", false);
    arguments.option("--min", "N", min_, "never fewer nodes");
    arguments.option("--max", "N", max_, "never more nodes");
    farewell_.declare(arguments);
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    Change change;
    if (nodes_ && (min_ || max_))
      fail(ExitCode::kUsage, "N is a fixed size: give it, or --min and --max");
    change.min = nodes_ ? read_nodes("N", nodes_, 1) : read_nodes("--min", min_, 0);
    change.max = nodes_ ? change.min : read_nodes("--max", max_, 1);
    if (!change.min && !change.max)
      fail(ExitCode::kUsage, "N is missing: write leat pool resize POOL N, or --min and --max");
    refuse_crossed(change);
    farewell_.check();
    change_pool(shell, *name_, change, key_, farewell_);
    return ExitCode::kDone;
  }

 private:
  Text name_, nodes_, min_, max_, key_;
  FarewellOptions farewell_;
};

class PoolSet final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("POOL", name_, "the pool's name");
    arguments.option("--min", "N", min_, "never fewer nodes");
    arguments.option("--max", "N", max_, "never more nodes");
    arguments.option("--idle-timeout", "TIME", idle_timeout_,
                     "a node without work goes after so long");
    arguments.option("--join-deadline", "TIME", join_deadline_,
                     "a node that takes longer to join is replaced");
    farewell_.declare(arguments);
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    Change change;
    change.min = read_nodes("--min", min_, 0);
    change.max = read_nodes("--max", max_, 1);
    refuse_crossed(change);
    change.idle_timeout = read_time("--idle-timeout", idle_timeout_, definitions::kIdleTimeoutMin,
                                    definitions::kIdleTimeoutMax);
    change.join_deadline = read_time("--join-deadline", join_deadline_,
                                     definitions::kJoinDeadlineMin, definitions::kJoinDeadlineMax);
    farewell_.check();
    change_pool(shell, *name_, change, key_, farewell_);
    return ExitCode::kDone;
  }

 private:
  Text name_, min_, max_, idle_timeout_, join_deadline_, key_;
  FarewellOptions farewell_;
};

constexpr std::string_view kPoolResizeDetails =
    R"(Gives a pool another size. Nodes that are too many take no new work and go when
they are empty. While all that must go have work, it asks what is to become of
that; without a terminal it is refused, unless --wait or --requeue says it.

  leat pool resize local 4
  leat pool resize burst --min 0 --max 20)";

constexpr std::string_view kPoolSetDetails =
    R"(Changes what is given and leaves the rest as it is. A pool that is paused because
its nodes did not come is opened again, also if nothing else is given.

  leat pool set burst --idle-timeout 30s
  leat pool set burst)";

}  // namespace

const CommandEntry kPoolResize{"pool resize", "give a pool another size", kPoolResizeDetails,
                               build_command<PoolResize>};
const CommandEntry kPoolSet{"pool set", "change a pool, or open it again", kPoolSetDetails,
                            build_command<PoolSet>};

}  // namespace leat::cli
