// up.cc - `leat up`: a head, a pool, and nodes that are up.

#include <algorithm>

#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/head.h"
#include "cli/listen_address.h"
#include "cli/local_share.h"
#include "definitions/pool_definition.h"
#include "definitions/units.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

constexpr const char* kLocalPool = "local";
constexpr std::string_view kStaticPool = "static";
constexpr std::string_view kOpenState = "open";
constexpr std::uint32_t kNodesDefault = 2;
constexpr Duration kNodesDeadline = std::chrono::seconds(60);
// A head that is starting has no way to tell us yet.
constexpr kj::Duration kHeadPause = 50 * kj::MILLISECONDS;

using OverviewResponse = capnp::Response<schema::OverviewResult>;

using definitions::PoolDefinition;

class Up final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.option("--local", "N", local_,
                     "a pool \"local\" of N nodes on this machine (default: 2)");
    arguments.option("--listen", "ADDRESS", listen_,
                     "where agents of other machines find the head (default: 127.0.0.1)");
    arguments.option("--pool", "FILE.toml", pool_file_, "the pool that FILE.toml defines");
    arguments.option(
        "--store-quota", "SIZE", store_quota_,
        "what leat-store may keep: inputs, results, logs (default: 64G, or as it was)");
  }

  ExitCode run(Shell& shell) override {
    std::optional<PoolDefinition> wanted = read_pool(shell.surroundings);
    std::optional<std::uint64_t> quota;
    if (store_quota_)
      quota = value_or_fail(definitions::parse_size(*store_quota_), "--store-quota ");
    if (listen_) value_or_fail(check_listen_address(*listen_), "--listen ");
    value_or_fail(make_home(shell.home));
    // Read by leat-store before every upload.
    if (quota)
      value_or_fail(
          transport::replace_secret_file(shell.home.store_quota(), std::to_string(*quota) + '\n'));
    Head head(shell);
    if (!head.answers()) start(shell, head);
    const std::string agent_address = address_of_head(head);
    if (!wanted && !has_pools(head)) wanted = local_pool(kNodesDefault);
    if (wanted) create(shell, head, *wanted);
    const std::uint32_t nodes = wait_for_nodes(shell, head);
    shell.console.out("up: " + std::to_string(nodes) + (nodes == 1 ? " node" : " nodes") + " at " +
                      printable(shell.home.path) + '\n');
    if (listen_) shell.console.out("agents join at " + printable(agent_address) + '\n');
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

  // Refused if it listens elsewhere than it was told to.
  std::string address_of_head(Head& head) const {
    const auto answer =
        head.ask([](schema::Scheduler::Client& client) { return client.statusRequest().send(); });
    std::string address = answer.getStatus().getAgentAddress();
    const std::string host = address.substr(0, address.rfind(':'));
    if (listen_ && host != *listen_)
      fail(ExitCode::kRefused, "--listen " + *listen_ + ": the head runs and listens on " + host +
                                   ": leat down first, then leat up --listen " + *listen_);
    return address;
  }

  // Another head may hold the directory: one that was just killed will soon have let go of it, and
  // one that somebody else starts will soon answer.
  void start(Shell& shell, Head& head) const {
    shell.console.progress("starting the head");
    kj::Timer& timer = shell.io.provider->getTimer();
    const kj::TimePoint give_up = timer.now() + transport::to_kj(kReadyDeadline);
    for (;;) {
      try {
        return start_head(shell, listen_.value_or(""));
      } catch (const Failure& failure) {
        const bool is_held = failure.message.rfind("another head", 0) == 0;
        if (head.answers()) return;
        if (!is_held || timer.now() >= give_up) throw;
      }
      timer.afterDelay(kHeadPause).wait(shell.io.waitScope);
    }
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
      if (pool.name == spec.getName().cStr() && spec.getMin() == pool.nodes_min() &&
          spec.getMax() == pool.nodes_max())
        return true;
    }
    return false;
  }

  void create(Shell& shell, Head& head, PoolDefinition pool) const {
    if (local_ && exists(head, pool)) return;
    if (!pool_file_ && exists(head, pool)) return;
    complete_local(pool);
    const auto answer = head.ask([&](schema::Scheduler::Client& client) {
      auto call = client.createPoolRequest();
      call.setKey(shell.surroundings.fresh_key.c_str());
      definitions::fill_pool_spec(pool, call.initSpec());
      return call.send();
    });
    expect_done(schema::Answer::Reader(answer));
  }

  // As many nodes as every pool has at least, but for those that nobody here can start; the number
  // that is up. The head tells when something has changed.
  static std::uint32_t wait_for_nodes(Shell& shell, Head& head) {
    kj::Timer& timer = shell.io.provider->getTimer();
    const kj::TimePoint give_up = timer.now() + transport::to_kj(kNodesDeadline);
    std::string count = "no nodes up";
    for (std::uint64_t cursor = 0;;) {
      const kj::Maybe<OverviewResponse> response = watch(timer, head, cursor, give_up);
      KJ_IF_MAYBE (found, response) {
        const schema::OverviewResult::Reader result = *found;
        if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
        cursor = result.getOverview().getCursor();
        std::uint32_t up = 0;
        std::uint32_t missing = 0;
        for (const schema::PoolSummary::Reader pool : result.getOverview().getPools()) {
          const schema::PoolSpec::Reader spec = pool.getSpec();
          const bool fills =
              kOpenState == pool.getState().cStr() && kStaticPool != spec.getProvider().cStr();
          up += pool.getNodesUp();
          if (fills && pool.getNodesUp() < spec.getMin())
            missing += spec.getMin() - pool.getNodesUp();
        }
        if (missing == 0) return up;
        count = std::to_string(up) + " of " + std::to_string(up + missing) + " nodes up";
        shell.console.progress(count);
      } else {
        fail(ExitCode::kTimedOut, count + " after " + definitions::show_duration(kNodesDeadline) +
                                      ": see leat node list and " + shell.home.logs());
      }
    }
  }

  // What has changed since `cursor`; nothing if it is too late.
  static kj::Maybe<OverviewResponse> watch(kj::Timer& timer, Head& head, std::uint64_t cursor,
                                           kj::TimePoint give_up) {
    return head.ask(
        [&](schema::Scheduler::Client& client) {
          auto request = client.overviewRequest();
          request.setCursor(cursor);
          kj::Promise<kj::Maybe<OverviewResponse>> answer = request.send().then(
              [](OverviewResponse&& seen) -> kj::Maybe<OverviewResponse> { return kj::mv(seen); });
          return answer.exclusiveJoin(
              timer.atTime(give_up).then([]() -> kj::Maybe<OverviewResponse> { return nullptr; }));
        },
        {}, 2 * kNodesDeadline);
  }

  std::optional<std::string> local_, pool_file_, listen_, store_quota_;
};

constexpr std::string_view kUpDetails =
    R"(Starts the head of this home unless it runs, makes the pool unless it exists, and
returns when its nodes are up. Doing it twice changes nothing. Each local node is
an agent of its own with an equal share of the machine.

  leat up
  leat up --local 4
  leat up --pool big.toml
  leat up --listen 10.0.0.7 --pool lab.toml)";

}  // namespace

const CommandEntry kUp{"up", "start the head and a pool on this machine", kUpDetails,
                       build_command<Up>};

}  // namespace leat::cli
