#include "scheduler/head.h"

#include <kj/compat/tls.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "base/check.h"
#include "scheduler/blob_sweep.h"
#include "scheduler/engine/agent_link.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/progress.h"
#include "scheduler/engine/pulse.h"
#include "scheduler/engine/task_board.h"
#include "scheduler/head_keys.h"
#include "scheduler/node_supply.h"
#include "scheduler/store/recovery.h"
#include "scheduler/store/sqlite_store.h"
#include "scheduler/store/store_file.h"
#include "scheduler/store_daemon.h"
#include "scheduler/wire/agent_server.h"
#include "scheduler/wire/enrolment_desk.h"
#include "scheduler/wire/scheduler_server.h"
#include "scheduler/wire/services.h"
#include "transport/authority.h"
#include "transport/enrolment.h"
#include "transport/listener.h"
#include "transport/secret_file.h"
#include "transport/tls.h"

namespace leat::scheduler {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
// For the answer to `shutdown` to reach the caller.
constexpr kj::Duration kFarewell = 100 * kj::MILLISECONDS;

// Hands each effect to whom it concerns. The parts come after the engine, so they are set later.
struct Sink final : engine::EffectSink {
  void carry_out(const core::Effect& effect) override {
    // Nodes first: an agent that is told to stop must still be connected.
    nodes->carry_out(effect);
    links->carry_out(effect);
    if (const auto* changed = std::get_if<core::JobChanged>(&effect)) {
      const core::Job* job = engine->state().job(changed->job);
      const bool is_over = job == nullptr || !job->active();
      progress->changed(changed->job, engine->sequence(), is_over);
      if (is_over) board->forget(changed->job);
    } else if (const auto* deleted = std::get_if<core::DeleteNode>(&effect)) {
      gone->note(deleted->node, engine->state().wall_us(engine->last()));
    }
  }

  engine::Engine* engine = nullptr;
  engine::AgentLinks* links = nullptr;
  NodeSupply* nodes = nullptr;
  engine::Progress* progress = nullptr;
  engine::TaskBoard* board = nullptr;
  wire::GoneNodes* gone = nullptr;
};

// Where Time goes on: with the wall clock, so that instants before and after a time without a head
// keep their distance; but never backwards, and no instant twice, should that clock be wrong.
Time time_base(const store::Recovered& recovered, std::int64_t wall_us) {
  const core::Meta& meta = recovered.state->meta();
  const Time next = recovered.last + Duration(1);
  if (meta.mapped_wall_us == 0) return next;
  return std::max(next, meta.mapped + Duration(wall_us - meta.mapped_wall_us));
}

}  // namespace

struct Head::Parts {
  Parts(HeadOptions head_options, Instruments head_instruments, kj::AsyncIoContext& context)
      : options(std::move(head_options)),
        instruments(std::move(head_instruments)),
        io(context),
        timer(context.provider->getTimer()),
        home{options.home} {}

  transport::WallSeconds wall_seconds() const { return instruments.wall_us() / kMicrosPerSecond; }
  engine::Clock clock() const;

  Result<Done> open_keys();
  Result<Done> open_store();
  void build();
  void build_doors();
  Result<Done> listen();
  Result<Done> listen_tls();
  std::string bind_address(const std::string& earlier) const;
  Result<kj::Own<transport::TlsListener>> listen_for_agents(const std::string& address);
  Result<kj::Own<transport::EnrolServer>> listen_for_enrolment(const std::string& address);
  Result<Done> finish_start();
  kj::Promise<void> shut_down();

  HeadOptions options;
  Instruments instruments;
  kj::AsyncIoContext& io;
  kj::Timer& timer;
  Home home;
  Endpoint earlier;
  kj::AutoCloseFd lock;
  std::optional<transport::ClusterAuthority> authority;
  std::optional<transport::TicketSigner> signer;
  std::optional<transport::Credentials> credentials;
  kj::Own<kj::TlsContext> tls;
  kj::Own<kj::TlsContext> enrol_tls;
  std::optional<store::Recovered> recovered;
  Time base;            // of the clock: the last instant on disk
  Duration started{0};  // what monotonic() said then

