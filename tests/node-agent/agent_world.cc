#include "tests/node-agent/agent_world.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <kj/async-unix.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <utility>

#include "transport/secret_file.h"
#include "transport/tls.h"

namespace leat::agent {
namespace {

constexpr kj::Duration kDeadline = 30 * kj::SECONDS;

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.refusal().message;
    std::abort();
  }
  return std::move(result).value();
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class FakeHeadSession final : public schema::HeadSession::Server {
 public:
  explicit FakeHeadSession(AgentWorld& world) : world_(world) {}

  kj::Promise<void> report(ReportContext context) override {
    const ReportBatch batch = must(read_report(context.getParams().getBatch()));
    for (const Ended& ended : batch.ended) {
      std::size_t n = 0;
      ended.runs.indices.for_each([this, &ended, &n](Index index) {
        Told& told = world_.reported[run_id(ended.runs.stage, ended.runs.attempt, index)];
        told.result = row_of(ended.columns, n++);
        told.stored = ended.result;
        ++told.times;
      });
    }
    world_.happened();
    if (!world_.answer_reports) return kj::NEVER_DONE;
    return kj::READY_NOW;
  }

  kj::Promise<void> leave(LeaveContext) override { return kj::READY_NOW; }

  kj::Promise<void> progress(ProgressContext context) override {
    for (const auto told : context.getParams().getTasks())
      world_.progress[read_run_id(told.getRun())] =
          std::to_string(told.getPermille()) + " " + told.getMessage().cStr();
    world_.happened();
    return kj::READY_NOW;
  }

  kj::Promise<void> evacuated(EvacuatedContext context) override {
    const auto params = context.getParams();
    world_.evacuated.push_back(params.getStored() ? std::to_string(params.getBytes())
                                                  : params.getReason().cStr());
    world_.happened();
    return kj::READY_NOW;
  }

 private:
  AgentWorld& world_;
};

class FakeGate final : public schema::AgentGate::Server {
 public:
  explicit FakeGate(AgentWorld& world) : world_(world) {}

  kj::Promise<void> join(JoinContext context) override {
    if (!world_.refuse_with.empty()) {
      auto refusal = context.getResults().initRefusal();
      refusal.setReason(schema::Refusal::Reason::CONFLICT);
      refusal.setMessage(world_.refuse_with);
      return kj::READY_NOW;
    }
    const auto hello = context.getParams().getHello();
    world_.live.clear();
    for (const auto set : hello.getLive()) world_.live.push_back(must(read_run_set(set)));
    world_.data_address = hello.getDataAddress().cStr();
    world_.agent = context.getParams().getAgent();
    auto welcome = context.getResults().initWelcome();
    welcome.setHeadEpoch(world_.head_epoch.value);
    welcome.setSession(++world_.session);
    welcome.setNowUs(1'000'000);
    welcome.setHead(kj::heap<FakeHeadSession>(world_));
    const transport::PublicKey key = world_.signer.public_key();
    welcome.setTicketKey(kj::arrayPtr(reinterpret_cast<const kj::byte*>(key.data()), key.size()));
    welcome.setStoreAddress(world_.store_address);
    const std::string& ticket = world_.output_ticket;
    welcome.setOutputTicket(kj::arrayPtr(ticket.data(), ticket.size()).asBytes());
    ++world_.joins;
    world_.happened();
    return kj::READY_NOW;
  }

 private:
  AgentWorld& world_;
};

#pragma GCC diagnostic pop

}  // namespace

AgentWorld::AgentWorld()
    : authority(must(transport::ClusterAuthority::create(
          scratch.path("authority"), transport::new_cluster_id(), std::time(nullptr)))),
      signer(must(transport::TicketSigner::open(scratch.path("authority")))),
      directory(scratch.path("node")) {
  EXPECT_EQ(::mkdir(directory.c_str(), 0700), 0);
  const transport::Credentials head =
      authority.issue({transport::Peer::Kind::kHead, {}, 0}, std::time(nullptr));
  context_ = transport::make_context(head, io.provider->getTimer());
  listener_ = must(transport::TlsListener::open(
      io.provider->getNetwork(), io.provider->getTimer(), "127.0.0.1:0", *context_,
      [this](transport::Peer, kj::Own<kj::AsyncIoStream> stream) { accept(kj::mv(stream)); }));
  write_node_file();
}

AgentWorld::~AgentWorld() {
  const pid_t warden = warden_pid();
  kill_agent();
  if (warden > 0) ::kill(warden, SIGTERM);
}

void AgentWorld::accept(kj::Own<kj::AsyncIoStream> stream) {
  sessions_.push_back(kj::heap<transport::Session>(
      kj::mv(stream), transport::Session::Side::kAccepted,
      schema::AgentGate::Client(kj::heap<FakeGate>(*this)), transport::kHeadLimits));
}

void AgentWorld::write_node_file(const std::string& more) {
  put_content(directory + "/agent.json",
              R"({"node": 3, "epoch": 9, "pool": "test", "cluster_id": ")" +
                  authority.cluster_id() + R"(", "head_address": "127.0.0.1:)" +
                  std::to_string(listener_->port()) + R"(", "warden": ")" + LEAT_WARDEN_PROGRAM +
                  "\"" + more + "}");
  ::chmod((directory + "/agent.json").c_str(), 0600);
}

void AgentWorld::give_credentials() {
  must(transport::ensure_private_directory(directory + "/tls"));
  must(transport::save_credentials(
      directory + "/tls",
      authority.issue({transport::Peer::Kind::kAgent, node, 0}, std::time(nullptr))));
}

