#include "tests/cli/fake_cluster.h"

#include <gtest/gtest.h>
#include <kj/compat/tls.h>
#include <kj/debug.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <list>

#include "tests/cli/fake_data.h"
#include "tests/cli/fake_pools.h"
#include "transport/blob_client.h"
#include "transport/secret_file.h"
#include "transport/tls.h"

namespace leat::cli {
namespace {

constexpr transport::WallSeconds kNow = 1'700'000'000;

// Cap'n Proto's servers have no virtual destructor: kj::Own remembers how to destroy them.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class FakeHead final : public FakePools {
 public:
  FakeHead(FakeWorld& world, std::function<void()> lose)
      : FakePools(world), lose_(std::move(lose)) {}

  kj::Promise<void> submit(SubmitContext context) override {
    const std::string key = context.getParams().getKey();
    world_.keys_seen.push_back(key);
    if (world_.refuse) {
      world_.refuse(context.getResults().initRefusal());
      return kj::READY_NOW;
    }
    if (world_.on_submit) world_.on_submit(context.getParams().getSpec());
    const auto [place, fresh] = world_.jobs_by_key.try_emplace(key, world_.newest + 1);
    if (fresh) ++world_.newest;
    if (std::exchange(world_.drop_before_answer, false)) {
      lose_();
      return kj::NEVER_DONE;
    }
    context.getResults().setJob(place->second);
    return kj::READY_NOW;
  }

  kj::Promise<void> watch(WatchContext context) override {
    context.allowCancellation();
    const std::uint64_t cursor = context.getParams().getCursor();
    world_.cursors_seen.push_back(cursor);
    if (world_.on_watch) world_.on_watch();
    if (cursor < world_.cursor) return answer_watch(context);
    auto change = kj::newPromiseAndFulfiller<void>();
    world_.watcher = kj::mv(change.fulfiller);
    return change.promise.then([this, context]() mutable { return answer_watch(context); });
  }

  kj::Promise<void> job(JobContext context) override {
    if (world_.refuse) {
      world_.refuse(context.getResults().initRefusal());
      return kj::READY_NOW;
    }
    fill(context.getResults().initJob());
    return kj::READY_NOW;
  }

  kj::Promise<void> jobs(JobsContext context) override {
    fill(context.getResults().initJobs(1)[0]);
    return kj::READY_NOW;
  }

  kj::Promise<void> status(StatusContext context) override {
    const auto status = context.getResults().initStatus();
    if (world_.fill_status) world_.fill_status(status);
    return kj::READY_NOW;
  }

  kj::Promise<void> nodes(NodesContext context) override {
    auto node = context.getResults().initNodes(1)[0];
    node.initNode().setId(3);
    node.getNode().setEpoch(9);
    node.setPool("local");
    node.setState("up");
    node.setHostName("here");
    node.initLabels(1).set(0, "leat:mpi=40.30.4");
    node.initCapacity().setMillicores(2000);
    node.initFree().setMillicores(500);
    node.setAgentPid(101);
    node.setWardenPid(102);
    node.setDataAddress(world_.agent_address.c_str());
    return kj::READY_NOW;
  }

  kj::Promise<void> cancel(CancelContext context) override {
    const auto params = context.getParams();
    std::string what = std::to_string(params.getJob()) + '.' + std::to_string(params.getStage());
    for (const schema::Stride::Reader stride : params.getIndices())
      what += ':' + std::to_string(stride.getFirst()) + '+' + std::to_string(stride.getCount()) +
              '*' + std::to_string(stride.getStep());
    world_.cancelled.push_back(what);
    context.getResults().setDone();
    return kj::READY_NOW;
  }

  kj::Promise<void> why(WhyContext context) override {
    auto causes = context.getResults().initCauses(1);
    causes[0].setReason(world_.why.c_str());
    causes[0].setMessage("no node has 4 cores free");
    causes[0].setRemedy("wait, or ask for less");
    causes[0].setTasks(context.getParams().getOneTask() ? 1 : 12);
    return kj::READY_NOW;
  }