  std::unique_ptr<store::StoreFile> store_file;
  std::unique_ptr<store::SqliteStore> store;
  std::unique_ptr<StoreDaemon> blobs;
  Sink sink;
  wire::GoneNodes gone;
  engine::TaskBoard board;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<engine::TicketOffice> tickets;
  std::unique_ptr<engine::Progress> progress;
  std::unique_ptr<engine::Pulse> pulse;
  std::uint64_t copies = 0;  // of history that were asked for
  std::unique_ptr<engine::AgentLinks> links;
  std::unique_ptr<NodeSupply> nodes;
  std::unique_ptr<engine::EngineLoop> loop;
  std::unique_ptr<BlobSweep> sweep;
  std::unique_ptr<wire::Services> services;
  std::unique_ptr<wire::AgentDoor> agents;
  std::unique_ptr<wire::UserDoor> users;
  std::unique_ptr<wire::EnrolmentDesk> desk;
  kj::Own<transport::TlsListener> agent_listener;
  kj::Own<transport::EnrolServer> enrol_listener;
  kj::Own<transport::LocalListener> user_listener;

  kj::Own<kj::PromiseFulfiller<void>> stopped;
  kj::Promise<void> on_stopped = nullptr;
  kj::Maybe<kj::ForkedPromise<void>> stopping;  // last: cancelled before what it uses
};

engine::Clock Head::Parts::clock() const {
  return [this] { return base + (instruments.monotonic() - started); };
}

Result<Done> Head::Parts::open_keys() {
  auto opened = open_head_keys(home, wall_seconds());
  if (!opened.ok()) return opened.refusal();
  HeadKeys keys = std::move(opened).value();
  authority = std::move(keys.authority);
  signer = std::move(keys.signer);
  credentials = std::move(keys.credentials);
  tls = transport::make_context(*credentials, timer);
  enrol_tls = transport::make_enrol_server_context(*credentials, timer);
  return Done{};
}

Result<Done> Head::Parts::open_store() {
  auto file = store::StoreFile::open(home.store());
  if (!file.ok()) return file.refusal();
  store_file = std::move(file).value();
  auto state = store::recover(*store_file);
  if (!state.ok()) return state.refusal();
  recovered.emplace(std::move(state).value());
  return Done{};
}

void Head::Parts::build() {
  base = time_base(*recovered, instruments.wall_us());
  started = instruments.monotonic();
  const engine::WallClock wall = [this] { return wall_seconds(); };
  store = std::make_unique<store::SqliteStore>(std::move(store_file), io.unixEventPort);
  blobs = std::make_unique<StoreDaemon>(io.unixEventPort, timer, home, options.bind,
                                        Random(instruments.random.next()), instruments.log);
  engine = std::make_unique<engine::Engine>(std::move(*recovered), *store, sink);
  recovered.reset();
  tickets = std::make_unique<engine::TicketOffice>(*signer, wall);
  progress = std::make_unique<engine::Progress>(timer, engine->sequence());
  pulse = std::make_unique<engine::Pulse>(timer, engine->sequence());
  engine->on_commit([this](std::uint64_t sequence) { pulse->beat(sequence); });
  links = std::make_unique<engine::AgentLinks>(
      engine::LinkServices{*engine, timer, *tickets, instruments.log});
  sink.engine = engine.get();
  sink.links = links.get();
  sink.progress = progress.get();
  sink.board = &board;
  sink.gone = &gone;
}