void AgentWorld::start_agent(std::vector<std::string> more_arguments) {
  std::vector<std::string> arguments{LEAT_AGENT_PROGRAM, "--dir", directory};
  arguments.insert(arguments.end(), more_arguments.begin(), more_arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string log = scratch.path("agent.log");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  EXPECT_EQ(posix_spawn(&agent_pid_, LEAT_AGENT_PROGRAM, &actions, nullptr, argv.data(), environ),
            0);
  posix_spawn_file_actions_destroy(&actions);
}

void AgentWorld::kill_agent() {
  if (agent_pid_ <= 0) return;
  ::kill(agent_pid_, SIGKILL);
  ::waitpid(agent_pid_, nullptr, 0);
  agent_pid_ = 0;
}

int AgentWorld::agent_exit() {
  // The fake head must go on answering while the agent ends: wait on the pidfd in its loop.
  const kj::AutoCloseFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, agent_pid_, 0)));
  kj::UnixEventPort::FdObserver observer(io.unixEventPort, pidfd,
                                         kj::UnixEventPort::FdObserver::OBSERVE_READ);
  io.provider->getTimer()
      .timeoutAfter(kDeadline, observer.whenBecomesReadable())
      .catch_([](kj::Exception&&) { ADD_FAILURE() << "the agent did not end"; })
      .wait(io.waitScope);
  int status = 0;
  if (::waitpid(agent_pid_, &status, WNOHANG) != agent_pid_) return -1;
  agent_pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t AgentWorld::warden_pid() {
  const int pid = std::atoi(content_of(directory + "/warden.pid").c_str());
  // The number of a warden that has ended may be somebody else's by now.
  const std::string command = content_of("/proc/" + std::to_string(pid) + "/cmdline");
  return command.find(directory) == std::string::npos ? 0 : pid;
}

std::string AgentWorld::agent_log() {
  return content_of(scratch.path("agent.log"));
}

std::uint64_t AgentWorld::agent_kib(const std::string& line) {
  const std::string status = content_of("/proc/" + std::to_string(agent_pid_) + "/status");
  const std::size_t at = status.find(line);
  return at == std::string::npos ? 0 : std::stoull(status.substr(at + line.size()));
}

void AgentWorld::happened() {
  if (waiting_.get() != nullptr) waiting_->fulfill();
}

void AgentWorld::wait_until(const std::function<bool()>& holds) {
  const kj::TimePoint deadline = io.provider->getTimer().now() + kDeadline;
  while (!holds()) {
    auto paf = kj::newPromiseAndFulfiller<void>();
    waiting_ = kj::mv(paf.fulfiller);
    const bool in_time = io.provider->getTimer()
                             .timeoutAt(deadline, kj::mv(paf.promise))
                             .then([]() { return true; }, [](kj::Exception&&) { return false; })
                             .wait(io.waitScope);
    if (in_time) continue;
    ADD_FAILURE() << "it did not happen; the agent says:\n" << agent_log();
    return;
  }
}

void AgentWorld::wait_for_join(int count) {
  wait_until([this, count]() { return joins >= count; });
  sequence_ = 0;
}

StartSet AgentWorld::stage_set(JobId job, const std::vector<std::string>& argv,
                               std::string_view indices) {
  StageSpec spec;
  spec.program.argv = argv;
  spec.program.directory = "/";
  spec.indices = must(IndexList::parse(indices));
  StartSet set;
  set.runs = {{job, 0}, 1, spec.indices, 0};
  set.claims = 2;
  set.task_count = spec.indices.size();
  set.spec = std::make_shared<const StageSpec>(std::move(spec));
  return set;
}

void AgentWorld::start(StartSet set) {
  auto request = agent->startRequest();
  write_start_batch({head_epoch, session, ++sequence_, {std::move(set)}}, request.initBatch());
  request.send().ignoreResult().catch_([](kj::Exception&&) {}).wait(io.waitScope);
}

void AgentWorld::end(const RunSet& runs, Duration grace) {
  auto request = agent->endRequest();
  request.setHeadEpoch(head_epoch.value);
  write_end_orders({{runs, Outcome::kCancelled, grace}}, request.initOrders(1));
  request.send().ignoreResult().wait(io.waitScope);
}

const Told* AgentWorld::told(const RunId& run) const {
  const auto found = reported.find(run);
  return found == reported.end() ? nullptr : &found->second;
}

std::string AgentWorld::ticket(JobId job, const std::string& reader, std::int64_t lives_s,
                               std::vector<Stride> indices) {
  transport::Ticket ticket;
  ticket.job = job;
  ticket.indices = std::move(indices);
  ticket.reader = reader;
  ticket.expires_wall_s = std::time(nullptr) + lives_s;
  return must(signer.sign(ticket));
}

AgentWorld::ReadAnswer AgentWorld::read(const transport::Peer& who, const std::string& ticket,
                                        const RunId& run, std::uint64_t offset) {
  kj::Timer& timer = io.provider->getTimer();
  kj::Own<kj::TlsContext> context =
      transport::make_context(authority.issue(who, std::time(nullptr)), timer);
  transport::Session reader(
      transport::connect_tls(io.provider->getNetwork(), timer, data_address, *context,
                             transport::agent_server_name(node, authority.cluster_id()))
          .wait(io.waitScope),
      transport::Session::Side::kConnected, nullptr, transport::kDataLimits);
  auto request = reader.peer().castAs<schema::DataServer>().readRequest();
  request.setTicket(kj::arrayPtr(ticket.data(), ticket.size()).asBytes());
  write_run_id(run, request.initRun());
  request.setOffset(offset);
  request.setLength(1 << 20);
  const auto response = request.send().wait(io.waitScope);
  if (response.isRefusal()) return {"", response.getRefusal().getMessage().cStr(), false};
  const auto data = response.getBytes().getData().asChars();
  return {std::string(data.begin(), data.size()), "", response.getBytes().getFinished()};
}

}  // namespace leat::agent
