#include "node-agent/head_link.h"

#include <kj/compat/tls.h>
#include <kj/debug.h>

#include <cstring>
#include <utility>

#include "node-agent/agent_codec.h"
#include "node-agent/gang_codec.h"
#include "node-agent/stage_codec.h"
#include "schema/agent.capnp.h"
#include "transport/identity.h"
#include "transport/listener.h"
#include "transport/session.h"
#include "transport/wire_refusal.h"

namespace leat::agent {
namespace {

// What goes wrong with an order of the head: it then drops the session and says everything again.
kj::Exception complaint(const std::string& what) {
  return kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__,
                       kj::heapString(what.c_str()));
}

void require(Verdict verdict) {
  if (verdict == Verdict::kOlderHead)
    kj::throwFatalException(complaint("this node has joined a newer head"));
}

// Of the gangs in `batch` whose first member is here.
std::vector<std::pair<RunId, GangHub>> hubs_in(Node& node, const StartBatch& batch) {
  std::vector<std::pair<RunId, GangHub>> hubs;
  for (const StartSet& set : batch.sets) {
    if (!set.gang || set.gang->member != 0 || set.gang->nodes.size() == 1) continue;
    const RunId run = run_id(set.runs.stage, set.runs.attempt, set.runs.indices.at(0));
    if (std::optional<GangHub> hub = node.hub_of(run)) hubs.emplace_back(run, std::move(*hub));
  }
  return hubs;
}

// Whether the same answer would come again.
bool is_final(const Refusal& refusal) {
  return refusal.reason != Reason::kOverloaded && refusal.reason != Reason::kDisconnected;
}

}  // namespace

// One life of the connection. The server below may outlive it by a turn.
struct HeadLink::Connection {
  std::shared_ptr<HeadLink*> link;  // null when the connection is over
  kj::Own<transport::Session> session;
  kj::Maybe<schema::HeadSession::Client> head;  // once joined
  kj::TimePoint heard = kj::origin<kj::TimePoint>();
  kj::Own<kj::PromiseFulfiller<void>> broken;  // a report was not taken

  ~Connection() noexcept(false) { *link = nullptr; }
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

// What the head calls. Its first orders may overtake the answer to `join`: they wait for it.
class HeadLink::Server final : public schema::Agent::Server {
 public:
  Server(std::shared_ptr<HeadLink*> link, kj::Promise<void> joined)
      : link_(std::move(link)), joined_(joined.fork()) {}

  kj::Promise<void> start(StartContext context) override {
    return when_joined([context](HeadLink& link) mutable {
      Result<StartBatch> batch = read_start_batch(context.getParams().getBatch());
      if (!batch.ok()) kj::throwFatalException(complaint(batch.refusal().message));
      context.releaseParams();
      require(link.parts_.node.start(batch.value()));
      std::vector<std::pair<RunId, GangHub>> hubs = hubs_in(link.parts_.node, batch.value());
      auto told = context.getResults().initHubs(static_cast<kj::uint>(hubs.size()));
      for (kj::uint i = 0; i < told.size(); ++i) {
        write_run_id(hubs[i].first, told[i].initRun());
        write_hub(hubs[i].second, told[i].initHub());
      }
    });
  }

  kj::Promise<void> end(EndContext context) override {
    return when_joined([context](HeadLink& link) mutable {
      const auto params = context.getParams();
      const Result<std::vector<EndOrder>> orders = read_end_orders(params.getOrders());
      if (!orders.ok()) kj::throwFatalException(complaint(orders.refusal().message));
      require(link.parts_.node.end(HeadEpoch{params.getHeadEpoch()}, orders.value()));
    });
  }

  kj::Promise<void> withdraw(WithdrawContext context) override {
    return when_joined([context](HeadLink& link) mutable {
      const auto params = context.getParams();
      require(link.parts_.node.withdraw(HeadEpoch{params.getHeadEpoch()},
                                        {JobId{params.getJob()}, params.getStage()},
                                        params.getCount()));
    });
  }