void Head::Parts::build_doors() {
  services = std::make_unique<wire::Services>(wire::Services{
      .engine = *engine,
      .store = *store,
      .archive = *store,
      .progress = *progress,
      .board = board,
      .pulse = *pulse,
      .links = *links,
      .tickets = *tickets,
      .gone = gone,
      .clock = clock(),
      .wall_us = instruments.wall_us,
      .blob_store = [this] { return blobs->where(); },
      .has_inputs = [this](const core::JobSpec& spec) { return sweep->has_inputs(spec); },
      .pools_changed = [this] { nodes->adjust(); },
      .make_tokens =
          [this](engine::TokenRequest request) { return nodes->make_tokens(std::move(request)); },
      .copy_path = [this] { return home.copy(engine->sequence(), ++copies); },
      .shut_down = [this] { return shut_down(); },
      .agent_bytes_in = [this] { return agents->bytes_in(); },
      .agent_bytes_out = [this] { return agents->bytes_out(); },
      .log = instruments.log,
      .facts = {.version = options.version,
                .cluster_id = authority->cluster_id(),
                .host_name = options.host_name,
                .agent_address = {},
                .enrol_address = {},
                .pid = static_cast<std::uint32_t>(::getpid()),
                .started_us = instruments.wall_us()}});
  agents = std::make_unique<wire::AgentDoor>(*services, timer);
  users = std::make_unique<wire::UserDoor>(*services);
  desk = std::make_unique<wire::EnrolmentDesk>(
      *engine, *authority, [this] { return wall_seconds(); }, instruments.log);
}

// The port of the head's earlier life if it had one here: agents know it.
std::string Head::Parts::bind_address(const std::string& earlier_address) const {
  const bool same = earlier_address.rfind(options.bind + ":", 0) == 0;
  return options.bind + ":" + std::to_string(same ? port_of(earlier_address) : 0);
}

Result<kj::Own<transport::TlsListener>> Head::Parts::listen_for_agents(const std::string& address) {
  return transport::TlsListener::open(
      io.provider->getNetwork(), timer, address, *tls,
      [this](transport::Peer peer, kj::Own<kj::AsyncIoStream> stream) {
        agents->accept(peer, kj::mv(stream));
      },
      instruments.log);
}

Result<kj::Own<transport::EnrolServer>> Head::Parts::listen_for_enrolment(
    const std::string& address) {
  return transport::EnrolServer::open(
      io.provider->getNetwork(), timer, address, *enrol_tls,
      [this](std::span<const std::byte> secret, std::span<const std::byte> request) {
        return desk->enrol(secret, request);
      },
      instruments.log);
}

Result<Done> Head::Parts::listen_tls() {
  auto for_agents = listen_for_agents(bind_address(earlier.agent_address));
  if (!for_agents.ok()) {
    instruments.log(for_agents.refusal().message + "; taking another port");
    for_agents = listen_for_agents(options.bind + ":0");
  }
  if (!for_agents.ok()) return for_agents.refusal();
  agent_listener = std::move(for_agents).value();
  auto for_strangers = listen_for_enrolment(bind_address(earlier.enrol_address));
  if (!for_strangers.ok()) for_strangers = listen_for_enrolment(options.bind + ":0");
  if (!for_strangers.ok()) return for_strangers.refusal();
  enrol_listener = std::move(for_strangers).value();
  wire::HeadFacts& facts = services->facts;
  facts.agent_address = options.bind + ":" + std::to_string(agent_listener->port());
  facts.enrol_address = options.bind + ":" + std::to_string(enrol_listener->port());
  return Done{};
}

Result<Done> Head::Parts::listen() {
  Result<Done> listening = listen_tls();
  if (!listening.ok()) return listening;
  pools::LocalPoolOptions pool;
  pool.nodes_directory = home.nodes();
  pool.agent_program = sibling_program("leat-agent");
  pool.warden_program = sibling_program("leat-warden");
  pool.machine_cores = std::thread::hardware_concurrency();
  pool.agent_bind = options.bind + ":0";
  const wire::HeadFacts& facts = services->facts;
  auto opened = NodeSupply::open(SupplyWorld{.port = io.unixEventPort,
                                             .timer = timer,
                                             .engine = *engine,
                                             .links = *links,
                                             .clock = clock(),
                                             .wall_clock = [this] { return wall_seconds(); },
                                             .new_secret = instruments.new_secret,
                                             .log = instruments.log},
                                 std::move(pool),
                                 engine::PoolSite{.provider = {},
                                                  .cluster_id = facts.cluster_id,
                                                  .agent_address = facts.agent_address,
                                                  .enrol_address = facts.enrol_address,
                                                  .authority_der = authority->certificate_der(),
                                                  .mock = options.mock_agents});
  if (!opened.ok()) return opened.refusal();
  nodes = std::move(opened).value();
  if (!earlier.agent_address.empty() && earlier.agent_address != facts.agent_address)
    nodes->head_moved(facts.agent_address);
  sink.nodes = nodes.get();
  return Done{};
}

