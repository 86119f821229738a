#include "tests/sim/network.h"

#include <kj/debug.h>

#include <memory>
#include <vector>

#include "base/check.h"
#include "node-agent/agent_codec.h"
#include "scheduler/wire/convert.h"
#include "tests/sim/bytes.h"
#include "tests/sim/world.h"

// Cap'n Proto's servers have no virtual destructor of their own.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace leat::sim {
namespace {

// The agent's capability as the head holds it: every call becomes bytes on the network.
class RemoteAgent final : public schema::Agent::Server {
 public:
  RemoteAgent(Network& network, std::uint64_t connection, World& world)
      : network_(network), connection_(connection), world_(world) {}

  kj::Promise<void> start(StartContext context) override {
    std::string bytes = bytes_of(context.getParams().getBatch());
    const bool twice = world_.repeats();
    auto begun = std::make_shared<std::vector<RunId>>();
    return network_
        .to_agent(connection_,
                  [this, bytes = std::move(bytes), twice, begun](Node& node) {
                    // What an older head, or an older session, had sent may still arrive.
                    if (world_.mutant() == Mutant::kForgetEpoch)
                      world_.replay_old_start(node, bytes);
                    *begun = node.start(bytes);
                    if (twice) node.start(bytes);
                  })
        .then([context, begun]() mutable {
          auto hubs = context.getResults().initHubs(static_cast<kj::uint>(begun->size()));
          for (kj::uint n = 0; n < hubs.size(); ++n) {
            agent::write_run_id((*begun)[n], hubs[n].initRun());
            hubs[n].initHub().setAddress("where-the-first-member-is:1");
          }
        });
  }
  kj::Promise<void> end(EndContext context) override {
    const HeadEpoch epoch{context.getParams().getHeadEpoch()};
    std::string bytes = bytes_of(context.getParams());
    return network_.to_agent(
        connection_, [epoch, bytes = std::move(bytes)](Node& node) { node.end(epoch, bytes); });
  }
  kj::Promise<void> withdraw(WithdrawContext context) override {
    const auto params = context.getParams();
    const HeadEpoch epoch{params.getHeadEpoch()};
    const StageRef stage{JobId{params.getJob()}, params.getStage()};
    return network_.to_agent(connection_, [epoch, stage, count = params.getCount()](Node& node) {
      node.withdraw(epoch, stage, count);
    });
  }
  kj::Promise<void> release(ReleaseContext context) override {
    const HeadEpoch epoch{context.getParams().getHeadEpoch()};
    std::vector<JobId> jobs;
    for (const std::uint64_t job : context.getParams().getJobs()) jobs.push_back(JobId{job});
    return network_.to_agent(
        connection_, [epoch, jobs = std::move(jobs)](Node& node) { node.release(epoch, jobs); });
  }
  kj::Promise<void> evacuate(EvacuateContext context) override {
    const HeadEpoch epoch{context.getParams().getHeadEpoch()};
    return network_.to_agent(connection_, [epoch](Node& node) { node.evacuate(epoch); });
  }
  kj::Promise<void> ping(PingContext) override {
    return network_.to_agent(connection_, [](Node&) {});
  }

 private:
  Network& network_;
  std::uint64_t connection_;
  World& world_;
};

}  // namespace

Network::Connection* Network::find(std::uint64_t id) {
  const auto at = connections_.find(id);
  return at == connections_.end() ? nullptr : &at->second;
}

Node* Network::node_of(std::uint64_t id) {
  const Connection* connection = find(id);
  return connection == nullptr ? nullptr : world_.node(connection->node);
}

Time Network::arrival(Time& last) {
  const Duration latency(100 + static_cast<std::int64_t>(world_.random().below(
                                   world_.random().chance(5) ? 300'000 : 2'000)));
  const Time at = world_.now() + latency;
  last = at < last ? last : at;
  return last;
}

std::uint64_t Network::connect(Node& node) {
  if (world_.head() == nullptr || !world_.head()->ready() || node.isolated()) return 0;
  const std::uint64_t id = next_++;
  Connection& connection = connections_[id];
  connection.node = node.ref();
  world_.events().at(arrival(connection.head_side), [this, id] { join(id); });
  return id;
}

void Network::join(std::uint64_t id) {
  Node* node = node_of(id);
  if (node == nullptr || !node->agent_alive() || node->connection() != id) return;
  core::NodeReport report;
  report.node = node->ref();
  report.capacity = node->capacity();
  report.labels = {"sim", "cores=" + std::to_string(node->cores()),
                   "leat:mpi=40." + std::to_string(node->mpi())};
  std::vector<core::RunSet> live;
  for (const agent::RunSet& set : node->live())
    live.push_back({set.stage, set.attempt, set.indices});
  world_.head()->ask(core::JoinNode{report},
                     [this, id, report, live = std::move(live)](
                         const Result<core::Answer>& answer) { joined(id, report, live, answer); });
}

// As AgentDoor does it: a node that is being deleted goes on with its session to bring its outputs
// away, once the last connection of that is over.
std::uint64_t Network::session_for(std::uint64_t id, NodeRef ref,
                                   const Result<core::Answer>& answer) {
  if (answer.ok()) return std::get<std::uint64_t>(answer.value());
  const core::Node* known = world_.head()->state().node(ref);
  const engine::AgentLink* link = world_.head()->links().find(ref);
  if (known == nullptr || known->state != core::NodeState::kDeleting || known->session == 0) {
    world_.events().at(arrival(find(id)->agent_side), [this, id] {
      if (Node* node = node_of(id)) node->refused();
    });
    return 0;
  }
  if (link == nullptr || !link->connected()) return known->session;
  cut(id);
  return 0;
}

