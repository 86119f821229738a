#include "scheduler/wire/agent_server.h"

#include <kj/debug.h>

#include <string>
#include <utility>
#include <vector>

#include "base/labels.h"
#include "scheduler/core/mpi_versions.h"
#include "scheduler/store/value_codec.h"
#include "scheduler/wire/convert.h"
#include "scheduler/wire/task_progress.h"

// Cap'n Proto's interfaces have no virtual destructor: kj::Own remembers how to destroy.
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

namespace leat::wire {
namespace {

// Refusals have no place in a report's answer; an agent reacts to the kind of exception.
kj::Exception exception_of(const Refusal& refusal) {
  const auto type = refusal.reason == Reason::kOverloaded ? kj::Exception::Type::OVERLOADED
                    : refusal.reason == Reason::kConflict ? kj::Exception::Type::DISCONNECTED
                                                          : kj::Exception::Type::FAILED;
  return kj::Exception(type, __FILE__, __LINE__, kj::heapString(refusal.message.c_str()));
}

}  // namespace

// What a joined agent holds: good for one session of one node.
class AgentDoor::Reports final : public schema::HeadSession::Server {
 public:
  Reports(Services& services, NodeRef node, std::uint64_t session)
      : services_(services), node_(node), session_(session) {}

  kj::Promise<void> report(ReportContext context) override {
    Result<std::vector<core::EndedSet>> ended = read_report(context.getParams().getBatch());
    if (!ended.ok()) return exception_of(ended.refusal());
    context.releaseParams();
    return services_.engine.post(core::ReportEnded{node_, session_, std::move(ended).value()})
        .then([this, context](const Result<core::Answer>& answer) mutable -> kj::Promise<void> {
          if (!answer.ok()) return exception_of(answer.refusal());
          context.getResults().setHeadEpoch(services_.engine.state().meta().epoch.value);
          return kj::READY_NOW;
        });
  }

  kj::Promise<void> leave(LeaveContext) override {
    services_.log("node " + std::to_string(node_.id.value) + " says it leaves");
    return services_.engine.post(core::LoseNode{node_}).ignoreResult();
  }

  kj::Promise<void> progress(ProgressContext context) override {
    take_progress(services_.board, services_.engine.state(), node_, context.getParams().getTasks());
    return kj::READY_NOW;
  }

  kj::Promise<void> evacuating(EvacuatingContext) override {
    services_.links.evacuating(node_, session_);
    return kj::READY_NOW;
  }

  kj::Promise<void> evacuated(EvacuatedContext context) override {
    const auto params = context.getParams();
    services_.links.evacuated(
        node_, session_,
        params.getStored()
            ? std::to_string(params.getBytes()) + " bytes of output are in leat-store"
            : "its outputs go with it: " + store::read_text(params.getReason()).substr(0, 200));
    return kj::READY_NOW;
  }

 private:
  Services& services_;
  NodeRef node_;
  std::uint64_t session_;
};

// What everyone with an agent's certificate finds.
class AgentDoor::Gate final : public schema::AgentGate::Server {
 public:
  Gate(AgentDoor& door, NodeRef node, Sessions::Id id) : door_(door), node_(node), id_(id) {}

  kj::Promise<void> join(JoinContext context) override {
    const auto hello = context.getParams().getHello();
    Result<core::NodeReport> report = read_hello(hello);
    if (report.ok() && report.value().node != node_)
      report = Refusal{Reason::kConflict, "the certificate is another node's"};
    Result<std::vector<core::RunSet>> live = read_live(hello);
    if (report.ok() && !live.ok()) report = live.refusal();
    if (!report.ok()) {
      write_refusal(report.refusal(), context.getResults().initRefusal());
      return kj::READY_NOW;
    }
    // What an agent finds out of its node may have changed since it was here last.
    const core::Node* known = door_.services_.engine.state().node(node_);
    const bool is_news = known == nullptr || known->session == 0 ||
                         label_value(known->report.labels, kMpiLabel) !=
                             label_value(report.value().labels, kMpiLabel);
    return door_.services_.engine.post(core::JoinNode{std::move(report).value()})
        .then([this, context, is_news,
               live = std::move(live).value()](const Result<core::Answer>& answer) mutable {
          if (answer.ok()) {
            welcome(context, std::get<std::uint64_t>(answer.value()), live);
            if (is_news) compare();
          } else {
            let_in_again(context, answer.refusal(), live);
          }
        });
  }