  kj::Promise<void> upload(UploadContext context) override {
    context.getResults().setAddress(world_.store_address.c_str());
    context.getResults().setTicket(kj::StringPtr("ticket").asBytes());
    return kj::READY_NOW;
  }

  kj::Promise<void> result(ResultContext context) override {
    if (world_.refuse) {
      world_.refuse(context.getResults().initRefusal());
      return kj::READY_NOW;
    }
    auto place = context.getResults().initPlace();
    place.initBlob().setHash(
        kj::StringPtr(world_.result_hash.c_str(), world_.result_hash.size()).asBytes());
    place.getBlob().setLength(world_.result_length);
    place.setAddress(world_.store_address.c_str());
    return kj::READY_NOW;
  }

  kj::Promise<void> tasks(TasksContext context) override {
    auto indices = context.getResults().initIndices(static_cast<unsigned>(world_.tasks.size()));
    for (unsigned i = 0; i < indices.size(); ++i) {
      indices[i].setFirst(world_.tasks[i].first);
      indices[i].setCount(world_.tasks[i].count);
      indices[i].setStep(world_.tasks[i].step);
    }
    return kj::READY_NOW;
  }

  kj::Promise<void> locate(LocateContext context) override {
    if (world_.not_yet) {
      context.getResults().setNotYet("not yet");
      return kj::READY_NOW;
    }
    auto place = context.getResults().initPlace();
    place.initRun().setAttempt(world_.attempt);
    place.setMembers(static_cast<std::uint32_t>(world_.gang.size()));
    place.setTicket(kj::str(context.getParams().getMember()).asBytes());
    place.initNode().setId(3);
    place.getNode().setEpoch(9);
    place.setAddress(world_.stored ? world_.store_address.c_str() : world_.agent_address.c_str());
    place.setStored(world_.stored);
    place.setLost("output lost with node 3 at noon");
    return kj::READY_NOW;
  }

 private:
  kj::Promise<void> answer_watch(WatchContext context) {
    if (world_.refuse) {
      world_.refuse(context.getResults().initRefusal());
      return kj::READY_NOW;
    }
    auto change = context.getResults().initChange();
    fill(change.initJob());
    change.setCursor(world_.cursor);
    return kj::READY_NOW;
  }

  void fill(schema::JobSummary::Builder job) const {
    job.setId(world_.newest);
    if (world_.fill_job) world_.fill_job(job);
  }

  std::function<void()> lose_;
};

#pragma GCC diagnostic pop

}  // namespace

struct FakeCluster::Servers final : private kj::TaskSet::ErrorHandler {
  explicit Servers(transport::ClusterAuthority made) : authority(std::move(made)), tasks(*this) {}

  void taskFailed(kj::Exception&& exception) override {
    ADD_FAILURE() << exception.getDescription().cStr();
  }

  // Closed in a turn of its own: never within a call.
  void lose_data_sessions() {
    tasks.add(kj::evalLater([this] { data_sessions.clear(); }));
  }

  transport::ClusterAuthority authority;
  transport::Credentials store_credentials;
  transport::Credentials agent_credentials;
  kj::Own<kj::TlsContext> store_context;
  kj::Own<kj::TlsContext> agent_context;
  kj::Own<transport::TlsListener> store;
  kj::Own<transport::TlsListener> agent;
  std::list<kj::Own<transport::Session>> data_sessions;
  kj::Own<transport::LocalListener> head;
  std::list<kj::Own<transport::Session>> head_sessions;
  kj::TaskSet tasks;  // last: cancelled first
};

FakeCluster::FakeCluster() : io(kj::setupAsyncIo()) {
  std::string path = testing::TempDir() + "leat-cli-XXXXXX";
  KJ_REQUIRE(::mkdtemp(path.data()) != nullptr);
  home.path = path;
  surroundings.environment = {"PATH=/usr/bin:/bin", "LEAT_HOME=/elsewhere", "EXTRA=1"};
  surroundings.directory = path;
  surroundings.program_path = path + "/leat";
  surroundings.version = "1.2.3";
  surroundings.uid = ::geteuid();
  surroundings.fresh_key = "00112233445566778899aabbccddeeff";
  surroundings.fresh_seed = 1;
  surroundings.wall_us = [] { return kNow * 1'000'000; };

  const std::string tls = path + "/tls";
  value_or_fail(transport::ensure_private_directory(tls));
  servers_ = std::make_unique<Servers>(value_or_fail(
      transport::ClusterAuthority::create(tls, transport::new_cluster_id(), ::time(nullptr))));
}

