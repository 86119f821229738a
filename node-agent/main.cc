// leat-agent - one per node: takes runs from the head, has the warden carry them out, reports.
//
// leat-agent --dir DIR [--bind HOST:PORT] [--mock] [--ready-fd N]
//
// With --ready-fd, "ready" is written to that descriptor when the node has joined, or one line why
// it never will; then it is closed.
//
// Exit codes: 0 stopped in good order, 1 the node is lost (its warden ended), 2 wrong usage or a
// file that makes no sense, 4 the head refuses this node for good.

#include <fcntl.h>
#include <kj/async-unix.h>
#include <kj/compat/tls.h>
#include <kj/debug.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/labels.h"
#include "node-agent/data_server.h"
#include "node-agent/enrol_node.h"
#include "node-agent/flags.h"
#include "node-agent/head_link.h"
#include "node-agent/mock_runner.h"
#include "node-agent/mpi_labels.h"
#include "node-agent/node_file.h"
#include "node-agent/progress_desk.h"
#include "node-agent/topology.h"
#include "node-agent/warden_runner.h"
#include "transport/secret_file.h"
#include "transport/tls.h"

namespace leat::agent {
namespace {

constexpr int kExitLost = 1;
constexpr int kExitUsage = 2;
constexpr int kExitRefused = 4;
constexpr Duration kTerminateGrace{2'000'000};
constexpr kj::Duration kStopDeadline = 15 * kj::SECONDS;
constexpr kj::Duration kWardenDeadline = 20 * kj::SECONDS;
constexpr kj::Duration kGoodbyeDeadline = 3 * kj::SECONDS;
// Who ends an agent does not wait for ever; a node that is retired has been evacuated before.
constexpr Patience kLastEvacuation{6 * kj::SECONDS, 6 * kj::SECONDS};

void say(std::string_view line) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
  std::fprintf(stderr, "%s leat-agent: %.*s\n", stamp, static_cast<int>(line.size()), line.data());
}

std::uint64_t random_number() {
  std::uint64_t value = 0;
  LEAT_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&value), sizeof value) == 1);
  return value;
}

std::string random_token() {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx",
                static_cast<unsigned long long>(random_number()),
                static_cast<unsigned long long>(random_number()));
  return text;
}

transport::WallSeconds wall_seconds() {
  return std::time(nullptr);
}

