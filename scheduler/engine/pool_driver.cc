#include "scheduler/engine/pool_driver.h"

#include <kj/vector.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "scheduler/core/demand.h"

namespace leat::engine {

core::Hash kept_hash(std::span<const std::byte> secret) {
  const transport::Hash hash = transport::token_hash(secret);
  core::Hash out{};
  static_assert(sizeof hash == sizeof out);
  std::memcpy(out.data(), hash.data(), out.size());
  return out;
}

PoolDriver::PoolDriver(PoolServices services, PoolSite site)
    : services_(std::move(services)), site_(std::move(site)), tasks_(*this) {}

bool PoolDriver::ours(const core::Node& node) const {
  const core::Pool* pool = services_.engine.state().pool(node.pool);
  return pool != nullptr && pool->spec.provider == site_.provider;
}

void PoolDriver::start() {
  tasks_.add(list_forever());
  tasks_.add(look_forever());
  tasks_.add(follow_changes());
}

// ---- what there is ------------------------------------------------------------------------

kj::Promise<void> PoolDriver::list_forever() {
  fresh_.clear();
  return services_.timer.timeoutAfter(kCallDeadline, services_.provider.list())
      .then(
          [this](const Result<std::vector<pools::Instance>>& listing) {
            if (listing.ok()) {
              compare(listing.value());
              return misses_.empty() ? kListInterval : kAskAgain;
            }
            // Nobody knows: every node stays what it is.
            services_.log("pool " + site_.provider + ": " + listing.refusal().message);
            return kAskAgain;
          },
          [this](kj::Exception&& exception) {
            services_.log("pool " + site_.provider + ": " + exception.getDescription().cStr());
            return kAskAgain;
          })
      .then([this](kj::Duration pause) { return services_.timer.afterDelay(pause); })
      .then([this] { return list_forever(); });
}

void PoolDriver::compare(const std::vector<pools::Instance>& instances) {
  const core::State& state = services_.engine.state();
  std::map<NodeRef, pools::InstanceState> there;
  for (const pools::Instance& instance : instances) there[instance.node] = instance.state;
  for (const auto& [id, node] : state.nodes()) {
    if (!ours(node)) continue;
    const auto at = there.find(node.ref);
    if (node.state == core::NodeState::kDeleting) {
      want_destroyed(node.ref);
    } else if (at == there.end()) {
      miss(node);
    } else {
      misses_.erase(node.ref);
      if (at->second == pools::InstanceState::kGone)
        gone(node.ref, "agent and warden processes ended while nobody was looking");
    }
  }
  std::erase_if(misses_,
                [&state](const auto& entry) { return state.node(entry.first) == nullptr; });
  // Made by a call of which nobody knew any more: no fact wants it.
  for (const pools::Instance& instance : instances)
    if (state.node(instance.node) == nullptr) want_destroyed(instance.node);
  adjust();
}

void PoolDriver::miss(const core::Node& node) {
  // Nobody lists what people start by hand: that it is not connected proves nothing.
  if (site_.provider == core::kStaticProvider) return;
  // Its making is under way, or was when the listing began; or it speaks for itself.
  if (orders_.contains(node.ref) || fresh_.contains(node.ref)) return;
  if (node.state == core::NodeState::kUp) return;
  if (node.coming() && !ours_to_make_.contains(node.ref)) {
    // destroy() comes before it is proved gone: the old head's call may still be on its way.
    tasks_.add(services_.engine
                   .post(core::FailNode{node.ref, "the head was restarted before it was made",
                                        core::DeleteCause::kUnwanted})
                   .ignoreResult());
    return;
  }
  if (++misses_[node.ref] < kMissesForGone) return;
  gone(node.ref, "its provider does not have it any more");
}

kj::Promise<void> PoolDriver::follow_changes() {
  return services_.provider.changes()
      .then(
          [this](const std::vector<pools::InstanceChange>& changes) -> kj::Promise<void> {
            for (const pools::InstanceChange& change : changes) {
              services_.log(text_of(change.instance.node) + ": " + change.proof);
              if (change.instance.state == pools::InstanceState::kGone)
                gone(change.instance.node, change.proof);
            }
            return kj::READY_NOW;
          },
          [this](kj::Exception&& exception) -> kj::Promise<void> {
            services_.log("pool " + site_.provider + ": " + exception.getDescription().cStr());
            return services_.timer.afterDelay(kAskAgain);
          })
      .then([this] { return follow_changes(); });
}

void PoolDriver::gone(NodeRef ref, const std::string& proof) {
  misses_.erase(ref);
  if (services_.engine.state().node(ref) == nullptr) return;
  // The effect of the fact, DeleteNode, goes on from here.
  tasks_.add(services_.engine.post(core::ProveGone{ref, proof}).then([this](auto&&) { adjust(); }));
}

// ---- what there should be -----------------------------------------------------------------

kj::Promise<void> PoolDriver::look_forever() {
  return services_.timer.afterDelay(kLookInterval).then([this] {
    adjust();
    return look_forever();
  });
}

void PoolDriver::adjust() {
  if (stopping_ || services_.engine.state().pools().empty()) return;
  const core::State& state = services_.engine.state();
  for (const auto& [id, plan] : core::plan_pools(state, services_.clock())) {
    const bool idle = plan.grow > 0 && !requesting_.contains(id);
    if (idle && state.pool(id)->spec.provider == site_.provider) request(id, plan.grow);
  }
}

void PoolDriver::request(PoolId pool, std::uint32_t count) {
  core::RequestNodes wish;
  wish.pool = pool;
  for (std::uint32_t n = 0; n < count; ++n) {
    const transport::Secret secret = services_.new_secret();
    wish.tokens.push_back(kept_hash(secret));
    secrets_[wish.tokens.back()] = secret;
  }
  requesting_.insert(pool);
  const std::vector<core::Hash> tokens = wish.tokens;
  tasks_.add(services_.engine.post(std::move(wish))
                 .then([this, pool, tokens](const Result<core::Answer>& answer) {
                   requesting_.erase(pool);
                   // Those that were taken have become orders by now.
                   for (const core::Hash& token : tokens) secrets_.erase(token);
                   if (!answer.ok())
                     services_.log("pool: no node requested: " + answer.refusal().message);
                 }));
}

void PoolDriver::carry_out(const core::Effect& effect) {
  if (const auto* create_node = std::get_if<core::CreateNode>(&effect)) {
    order(*create_node);
  } else if (const auto* delete_node = std::get_if<core::DeleteNode>(&effect)) {
    const core::Node* node = services_.engine.state().node(delete_node->node);
    if (node != nullptr && !ours(*node)) return;
    orders_.erase(delete_node->node);
    ours_to_make_.erase(delete_node->node);
    creates_.pauses.erase(delete_node->node);
    misses_.erase(delete_node->node);
    // Proved gone because destroy() said so: there is nothing left to do.
    if (services_.engine.state().node(delete_node->node) == nullptr &&
        ended_.erase(delete_node->node) > 0)
      return;
    want_destroyed(delete_node->node);
  }
}

void PoolDriver::order(const core::CreateNode& effect) {
  const core::Node* node = services_.engine.state().node(effect.node);
  const core::Pool* pool = services_.engine.state().pool(effect.pool);
  if (node == nullptr || pool == nullptr || pool->spec.provider != site_.provider) return;
  const auto secret = secrets_.find(node->token_hash);
  if (secret == secrets_.end()) return;  // requested by somebody else, who has the token
  const Duration life = node->token_expires - services_.clock();
  const transport::JoinToken token{
      .secret = secret->second,
      .authority_der = site_.authority_der,
      .cluster_id = site_.cluster_id,
      .node = effect.node,
      .enrol_address = site_.enrol_address,
      .expires_wall_s =
          services_.wall_clock() + std::chrono::duration_cast<std::chrono::seconds>(life).count(),
      .agent_address = {},
      .pool = {}};
  secrets_.erase(secret);
  pools::NodeOrder made;
  made.node = effect.node;
  made.pool = pool->spec.name;
  if (pool->spec.shape) {
    made.millicores = pool->spec.shape->millicores;
    made.memory_bytes = pool->spec.shape->memory_bytes;
    made.gpus = pool->spec.shape->gpus;
    for (const Counter& counter : pool->spec.shape->counters)
      made.counters.emplace_back(counter.name, counter.amount);
  }
  made.cluster_id = site_.cluster_id;
  made.agent_address = site_.agent_address;
  made.enrol_address = site_.enrol_address;
  made.labels = pool->spec.labels;
  made.keeps_memory_limits = pool->spec.keeps_memory_limits;
  made.token = transport::encode_token(token);
  made.mock = site_.mock;
  orders_[effect.node] = std::move(made);
  ours_to_make_.insert(effect.node);
  creates_.pauses[effect.node] = kAskAgain;
  creates_.waiting.push_back(effect.node);
  create_next();
}

// ---- calls --------------------------------------------------------------------------------

void PoolDriver::create_next() {
  while (creates_.running < kCallsAtOnce && !creates_.waiting.empty()) {
    const NodeRef ref = creates_.waiting.front();
    creates_.waiting.pop_front();
    const auto order = orders_.find(ref);
    if (order == orders_.end()) continue;  // given up meanwhile
    ++creates_.running;
    tasks_.add(services_.timer.timeoutAfter(kCallDeadline, services_.provider.create(order->second))
                   .then(
                       [this, ref](const Result<Done>& made) {
                         --creates_.running;
                         created(ref, made);
                         create_next();
                       },
                       [this, ref](kj::Exception&& exception) {
                         --creates_.running;
                         services_.log(text_of(ref) + ": whether it was made is not known: " +
                                       exception.getDescription().cStr());
                         if (orders_.contains(ref))
                           try_again(creates_, ref, &PoolDriver::create_next);
                         create_next();
                       }));
  }
}

void PoolDriver::created(NodeRef ref, const Result<Done>& made) {
  fresh_.insert(ref);
  if (orders_.erase(ref) == 0) {
    // Given up while it was being made, so that destroy() may have come too early.
    want_destroyed(ref);
    return;
  }
  creates_.pauses.erase(ref);
  if (made.ok()) return;
  services_.log(text_of(ref) + " could not be made: " + made.refusal().message);
  tasks_.add(services_.engine
                 .post(core::FailNode{ref, "it could not be made: " + made.refusal().message,
                                      core::DeleteCause::kNotMade})
                 .ignoreResult());
}

void PoolDriver::try_again(Calls& calls, NodeRef ref, void (PoolDriver::*next)()) {
  kj::Duration& pause = calls.pauses[ref];
  const kj::Duration now = pause;
  pause = std::min(pause * 2, kAskAgainLongest);
  tasks_.add(services_.timer.afterDelay(now).then([this, &calls, ref, next] {
    calls.waiting.push_back(ref);
    (this->*next)();
  }));
}

void PoolDriver::want_destroyed(NodeRef ref) {
  if (!destroys_.pauses.emplace(ref, kAskAgain).second) return;
  destroys_.waiting.push_back(ref);
  destroy_next();
}

void PoolDriver::destroy_next() {
  while (destroys_.running < kCallsAtOnce && !destroys_.waiting.empty()) {
    const NodeRef ref = destroys_.waiting.front();
    destroys_.waiting.pop_front();
    ++destroys_.running;
    tasks_.add(services_.timer.timeoutAfter(kCallDeadline, services_.provider.destroy(ref))
                   .then(
                       [this, ref](const Result<Done>& ended) {
                         --destroys_.running;
                         destroyed(ref, ended);
                         destroy_next();
                       },
                       [this, ref](kj::Exception&& exception) {
                         --destroys_.running;
                         services_.log(text_of(ref) + ": whether it was ended is not known: " +
                                       exception.getDescription().cStr());
                         try_again(destroys_, ref, &PoolDriver::destroy_next);
                         destroy_next();
                       }));
  }
}

void PoolDriver::destroyed(NodeRef ref, const Result<Done>& ended) {
  if (!ended.ok()) {
    services_.log(text_of(ref) + " could not be ended: " + ended.refusal().message);
    try_again(destroys_, ref, &PoolDriver::destroy_next);
    return;
  }
  destroys_.pauses.erase(ref);
  const core::Node* node = services_.engine.state().node(ref);
  if (node == nullptr) return;
  services_.log(text_of(ref) + " is deleted: " + node->reason);
  ended_.insert(ref);
  gone(ref, "its provider has ended it: " + node->reason);
}

kj::Promise<void> PoolDriver::stop() {
  stopping_ = true;
  kj::Vector<kj::Promise<void>> ends;
  for (const auto& [id, node] : services_.engine.state().nodes()) {
    if (!ours(node)) continue;
    ends.add(services_.provider.destroy(node.ref).then(
        [this, ref = node.ref](const Result<Done>& ended) -> kj::Promise<void> {
          if (!ended.ok()) return kj::READY_NOW;
          ended_.insert(ref);
          return services_.engine
              .post(core::ProveGone{ref, "it was stopped together with the head"})
              .ignoreResult();
        }));
  }
  return kj::joinPromises(ends.releaseAsArray());
}

void PoolDriver::taskFailed(kj::Exception&& exception) {
  services_.log("pool " + site_.provider + ": " + exception.getDescription().cStr());
}

}  // namespace leat::engine
