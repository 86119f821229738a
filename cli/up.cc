// up.cc - `leat up`: a head, a pool, and nodes that are up.

#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/head.h"
#include "definitions/pool_definition.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

constexpr const char* kLocalPool = "local";
constexpr std::uint32_t kNodesDefault = 2;
constexpr Duration kNodesDeadline = std::chrono::seconds(60);
// Nodes come up once per cluster; there is nothing to be told by meanwhile.
constexpr kj::Duration kNodesPause = 50 * kj::MILLISECONDS;

using definitions::PoolDefinition;

std::uint32_t cores_of_machine() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const bool known = ::sched_getaffinity(0, sizeof mask, &mask) == 0;
  return known ? static_cast<std::uint32_t>(std::max(1, CPU_COUNT(&mask))) : 1;
}

std::uint64_t memory_of_machine() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

// What is not said in a definition is an equal share of this machine.
void complete(PoolDefinition& pool) {
  if (!pool.millicores) pool.millicores = std::max(1u, cores_of_machine() / pool.nodes) * 1000;
  if (!pool.memory_bytes) {
    constexpr std::uint64_t kMebibyte = 1 << 20;
    pool.memory_bytes = memory_of_machine() / pool.nodes / kMebibyte * kMebibyte;
  }
}

class Up final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--local", "N", local_,
                     "a pool \"local\" of N nodes on this machine (default: 2)");
    arguments.option("--pool", "FILE.toml", pool_file_, "the pool that FILE.toml defines");
  }

  ExitCode run(Shell& shell) override {
    std::optional<PoolDefinition> wanted = read_pool(shell.surroundings);
    value_or_fail(make_home(shell.home));
    Head head(shell);
    if (!head.answers()) start(shell, head);
    if (!wanted && !has_pools(head)) wanted = local_pool(kNodesDefault);
    if (wanted) create(shell, head, *wanted);
    const std::uint32_t nodes = wait_for_nodes(shell, head);
    shell.console.out("up: " + std::to_string(nodes) + (nodes == 1 ? " node" : " nodes") + " at " +
                      printable(shell.home.path) + '\n');
    return ExitCode::kDone;
  }

 private:
  static PoolDefinition local_pool(std::uint32_t nodes) {
    PoolDefinition pool;
    pool.name = kLocalPool;
    pool.provider = "local";
    pool.nodes = nodes;
    return pool;
  }

  std::optional<PoolDefinition> read_pool(const Surroundings& surroundings) const {
    if (local_ && pool_file_)
      fail(ExitCode::kUsage, "--local and --pool: give one of them, each names a pool");
    if (local_) {
      const std::uint64_t nodes =
          value_or_fail(definitions::parse_number(*local_, 1, definitions::kNodesMax), "--local ");
      return local_pool(static_cast<std::uint32_t>(nodes));
    }
    if (!pool_file_) return std::nullopt;
    const bool absolute = pool_file_->rfind('/', 0) == 0;
    return value_or_fail(definitions::load_pool(
        absolute ? *pool_file_ : surroundings.directory + '/' + *pool_file_));
  }

  static void start(Shell& shell, Head& head) {
    shell.console.progress("starting the head");
    try {
      start_head(shell);
    } catch (const Failure& failure) {
      // Two of us at once: the other's head holds the directory, and will answer soon.
      const bool other_starts = failure.message.rfind("another head", 0) == 0;
      if (!head.answers() && !(other_starts && comes_up(shell, head))) throw;
    }
  }

  static bool comes_up(Shell& shell, Head& head) {
    kj::Timer& timer = shell.io.provider->getTimer();
    const kj::TimePoint give_up = timer.now() + transport::to_kj(kReadyDeadline);
    while (!head.answers()) {
      if (timer.now() >= give_up) return false;
      timer.afterDelay(kNodesPause).wait(shell.io.waitScope);
    }
    return true;
  }

  static bool has_pools(Head& head) {
    const auto answer =
        head.ask([](schema::Scheduler::Client& client) { return client.poolsRequest().send(); });
    return answer.getPools().size() > 0;
  }

  // A pool that exists in this size is left as it is: the machine's memory is not the same to the
  // byte after every boot.
  static bool exists(Head& head, const PoolDefinition& pool) {
    const auto answer =
        head.ask([](schema::Scheduler::Client& client) { return client.poolsRequest().send(); });
    for (const schema::PoolSummary::Reader known : answer.getPools()) {
      const schema::PoolSpec::Reader spec = known.getSpec();
      if (pool.name == spec.getName().cStr() && spec.getNodes() == pool.nodes) return true;
    }
    return false;
  }

  void create(Shell& shell, Head& head, PoolDefinition pool) const {
    if (local_ && exists(head, pool)) return;
    if (!pool_file_ && exists(head, pool)) return;
    complete(pool);
    const auto answer = head.ask([&](schema::Scheduler::Client& client) {
      auto call = client.createPoolRequest();
      call.setKey(shell.surroundings.fresh_key.c_str());
      definitions::fill_pool_spec(pool, call.initSpec());
      return call.send();
    });
    expect_done(schema::Answer::Reader(answer));
  }

  // All nodes of all pools; the number that is up.
  static std::uint32_t wait_for_nodes(Shell& shell, Head& head) {
    kj::Timer& timer = shell.io.provider->getTimer();
    const kj::TimePoint give_up = timer.now() + transport::to_kj(kNodesDeadline);
    for (;;) {
      const auto answer =
          head.ask([](schema::Scheduler::Client& client) { return client.poolsRequest().send(); });
      std::uint32_t wanted = 0;
      std::uint32_t up = 0;
      for (const schema::PoolSummary::Reader pool : answer.getPools()) {
        wanted += pool.getSpec().getNodes();
        up += std::min(pool.getNodesUp(), pool.getSpec().getNodes());
      }
      if (up >= wanted) return up;
      const std::string count = std::to_string(up) + " of " + std::to_string(wanted) + " nodes up";
      if (timer.now() >= give_up)
        fail(ExitCode::kTimedOut, count + " after " + definitions::show_duration(kNodesDeadline) +
                                      ": see leat node list and " + shell.home.logs());
      shell.console.progress(count);
      timer.afterDelay(kNodesPause).wait(shell.io.waitScope);
    }
  }

  std::optional<std::string> local_, pool_file_;
};

constexpr std::string_view kDetails =
    R"(Starts the head of this home unless it runs, makes the pool unless it exists, and
returns when its nodes are up. Doing it twice changes nothing. Each local node is
an agent of its own with an equal share of the machine.

  leat up
  leat up --local 4
  leat up --pool big.toml)";

}  // namespace

const CommandEntry kUp{"up", "start the head and a pool on this machine", kDetails,
                       build_command<Up>};

}  // namespace leat::cli