void Network::joined(std::uint64_t id, const core::NodeReport& report,
                     std::vector<core::RunSet> live, const Result<core::Answer>& answer) {
  Connection* connection = find(id);
  if (connection == nullptr) {
    if (answer.ok())
      world_.head()->links().missed(report.node, std::get<std::uint64_t>(answer.value()));
    return;
  }
  const std::uint64_t session = session_for(id, report.node, answer);
  if (session == 0) return;
  connection->session = session;
  const HeadEpoch epoch = world_.head()->epoch();
  // The welcome goes out before any order of the session.
  world_.events().at(arrival(connection->agent_side), [this, id, epoch] {
    Node* node = node_of(id);
    const Connection* open = find(id);
    if (node != nullptr && open != nullptr) node->welcome(id, open->session, epoch);
  });
  const bool open = world_.head()->links().open(
      report.node, connection->session, kj::heap<RemoteAgent>(*this, id, world_), live, [this, id] {
        // Later: the link is in the middle of something.
        world_.events().after(Duration(1), [this, id] { cut(id, true); });
      });
  if (!open) cut(id);
}

kj::Promise<void> Network::to_agent(std::uint64_t id, std::function<void(Node&)> deliver) {
  Connection* connection = find(id);
  if (connection == nullptr || breaks(id)) return KJ_EXCEPTION(DISCONNECTED, "cut");
  connection = find(id);
  const std::uint64_t call = ++connection->calls;
  auto paf = kj::newPromiseAndFulfiller<void>();
  connection->unanswered[call] = kj::mv(paf.fulfiller);
  world_.events().at(arrival(connection->agent_side),
                     [this, id, call, deliver = std::move(deliver)] {
                       Node* node = node_of(id);
                       // A process that is stopped or dead answers nothing; the connection hangs
                       // until it is cut.
                       if (node == nullptr || !node->agent_alive() || node->connection() != id)
                         return;
                       deliver(*node);
                       Connection* open = find(id);
                       if (open == nullptr) return;
                       world_.events().at(arrival(open->head_side), [this, id, call] {
                         Connection* back = find(id);
                         if (back == nullptr) return;
                         const auto at = back->unanswered.find(call);
                         if (at == back->unanswered.end()) return;
                         auto done = kj::mv(at->second);
                         back->unanswered.erase(at);
                         done->fulfill();
                       });
                     });
  return kj::mv(paf.promise);
}

void Network::report(std::uint64_t id, Node& node, const agent::ReportBatch& batch) {
  Connection* connection = find(id);
  if (connection == nullptr || breaks(id)) return;
  capnp::MallocMessageBuilder message;
  agent::write_report(batch, message.initRoot<schema::ReportBatch>());
  const std::string bytes = bytes_of(message.getRoot<schema::ReportBatch>().asReader());
  connection = find(id);
  (void)node;
  const int times = world_.repeats() ? 2 : 1;
  for (int n = 0; n < times; ++n)
    world_.events().at(arrival(connection->head_side),
                       [this, id, number = batch.id, bytes] { take_report(id, number, bytes); });
}

void Network::take_report(std::uint64_t id, std::uint64_t batch, const std::string& bytes) {
  const Connection* connection = find(id);
  if (connection == nullptr || connection->session == 0) return;
  const Message message(bytes);
  auto ended = wire::read_report(message.root<schema::ReportBatch>());
  LEAT_CHECK(ended.ok());
  core::ReportEnded command{connection->node, connection->session, std::move(ended).value()};
  if (world_.mutant() == Mutant::kCountStale) world_.make_fresh(command);
  world_.head()->ask(std::move(command), [this, id, batch](const Result<core::Answer>& answer) {
    Connection* open = find(id);
    if (open == nullptr || !answer.ok()) return;
    world_.events().at(arrival(open->agent_side), [this, id, batch] {
      if (Node* node = node_of(id)) node->acknowledged(id, batch);
    });
  });
}

bool Network::breaks(std::uint64_t id) {
  if (!world_.chaos() || world_.random().below(400) != 0) return false;
  cut(id);
  return true;
}

void Network::cut(std::uint64_t id, bool by_head) {
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  const NodeRef node = at->second.node;
  const std::uint64_t session = at->second.session;
  auto unanswered = std::move(at->second.unanswered);
  connections_.erase(at);
  if (session != 0) left_[node] = world_.now();
  const auto some_time = [this] {
    return Duration(1 + static_cast<std::int64_t>(world_.random().below(3'000'000)));
  };
  world_.events().after(some_time(), [this, node, id] {
    if (Node* still = world_.node(node)) still->hung_up(id);
  });
  world_.events().after(some_time(), [this, node, session, by_head, life = world_.head_life()] {
    if (by_head) return;
    if (life == world_.head_life() && world_.head() != nullptr && session != 0)
      world_.head()->links().disconnected(node, session);
  });
  for (auto& [call, done] : unanswered) done->reject(KJ_EXCEPTION(DISCONNECTED, "cut"));
}

void Network::cut_all() {
  while (!connections_.empty()) cut(connections_.begin()->first);
}

}  // namespace leat::sim