 private:
  // A node that is being deleted may still bring its outputs away. Nothing will be placed there, so
  // no fact is needed: it goes on with its session, once the last connection of that is over.
  void let_in_again(JoinContext& context, const Refusal& refusal,
                    const std::vector<core::RunSet>& live) {
    const core::Node* node = door_.services_.engine.state().node(node_);
    const engine::AgentLink* link = door_.services_.links.find(node_);
    if (node == nullptr || node->state != core::NodeState::kDeleting || node->session == 0) {
      write_refusal(refusal, context.getResults().initRefusal());
    } else if (link != nullptr && link->connected()) {
      write_refusal({Reason::kOverloaded, "its last connection is not over yet: try again"},
                    context.getResults().initRefusal());
    } else {
      welcome(context, node->session, live);
    }
  }

  // Of nodes with unlike Open MPI people hear at once, not when a gang waits.
  void compare() {
    const core::State& state = door_.services_.engine.state();
    const core::Node* node = state.node(node_);
    const std::string difference = node == nullptr ? "" : core::mpi_difference(state, *node);
    if (!difference.empty()) door_.services_.log(difference);
  }

  void welcome(JoinContext& context, std::uint64_t session, const std::vector<core::RunSet>& live) {
    Services& services = door_.services_;
    const auto hang_up = [&door = door_, id = id_] { door.sessions_.close(id); };
    const bool open =
        door_.joined(id_, session) &&
        services.links.open(node_, session, context.getParams().getAgent(), live, hang_up);
    if (!open) {
      // It has joined once more, or is gone, while this was being written. Of a node that is up and
      // has no connection nobody else would ever notice that it does not come back.
      services.links.missed(node_, session);
      write_refusal({Reason::kOverloaded, "overtaken by another join: try again"},
                    context.getResults().initRefusal());
      return;
    }
    const core::State& state = services.engine.state();
    auto to = context.getResults().initWelcome();
    to.setHeadEpoch(state.meta().epoch.value);
    to.setSession(session);
    to.setNowUs(services.clock().us());
    to.setHead(kj::heap<Reports>(services, node_, session));
    const transport::PublicKey key = services.tickets.public_key();
    to.setTicketKey(kj::arrayPtr(reinterpret_cast<const kj::byte*>(key.data()), key.size()));
    to.setStoreAddress(store::text_of(services.blob_store().address));
    const std::string ticket = services.tickets.evacuation_for_agent(
        transport::common_name({.kind = transport::Peer::Kind::kAgent, .node = node_, .uid = 0}));
    to.setOutputTicket(store::data_of(ticket));
    const core::Node* node = state.node(node_);
    const core::Pool* pool = node == nullptr ? nullptr : state.pool(node->pool);
    if (pool != nullptr) to.setPool(store::text_of(pool->spec.name));
    to.setClusterId(store::text_of(services.facts.cluster_id));
    services.log("node " + std::to_string(node_.id.value) + " joined, session " +
                 std::to_string(session));
  }

  AgentDoor& door_;
  NodeRef node_;
  Sessions::Id id_;
};

AgentDoor::AgentDoor(Services& services, kj::Timer& timer)
    : services_(services),
      timer_(timer),
      sessions_(kSessionsMax, transport::kHeadLimits),
      tasks_(*this) {}

void AgentDoor::accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream) {
  if (peer.kind != transport::Peer::Kind::kAgent) {
    services_.log("the agent port turned away " + transport::common_name(peer));
    return;
  }
  const auto known = per_node_.find(peer.node);
  if (known != per_node_.end() && known->second >= kSessionsPerNode) {
    services_.log("too many connections of node " + std::to_string(peer.node.id.value));
    return;
  }
  Sessions::Id opened = 0;
  sessions_.open(
      kj::mv(stream),
      [this, &peer, &opened](Sessions::Id id) -> capnp::Capability::Client {
        opened = id;
        return schema::AgentGate::Client(kj::heap<Gate>(*this, peer.node, id));
      },
      [this](Sessions::Id id) { closed(id); });
  if (opened == 0) {
    services_.log("too many agents at once: one was turned away");
    return;
  }
  ++per_node_[peer.node];
  visitors_[opened] = {peer.node, 0};
  tasks_.add(timer_.afterDelay(kJoinDeadline).then([this, id = opened] {
    const auto at = visitors_.find(id);
    if (at != visitors_.end() && at->second.session == 0) sessions_.close(id);
  }));
}

bool AgentDoor::joined(Sessions::Id id, std::uint64_t session) {
  const auto at = visitors_.find(id);
  if (at == visitors_.end()) return false;
  at->second.session = session;
  return true;
}

void AgentDoor::closed(Sessions::Id id) {
  const auto at = visitors_.find(id);
  if (at == visitors_.end()) return;
  const Visitor visitor = at->second;
  visitors_.erase(at);
  if (--per_node_[visitor.node] == 0) per_node_.erase(visitor.node);
  if (visitor.session != 0) services_.links.disconnected(visitor.node, visitor.session);
}

void AgentDoor::taskFailed(kj::Exception&& exception) {
  services_.log(exception.getDescription().cStr());
}

}  // namespace leat::wire