std::optional<std::string> visible_gpus() {
  const char* value = std::getenv("CUDA_VISIBLE_DEVICES");
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::string library_path() {
  const char* value = std::getenv("LD_LIBRARY_PATH");
  return value == nullptr ? "" : value;
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

// What ends an agent.
struct Ending {
  int code = 0;
  bool end_runs = false;
};

// Builds the parts, in the order in which they need each other, and runs them.
class Agent {
 public:
  Agent(kj::AsyncIoContext& io, Flags flags, NodeFile file, std::string directory)
      : io_(io),
        flags_(std::move(flags)),
        file_(std::move(file)),
        directory_(std::move(directory)),
        timer_(io.provider->getTimer()),
        network_(io.provider->getNetwork()) {}

  int run() {
    // Early: a provider may end what it has only just started.
    kj::Promise<void> terminated = io_.unixEventPort.onSignal(SIGTERM).ignoreResult().exclusiveJoin(
        io_.unixEventPort.onSignal(SIGINT).ignoreResult());
    auto stop = kj::newPromiseAndFulfiller<void>();
    stop_ = kj::mv(stop.fulfiller);

    const Result<transport::Credentials> credentials =
        enrol_node({network_, timer_, wall_seconds, backoff(), say}, directory_, file_)
            .wait(io_.waitScope);
    if (!credentials.ok())
      return give_up(credentials.refusal(),
                     credentials.refusal().reason == Reason::kConflict ? kExitRefused : kExitUsage);
    context_ = transport::make_context(credentials.value(), timer_);
    if (const Result<Done> built = build(); !built.ok())
      return give_up(built.refusal(), kExitUsage);
    kj::Promise<Ending> warden_lost = start_runner();
    if (const Result<Done> open = open_ports(); !open.ok())
      return give_up(open.refusal(), kExitUsage);
    kj::Promise<Ending> refused = head_->run().then([this](const Refusal& refusal) {
      // Nobody waits for this node any more: there is time for all of its outputs.
      return wind_up(kExitRefused, kTerminateGrace, kEvacuationPatience)
          .then([this, why = refusal.message](Ending ending) {
            tell(why);
            return ending;
          });
    });
    kj::Promise<Ending> told_to_stop =
        stop.promise.then([this]() { return wind_up(0, kStopGrace, kLastEvacuation); });
    kj::Promise<Ending> ended = terminated.then([this]() {
      say("SIGTERM: ending all runs");
      return wind_up(0, kTerminateGrace, kLastEvacuation);
    });
    const Ending ending = refused.exclusiveJoin(kj::mv(told_to_stop))
                              .exclusiveJoin(kj::mv(ended))
                              .exclusiveJoin(kj::mv(warden_lost))
                              .wait(io_.waitScope);
    if (ending.end_runs && warden_ != nullptr) {
      warden_->shut_down();
      timer_.timeoutAfter(kGoodbyeDeadline, warden_gone_.addBranch())
          .catch_([](kj::Exception&&) {})
          .wait(io_.waitScope);
    }
    say("ends with " + std::to_string(ending.code));
    return ending.code;
  }

 private:
  transport::Backoff backoff() const { return transport::Backoff(Random(random_number())); }

  // To whoever waits for us to be ready, the first time.
  void tell(const std::string& line) {
    if (flags_.ready_fd < 0) return;
    const std::string text = line + '\n';
    (void)!::write(flags_.ready_fd, text.data(), text.size());
    ::close(std::exchange(flags_.ready_fd, -1));
  }

  int give_up(const Refusal& refusal, int code) {
    say(refusal.message);
    tell(refusal.message);
    return code;
  }

  std::string bind_host() const { return flags_.bind.substr(0, flags_.bind.rfind(':')); }

  // Installed beside the warden.
  std::string launcher() const {
    return file_.warden.substr(0, file_.warden.rfind('/') + 1) + "leat-mpi-launcher";
  }

  Result<Done> build() {
    Result<Topology> topology =
        Topology::discover({file_.millicores, file_.memory_bytes, file_.core_first});
    if (!topology.ok()) return topology.refusal();
    topology_ = std::make_unique<Topology>(std::move(topology).value());
    gpus_ = gpu_names({file_.gpus, file_.gpu_first, file_.gpus ? 0 : count_gpus(), visible_gpus()});
    capacity_ = {topology_->millicores(), topology_->memory_bytes(),
                 static_cast<std::uint32_t>(gpus_.size()), file_.counters};

    const std::string spool = directory_ + "/spool";
    if (const Result<Done> made = transport::ensure_private_directory(spool); !made.ok())
      return made;
    Result<spool::SpoolIndex> index = spool::SpoolIndex::open(spool);
    if (!index.ok()) return index.refusal();
    if (index.value().dropped_bytes() > 0) say("the end of the spool's index was torn and is cut");
    auto log = RunLog::open(directory_ + "/runs.log");
    if (!log.ok()) return log.refusal();
    auto [run_log, recovered] = std::move(log).value();
    if (recovered.dropped_bytes > 0) say("the end of the run log was torn and is cut");
    log_ = std::make_unique<RunLog>(std::move(run_log));

    outputs_ = std::make_unique<Outputs>(std::move(index).value(), spool, timer_);
    links_ = std::make_unique<PeerLinks>(network_, timer_, *context_);
    inputs_ = std::make_unique<InputStore>(*links_, *outputs_, timer_, directory_, file_.node,
                                           file_.cluster_id);
    uploads_ = std::make_unique<ResultUpload>(*links_, timer_, spool);
    evacuation_ = std::make_unique<Evacuation>(*links_, timer_, *outputs_, spool);
    plain_ = std::make_unique<PlainOutputs>(spool);
    gangs_ = std::make_unique<GangFiles>(
        GangFilesOptions{directory_, bind_host(), file_.cluster_id, file_.node, wall_seconds});
    node_ = std::make_unique<Node>(
        NodeParts{timer_, *outputs_, *log_, *inputs_, *uploads_, *evacuation_, *plain_, *gangs_,
                  say, file_.spool_quota_bytes, capacity_},
        std::move(recovered));
    progress_ = std::make_unique<ProgressDesk>(
        io_.unixEventPort, timer_, directory_, say,
        [this](const RunId& run) { return node_->core().is_running(run); });
    return Done{};
  }

  // Resolves when the warden is lost.
  kj::Promise<Ending> start_runner() {
    if (flags_.mock) {
      mock_ = std::make_unique<MockRunner>(*node_);
      node_->set_runner(*mock_);
      return kj::NEVER_DONE;
    }
    warden_ = std::make_unique<WardenRunner>(
        WardenRunnerOptions{directory_, file_.pool, file_.node, gpus_, progress_->path(),
                            launcher(), say},
        *topology_, *outputs_, *gangs_, *node_);
    node_->set_runner(*warden_);
    WardenRunner* runner = warden_.get();
    kj::Own<WardenLink> link =
        WardenLink::attach(
            io_.unixEventPort, timer_,
            WardenOptions{directory_, file_.warden, random_token(), !file_.keeps_memory_limits},
            [runner](const warden::Event& event) { runner->on_event(event); })
            .wait(io_.waitScope);
    warden_pid_ = link->warden_pid();
    warden_gone_ = link->on_lost().fork();
    runner->set_link(kj::mv(link));
    timer_.timeoutAfter(kWardenDeadline, runner->on_adoption()).wait(io_.waitScope);
    enforcement_ = runner->enforcement();
    return warden_gone_.addBranch().then([this]() {
      say("the warden has ended: its runs are dead, the node is lost");
      gangs_->keep_only({});
      return Ending{kExitLost, false};
    });
  }

  Result<Done> open_ports() {
    Result<kj::Own<DataServer>> data =
        DataServer::open(network_, timer_, flags_.bind, *context_, *outputs_, wall_seconds, say);
    if (!data.ok()) return data.refusal();
    data_ = std::move(data).value();

    AgentFacts facts;
    facts.node = file_.node;
    facts.cluster_id = file_.cluster_id;
    facts.host_name = host_name();
    facts.data_address = bind_host() + ":" + std::to_string(data_->port());
    facts.capacity = capacity_;
    facts.agent_pid = static_cast<std::uint32_t>(::getpid());
    facts.warden_pid = static_cast<std::uint32_t>(warden_pid_);
    facts.topology_hash = topology_->hash();
    facts.labels = file_.labels;
    facts.labels.push_back(std::string("leat:cgroup=") + warden::enforcement_name(enforcement_));
    if (enforcement_ != warden::Enforcement::kPlain) facts.labels.emplace_back(kMemoryLimitLabel);
    for (std::string& label : mpi_labels(launcher(), library_path()))
      facts.labels.push_back(std::move(label));

    const auto head_address = [this]() -> Result<std::string> {
      const Result<NodeFile> now = read_node_file(directory_);
      if (!now.ok()) return now.refusal();
      return now.value().head_address;
    };
    head_ = std::make_unique<HeadLink>(
        HeadLinkParts{network_, timer_, *context_, *node_, *progress_, say, head_address,
                      [this](const transport::PublicKey& key) {
                        data_->set_ticket_key(key);
                        tell("ready");
                      },
                      [this]() { stop_->fulfill(); }},
        std::move(facts), backoff());
    return Done{};
  }

  // Ends every run, saves what they have written if there is time, tells the head, and then the
  // warden.
  kj::Promise<Ending> wind_up(int code, Duration grace, Patience patience) {
    return timer_.timeoutAfter(kStopDeadline, node_->stop(grace))
        .catch_([](kj::Exception&&) { say("some runs did not end in time"); })
        .then([this, patience]() { return node_->evacuate("", patience, nullptr); })
        .then([](const Result<std::uint64_t>& done) {
          if (!done.ok()) say("outputs are not in leat-store: " + done.refusal().message);
        })
        .then([this]() { return timer_.timeoutAfter(kGoodbyeDeadline, head_->leave()); })
        .catch_([](kj::Exception&&) {})
        .then([code]() {
          return Ending{code, true};
        });
  }

  kj::AsyncIoContext& io_;
  Flags flags_;
  NodeFile file_;
  std::string directory_;
  kj::Timer& timer_;
  kj::Network& network_;
  kj::Own<kj::PromiseFulfiller<void>> stop_;
  kj::Own<kj::TlsContext> context_;
  std::unique_ptr<Topology> topology_;
  std::vector<std::string> gpus_;
  Resources capacity_;
  warden::Enforcement enforcement_ = warden::Enforcement::kPlain;
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<Outputs> outputs_;
  std::unique_ptr<PeerLinks> links_;
  std::unique_ptr<InputStore> inputs_;
  std::unique_ptr<ResultUpload> uploads_;
  std::unique_ptr<Evacuation> evacuation_;
  std::unique_ptr<PlainOutputs> plain_;
  std::unique_ptr<GangFiles> gangs_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<ProgressDesk> progress_;
  std::unique_ptr<MockRunner> mock_;
  std::unique_ptr<WardenRunner> warden_;
  int warden_pid_ = 0;
  kj::ForkedPromise<void> warden_gone_ = nullptr;
  kj::Own<DataServer> data_;
  std::unique_ptr<HeadLink> head_;  // last: it calls all the others
};

int run(int argc, char** argv) {
  const std::optional<Flags> flags = parse_flags(argc, argv);
  if (!flags) {
    std::fputs("usage: leat-agent --dir DIR [--bind HOST:PORT] [--mock] [--ready-fd N]\n", stderr);
    return kExitUsage;
  }
  ::umask(077);
  char resolved[PATH_MAX];
  if (::realpath(flags->directory.c_str(), resolved) == nullptr) {
    say(flags->directory + ": " + std::strerror(errno));
    return kExitUsage;
  }
  const std::string directory = resolved;
  const Result<Done> is_private = transport::ensure_private_directory(directory);
  const Result<NodeFile> file = read_node_file(directory);
  const Result<Done> locked = is_private.ok() ? lock_node(directory) : is_private;
  for (const Refusal* wrong :
       {locked.ok() ? nullptr : &locked.refusal(), file.ok() ? nullptr : &file.refusal()}) {
    if (wrong == nullptr) continue;
    say(wrong->message);
    if (flags->ready_fd >= 0) {
      const std::string line = wrong->message + '\n';
      (void)!::write(flags->ready_fd, line.data(), line.size());
    }
    return kExitUsage;
  }
  if (flags->mock && !file.value().mock) {
    say("--mock: agent.json does not allow it");
    return kExitUsage;
  }
  kj::UnixEventPort::captureSignal(SIGTERM);
  kj::UnixEventPort::captureSignal(SIGINT);
  std::signal(SIGHUP, SIG_IGN);
  kj::AsyncIoContext io = kj::setupAsyncIo();
  return Agent(io, *flags, file.value(), directory).run();
}

}  // namespace
}  // namespace leat::agent

// NOLINTNEXTLINE(bugprone-exception-escape): whatever else is thrown is a bug, and dies as one
int main(int argc, char** argv) {
  try {
    return leat::agent::run(argc, argv);
  } catch (const kj::Exception& e) {
    leat::agent::say(e.getDescription().cStr());
    return leat::agent::kExitLost;
  }
}