  kj::Promise<void> release(ReleaseContext context) override {
    return when_joined([context](HeadLink& link) mutable {
      const auto params = context.getParams();
      std::vector<JobId> jobs;
      for (const std::uint64_t job : params.getJobs()) jobs.push_back(JobId{job});
      require(link.parts_.node.release(HeadEpoch{params.getHeadEpoch()}, jobs));
    });
  }

  kj::Promise<void> ping(PingContext context) override {
    HeadLink& link = alive();
    const HeadEpoch epoch{context.getParams().getHeadEpoch()};
    if (epoch < link.parts_.node.core().head_epoch()) require(Verdict::kOlderHead);
    if (link.connection_.get() != nullptr) link.connection_->heard = link.parts_.timer.now();
    context.getResults().setQueued(link.parts_.node.core().queued());
    context.getResults().setRunning(link.parts_.node.core().running());
    return kj::READY_NOW;
  }

  kj::Promise<void> stop(StopContext context) override {
    return when_joined([context](HeadLink& link) mutable {
      const HeadEpoch epoch{context.getParams().getHeadEpoch()};
      if (epoch < link.parts_.node.core().head_epoch()) require(Verdict::kOlderHead);
      link.parts_.say("the head ends this node");
      link.parts_.on_stop();
    });
  }

  kj::Promise<void> evacuate(EvacuateContext context) override {
    return when_joined([context](HeadLink& link) mutable {
      const auto params = context.getParams();
      const HeadEpoch epoch{params.getHeadEpoch()};
      if (epoch < link.parts_.node.core().head_epoch()) require(Verdict::kOlderHead);
      const kj::ArrayPtr<const char> ticket = params.getTicket().asChars();
      link.evacuate(std::string(ticket.begin(), ticket.size()));
    });
  }

 private:
  HeadLink& alive() {
    if (*link_ == nullptr) kj::throwFatalException(complaint("the session is over"));
    return **link_;
  }

  template <typename Work>
  kj::Promise<void> when_joined(Work work) {
    return joined_.addBranch().then([this, work = kj::mv(work)]() mutable { work(alive()); });
  }