// After HeadStarted is on disk: the last steps, the users' socket at the very end.
Result<Done> Head::Parts::finish_start() {
  nodes->start();
  sweep = std::make_unique<BlobSweep>(SweepServices{
      .engine = *engine,
      .timer = timer,
      .connect =
          [this] {
            return transport::connect_tls(
                io.provider->getNetwork(), timer, blobs->where().address, *tls,
                transport::server_name(transport::Peer::Kind::kStore, services->facts.cluster_id));
          },
      .ticket =
          [this] {
            return tickets->upload_for_user(
                transport::common_name({transport::Peer::Kind::kHead, {}, 0}));
          },
      .log = instruments.log});
  const wire::HeadFacts& facts = services->facts;
  Result<Done> written =
      write_endpoint(home, {engine->state().meta().epoch.value, facts.cluster_id,
                            facts.agent_address, facts.enrol_address, blobs->where().address});
  if (!written.ok()) return written;
  auto opened = transport::LocalListener::open(
      io.provider->getNetwork(), timer, home.socket(),
      [this](transport::Peer peer, kj::Own<kj::AsyncIoStream> stream) {
        users->accept(peer, kj::mv(stream));
      },
      instruments.log);
  if (!opened.ok()) return opened.refusal();
  user_listener = std::move(opened).value();
  return Done{};
}

kj::Promise<void> Head::Parts::shut_down() {
  KJ_IF_MAYBE (already, stopping) return already->addBranch();
  auto ended = nodes->stop().then([this] { return blobs->stop(); }).fork();
  kj::Promise<void> answer = ended.addBranch();
  stopping = ended.addBranch()
                 .then([this] { return timer.afterDelay(kFarewell); })
                 .then([this] { stopped->fulfill(); })
                 .fork();
  return answer.attach(kj::mv(ended));
}

Head::Head(HeadOptions options, Instruments instruments, kj::AsyncIoContext& io)
    : parts_(std::make_unique<Parts>(std::move(options), std::move(instruments), io)) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  parts_->stopped = kj::mv(paf.fulfiller);
  parts_->on_stopped = kj::mv(paf.promise);
}

Head::~Head() noexcept(false) = default;

Result<Done> Head::open() {
  Parts& p = *parts_;
  Result<Done> done = prepare_home(p.home);
  if (!done.ok()) return done;
  auto locked = lock_home(p.home);
  if (!locked.ok()) return locked.refusal();
  p.lock = std::move(locked).value();
  remove_old_copies(p.home);
  p.earlier = read_endpoint(p.home);
  if (p.options.bind.empty()) p.options.bind = host_of(p.earlier.agent_address);
  if (p.options.bind.empty()) p.options.bind = "127.0.0.1";
  done = p.open_store();
  if (!done.ok()) return done;
  done = p.open_keys();
  if (!done.ok()) return done;
  p.build();
  p.build_doors();
  return p.listen();
}

kj::Promise<Result<Done>> Head::start() {
  Parts& p = *parts_;
  p.loop = std::make_unique<engine::EngineLoop>(
      *p.engine, p.timer, p.clock(),
      [&p](const core::Withdrawal& withdrawal) { p.links->withdraw(withdrawal); });
  return p.engine->post(core::StartHead{p.instruments.wall_us(), p.options.version})
      .then([&p](const Result<core::Answer>& answer) {
        LEAT_CHECK(answer.ok());
        return p.blobs->start();
      })
      .then(
          [&p](const Result<Done>& started) { return started.ok() ? p.finish_start() : started; });
}

kj::Promise<void> Head::run() {
  return parts_->loop->run().exclusiveJoin(kj::mv(parts_->on_stopped));
}

}  // namespace leat::scheduler
