// agent_links.cc - which link an effect is for, and when links go.

#include <kj/debug.h>

#include <utility>

#include "scheduler/engine/agent_link.h"

namespace leat::engine {

void AgentLinks::carry_out(const core::Effect& effect) {
  if (const auto* start = std::get_if<core::StartRuns>(&effect)) {
    if (!gangs_.park(*start, services_.engine.state())) link(start->node).order(*start);
  } else if (const auto* end = std::get_if<core::EndRuns>(&effect)) {
    link(end->node).order(*end);
  } else if (const auto* release = std::get_if<core::ReleaseOutputs>(&effect)) {
    // Who is away hears it when it joins.
    for (auto& [node, link] : links_)
      if (link->connected()) link->order(release->job);
  } else if (const auto* withdrawal = std::get_if<core::Withdrawal>(&effect)) {
    withdraw(*withdrawal);
  } else if (const auto* gone = std::get_if<core::DeleteNode>(&effect)) {
    const auto at = links_.find(gone->node);
    if (at == links_.end()) return;
    // As long as the node is there it is talked to: it may have outputs to bring to safety.
    if (services_.engine.state().node(gone->node) != nullptr) return;
    at->second->close();
    links_.erase(at);
  }
}

void AgentLinks::gang_begun(const RunId& run, GangHub hub) {
  for (core::StartRuns& start : gangs_.arrive(run, std::move(hub), services_.engine.state())) {
    const NodeRef node = start.node;
    link(node).order(std::move(start));
  }
}

void AgentLinks::withdraw(const core::Withdrawal& withdrawal) {
  const auto at = links_.find(withdrawal.node);
  if (at != links_.end() && at->second->connected()) at->second->order(withdrawal);
}

bool AgentLinks::open(NodeRef node, std::uint64_t session, schema::Agent::Client agent,
                      const std::vector<core::RunSet>& live, std::function<void()> hang_up) {
  if (services_.engine.state().node(node) == nullptr) return false;
  return link(node).open(session, kj::mv(agent), live, std::move(hang_up));
}

kj::Promise<void> AgentLinks::part(NodeRef node) {
  if (const auto known = parting_.find(node); known != parting_.end())
    return known->second.over.addBranch();
  const auto at = links_.find(node);
  if (at == links_.end() || !at->second->connected()) return kj::READY_NOW;
  std::unique_ptr<AgentLink> link = std::move(at->second);
  links_.erase(at);
  auto hung_up = kj::newPromiseAndFulfiller<void>();
  auto over = link->stop()
                  .then([waiting = kj::mv(hung_up.promise)]() mutable { return kj::mv(waiting); })
                  .exclusiveJoin(services_.timer.afterDelay(kPartingDeadline))
                  .fork();
  // The link goes in a turn of its own, never from within a promise of its own.
  tasks_.add(over.addBranch().then([this, node] {
    tasks_.add(kj::evalLater([this, node] {
      const auto parted = parting_.find(node);
      parted->second.link->close();
      parting_.erase(parted);
    }));
  }));
  kj::Promise<void> answer = over.addBranch();
  parting_.insert({node, Parting{std::move(link), kj::mv(hung_up.fulfiller), kj::mv(over)}});
  return answer;
}

void AgentLinks::taskFailed(kj::Exception&& exception) {
  services_.log(std::string("agents: ") + exception.getDescription().cStr());
}

void AgentLinks::disconnected(NodeRef node, std::uint64_t session) {
  if (const auto parting = parting_.find(node); parting != parting_.end())
    parting->second.hung_up->fulfill();
  const auto at = links_.find(node);
  if (at != links_.end()) at->second->disconnected(session);
}

void AgentLinks::missed(NodeRef node, std::uint64_t session) {
  if (services_.engine.state().node(node) != nullptr) link(node).missed(session);
}

kj::Promise<void> AgentLinks::evacuate(NodeRef node) {
  const core::Node* known = services_.engine.state().node(node);
  // It has never joined: nothing has run there.
  if (known == nullptr || known->session == 0) return kj::READY_NOW;
  return link(node).evacuate();
}

void AgentLinks::evacuating(NodeRef node, std::uint64_t session) {
  const auto at = links_.find(node);
  if (at != links_.end()) at->second->evacuating(session);
}

void AgentLinks::evacuated(NodeRef node, std::uint64_t session, const std::string& what) {
  const auto at = links_.find(node);
  if (at != links_.end()) at->second->evacuated(session, what);
}

const AgentLink* AgentLinks::find(NodeRef node) const {
  const auto at = links_.find(node);
  return at == links_.end() ? nullptr : at->second.get();
}

AgentLink& AgentLinks::link(NodeRef node) {
  std::unique_ptr<AgentLink>& at = links_[node];
  if (at == nullptr) at = std::make_unique<AgentLink>(services_, node, back_until_, *this);
  return *at;
}

}  // namespace leat::engine