  std::shared_ptr<HeadLink*> link_;
  kj::ForkedPromise<void> joined_;
};

#pragma GCC diagnostic pop

HeadLink::HeadLink(HeadLinkParts parts, AgentFacts facts, transport::Backoff backoff)
    : parts_(std::move(parts)), facts_(std::move(facts)), backoff_(backoff), tasks_(*this) {
  parts_.node.set_reporter([this](const ReportBatch& batch) { report(batch); });
  parts_.progress.set_teller(
      [this](const std::vector<TaskProgress>& tasks) { return tell_progress(tasks); });
}

HeadLink::~HeadLink() noexcept(false) = default;

void HeadLink::taskFailed(kj::Exception&& exception) {
  parts_.say(std::string("head: ") + exception.getDescription().cStr());
}

kj::Promise<Refusal> HeadLink::run() {
  return connect_once().then([this](kj::Maybe<Refusal> final) -> kj::Promise<Refusal> {
    KJ_IF_MAYBE (refusal, final) {
      return kj::mv(*refusal);
    }
    const Duration wait = backoff_.next();
    return parts_.timer.afterDelay(transport::to_kj(wait)).then([this]() { return run(); });
  });
}

// Resolves when the connection is over: with a refusal if it was refused for good.
kj::Promise<kj::Maybe<Refusal>> HeadLink::connect_once() {
  const Result<std::string> address = parts_.head_address();
  if (!address.ok()) {
    parts_.say(address.refusal().message);
    return kj::Maybe<Refusal>(nullptr);
  }
  return transport::connect_tls(
             parts_.network, parts_.timer, address.value(), parts_.context,
             transport::server_name(transport::Peer::Kind::kHead, facts_.cluster_id))
      .then([this](kj::Own<kj::AsyncIoStream> stream) { return join(kj::mv(stream)); })
      .then(
          [this](kj::Maybe<Refusal> final) {
            lose();
            return final;
          },
          [this](kj::Exception&& e) -> kj::Maybe<Refusal> {
            parts_.say(std::string("no head: ") + e.getDescription().cStr());
            lose();
            return nullptr;
          });
}

kj::Promise<kj::Maybe<Refusal>> HeadLink::join(kj::Own<kj::AsyncIoStream> stream) {
  using Final = kj::Maybe<Refusal>;
  connection_ = kj::heap<Connection>();
  Connection& connection = *connection_;
  connection.link = std::make_shared<HeadLink*>(this);
  connection.session = kj::heap<transport::Session>(
      kj::mv(stream), transport::Session::Side::kConnected, nullptr, transport::kAgentLimits);
  auto joined = kj::newPromiseAndFulfiller<void>();
  auto broken = kj::newPromiseAndFulfiller<void>();
  connection.broken = kj::mv(broken.fulfiller);

  auto request = connection.session->peer().castAs<schema::AgentGate>().joinRequest();
  write_hello(request.initHello());
  request.setAgent(kj::heap<Server>(connection.link, kj::mv(joined.promise)));
  return parts_.timer.timeoutAfter(kJoinDeadline, request.send())
      .then([this, &connection, joined = kj::mv(joined.fulfiller), broken = kj::mv(broken.promise)](
                capnp::Response<schema::JoinResult>&& answer) mutable -> kj::Promise<Final> {
        if (answer.isRefusal()) {
          const Refusal refusal = transport::read_refusal(answer.getRefusal());
          parts_.say("the head refuses this node: " + refusal.message);
          return is_final(refusal) ? Final(refusal) : Final(nullptr);
        }
        const schema::Welcome::Reader welcome = answer.getWelcome();
        if (!take_welcome(welcome)) return Final(nullptr);
        connection.head = welcome.getHead();
        connection.heard = parts_.timer.now();
        backoff_.reset();
        joined->fulfill();
        parts_.progress.joined();
        return connection.session->on_disconnect()
            .exclusiveJoin(silence(connection))
            .exclusiveJoin(kj::mv(broken))
            .then([]() -> Final { return nullptr; });
      });
}

bool HeadLink::take_welcome(schema::Welcome::Reader welcome) {
  HeadWelcome told;
  told.head_epoch = HeadEpoch{welcome.getHeadEpoch()};
  told.session = welcome.getSession();
  told.now_us = welcome.getNowUs();
  told.store = {welcome.getStoreAddress().cStr(),
                transport::server_name(transport::Peer::Kind::kStore, facts_.cluster_id)};
  const kj::ArrayPtr<const char> ticket = welcome.getOutputTicket().asChars();
  told.output_ticket.assign(ticket.begin(), ticket.size());
  transport::PublicKey key{};
  const capnp::Data::Reader bytes = welcome.getTicketKey();
  if (bytes.size() != key.size()) {
    parts_.say("the head's ticket key makes no sense");
    return false;
  }
  std::memcpy(key.data(), bytes.begin(), key.size());
  if (parts_.node.joined(told) != Verdict::kTaken) {
    parts_.say("an older head answers: it is not obeyed");
    return false;
  }
  parts_.on_ticket_key(key);
  parts_.say("joined, session " + std::to_string(told.session) + " of head " +
             std::to_string(told.head_epoch.value));
  return true;
}

void HeadLink::write_hello(schema::Hello::Builder hello) const {
  hello.setVersion(schema::PROTOCOL_VERSION);
  write_node(facts_.node, hello.initNode());
  write_resources(facts_.capacity, hello.initCapacity());
  hello.setHostName(facts_.host_name);
  hello.setDataAddress(facts_.data_address);
  hello.setAgentPid(facts_.agent_pid);
  hello.setWardenPid(facts_.warden_pid);
  const auto* hash = reinterpret_cast<const kj::byte*>(facts_.topology_hash.data());
  hello.setTopologyHash(kj::arrayPtr(hash, facts_.topology_hash.size()));
  const std::vector<RunSet> live = parts_.node.core().live();
  auto sets = hello.initLive(static_cast<kj::uint>(live.size()));
  for (kj::uint i = 0; i < sets.size(); ++i) write_run_set(live[i], sets[i]);
  auto labels = hello.initLabels(static_cast<kj::uint>(facts_.labels.size()));
  for (kj::uint i = 0; i < labels.size(); ++i) labels.set(i, facts_.labels[i]);
}

// Resolves when the head has been silent for too long.
kj::Promise<void> HeadLink::silence(Connection& connection) {
  return parts_.timer.atTime(connection.heard + kHeadSilence)
      .then([this, &connection]() -> kj::Promise<void> {
        if (parts_.timer.now() - connection.heard < kHeadSilence) return silence(connection);
        parts_.say("the head is silent");
        return kj::READY_NOW;
      });
}

void HeadLink::report(const ReportBatch& batch) {
  if (connection_.get() == nullptr) return;
  KJ_IF_MAYBE (head, connection_->head) {
    auto request = head->reportRequest();
    write_report(batch, request.initBatch());
    const std::shared_ptr<HeadLink*> link = connection_->link;
    tasks_.add(request.send().then([this, id = batch.id](auto&&) { parts_.node.reported(id); },
                                   [this, link](kj::Exception&& e) {
                                     if (*link == nullptr)
                                       return;  // an earlier connection's: all is sent again anyway
                                     parts_.say(std::string("a report was not taken: ") +
                                                e.getDescription().cStr());
                                     connection_->broken->fulfill();
                                   }));
  }
}

kj::Promise<void> HeadLink::tell_progress(const std::vector<TaskProgress>& tasks) {
  if (connection_.get() == nullptr) return kj::READY_NOW;
  KJ_IF_MAYBE (head, connection_->head) {
    auto request = head->progressRequest();
    auto words = request.initTasks(static_cast<kj::uint>(tasks.size()));
    for (kj::uint i = 0; i < words.size(); ++i) {
      write_run_id(tasks[i].run, words[i].initRun());
      words[i].setPermille(tasks[i].permille);
      words[i].setMessage(tasks[i].message.c_str());
    }
    return request.send().ignoreResult();
  }
  return kj::READY_NOW;
}

// A head that asks again while it is under way hears of it once; one that is away asks again.
void HeadLink::evacuate(std::string ticket) {
  if (std::exchange(evacuating_, true)) return;
  const auto tell = [this](std::uint64_t bytes) { tell_evacuating(bytes); };
  tasks_.add(parts_.node.evacuate(std::move(ticket), kEvacuationPatience, tell)
                 .then([this](const Result<std::uint64_t>& done) {
                   evacuating_ = false;
                   parts_.say(done.ok()
                                  ? "outputs are in leat-store: " + std::to_string(done.value()) +
                                        " bytes"
                                  : "outputs are not in leat-store: " + done.refusal().message);
                   tell_evacuated(done);
                 }));
}

void HeadLink::tell_evacuating(std::uint64_t bytes) {
  if (connection_.get() == nullptr || parts_.timer.now() - progress_told_ < kProgressInterval)
    return;
  KJ_IF_MAYBE (head, connection_->head) {
    progress_told_ = parts_.timer.now();
    auto request = head->evacuatingRequest();
    request.setBytes(bytes);
    // An older head does not know the word, and waits without it.
    tasks_.add(request.send().ignoreResult().catch_([](kj::Exception&&) {}));
  }
}

void HeadLink::tell_evacuated(const Result<std::uint64_t>& done) {
  if (connection_.get() == nullptr) return;
  KJ_IF_MAYBE (head, connection_->head) {
    auto request = head->evacuatedRequest();
    request.setStored(done.ok());
    if (done.ok()) request.setBytes(done.value());
    if (!done.ok()) request.setReason(done.refusal().message.c_str());
    tasks_.add(request.send().ignoreResult());
  }
}

kj::Promise<void> HeadLink::leave() {
  if (connection_.get() == nullptr) return kj::READY_NOW;
  KJ_IF_MAYBE (head, connection_->head) {
    return head->leaveRequest().send().ignoreResult().catch_([](kj::Exception&&) {});
  }
  return kj::READY_NOW;
}

// The session is destroyed in a turn of its own, never from within one of its calls.
void HeadLink::lose() {
  if (connection_.get() == nullptr) return;
  parts_.node.disconnected();
  parts_.progress.parted();
  *connection_->link = nullptr;
  tasks_.add(kj::evalLater([gone = kj::mv(connection_)]() mutable { gone = nullptr; }));
}

}  // namespace leat::agent