FakeCluster::~FakeCluster() noexcept {
  servers_ = nullptr;
  std::filesystem::remove_all(home.path);
}

void FakeCluster::start_head() {
  const auto on_peer = [this](transport::Peer, kj::Own<kj::AsyncIoStream> stream) {
    servers_->head_sessions.push_back(kj::heap<transport::Session>(
        kj::mv(stream), transport::Session::Side::kAccepted,
        kj::heap<FakeHead>(world,
                           [this] { servers_->tasks.add(kj::evalLater([this] { kill_head(); })); }),
        transport::kHeadLimits));
  };
  servers_->head = value_or_fail(transport::LocalListener::open(
      io.provider->getNetwork(), io.provider->getTimer(), home.socket(), on_peer));
}

void FakeCluster::kill_head() {
  servers_->head = nullptr;
  servers_->head_sessions.clear();
}

void FakeCluster::start_data_servers() {
  using transport::Peer;
  Servers& s = *servers_;
  const transport::WallSeconds now = ::time(nullptr);
  const Peer user{Peer::Kind::kUser, {}, surroundings.uid};
  value_or_fail(transport::ensure_private_directory(home.user_credentials()));
  value_or_fail(transport::save_credentials(home.user_credentials(), s.authority.issue(user, now)));
  const auto open = [&](const Peer& peer, kj::Own<kj::TlsContext>& context,
                        std::function<capnp::Capability::Client()> bootstrap) {
    context = transport::make_context(s.authority.issue(peer, now), io.provider->getTimer());
    return value_or_fail(transport::TlsListener::open(
        io.provider->getNetwork(), io.provider->getTimer(), "127.0.0.1:0", *context,
        [&s, user, bootstrap](const Peer& who, kj::Own<kj::AsyncIoStream> stream) {
          EXPECT_EQ(who, user);
          s.data_sessions.push_back(
              kj::heap<transport::Session>(kj::mv(stream), transport::Session::Side::kAccepted,
                                           bootstrap(), transport::kDataLimits));
        }));
  };
  s.store = open({Peer::Kind::kStore, {}, 0}, s.store_context,
                 [this] { return capnp::Capability::Client(kj::heap<FakeStore>(world)); });
  s.agent = open({Peer::Kind::kAgent, {NodeId{3}, NodeEpoch{9}}, 0}, s.agent_context, [this, &s] {
    return capnp::Capability::Client(kj::heap<FakeAgent>(world, [&s] { s.lose_data_sessions(); }));
  });
  world.store_address = "127.0.0.1:" + std::to_string(s.store->port());
  world.agent_address = "127.0.0.1:" + std::to_string(s.agent->port());
}

void FakeCluster::save_credentials(const std::string& name, std::int64_t end_s) {
  const std::string dir = home.path + "/tls/" + name;
  value_or_fail(transport::ensure_private_directory(dir));
  constexpr std::int64_t kDay = 24 * 3600;
  value_or_fail(transport::save_credentials(
      dir, servers_->authority.issue({transport::Peer::Kind::kHead, {}, 0}, end_s - kDay, 1)));
}

void FakeCluster::lose_data_sessions() {
  servers_->lose_data_sessions();
}

void FakeCluster::in_background(kj::Promise<void> promise) {
  servers_->tasks.add(kj::mv(promise));
}

int FakeCluster::run(const CommandEntry& entry, std::vector<std::string> words) {
  const std::unique_ptr<Command> command = entry.build();
  Arguments arguments;
  command->declare(arguments);
  failure.clear();
  try {
    (void)value_or_fail(arguments.parse(std::move(words)));
    Shell shell{io, console, surroundings, home};
    return static_cast<int>(command->run(shell));
  } catch (const Failure& why) {
    failure = why.message;
    return static_cast<int>(why.code);
  }
}

}  // namespace leat::cli
