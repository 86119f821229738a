#include "scheduler/engine/pool_driver.h"

#include <kj/vector.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace leat::engine {
namespace {

std::string text_of(NodeRef node) {
  return "node " + std::to_string(node.id.value);
}

core::Hash hash_of(const transport::Secret& secret) {
  const transport::Hash hash = transport::token_hash(secret);
  core::Hash out{};
  static_assert(sizeof hash == sizeof out);
  std::memcpy(out.data(), hash.data(), out.size());
  return out;
}

bool waits_for_join(const core::Node& node) {
  return node.state == core::NodeState::kRequested || node.state == core::NodeState::kEnrolled;
}

}  // namespace

PoolDriver::PoolDriver(PoolServices services, PoolSite site)
    : services_(std::move(services)), site_(std::move(site)), tasks_(*this) {}

bool PoolDriver::ours(const core::Node& node) const {
  const core::Pool* pool = services_.engine.state().pool(node.pool);
  return pool != nullptr && pool->spec.provider == site_.provider;
}

void PoolDriver::start() {
  tasks_.add(reconcile().then([this] {
    reconciled_ = true;
    adjust();
    return follow_changes();
  }));
}

kj::Promise<void> PoolDriver::reconcile() {
  return services_.provider.list().then(
      [this](const Result<std::vector<pools::Instance>>& listing) -> kj::Promise<void> {
        if (listing.ok()) {
          compare(listing.value());
          return kj::READY_NOW;
        }
        // Nobody knows: every node stays what it is.
        services_.log("pool " + site_.provider + ": " + listing.refusal().message);
        return services_.timer.afterDelay(kAskAgain).then([this] { return reconcile(); });
      },
      [this](kj::Exception&& exception) -> kj::Promise<void> {
        services_.log("pool " + site_.provider + ": " + exception.getDescription().cStr());
        return services_.timer.afterDelay(kAskAgain).then([this] { return reconcile(); });
      });
}

void PoolDriver::compare(const std::vector<pools::Instance>& instances) {
  const core::State& state = services_.engine.state();
  std::map<NodeRef, pools::InstanceState> there;
  for (const pools::Instance& instance : instances) there[instance.node] = instance.state;
  for (const auto& [id, node] : state.nodes()) {
    if (!ours(node)) continue;
    const auto at = there.find(node.ref);
    if (at == there.end()) {
      gone(node.ref, waits_for_join(node) ? "it was never made: the head was restarted before"
                                          : "its provider does not have it any more");
    } else if (at->second == pools::InstanceState::kGone) {
      gone(node.ref, "agent and warden processes ended while the head was away");
    } else if (waits_for_join(node)) {
      expect_join(node.ref);
    }
  }
  for (const pools::Instance& instance : instances)
    if (state.node(instance.node) == nullptr)
      tasks_.add(services_.provider.destroy(instance.node).ignoreResult());
}

kj::Promise<void> PoolDriver::follow_changes() {
  return services_.provider.changes()
      .then(
          [this](std::vector<pools::InstanceChange> changes) -> kj::Promise<void> {
            for (pools::InstanceChange& change : changes) {
              services_.log(text_of(change.instance.node) + ": " + change.proof);
              if (change.instance.state == pools::InstanceState::kGone)
                gone(change.instance.node, std::move(change.proof));
            }
            return kj::READY_NOW;
          },
          [this](kj::Exception&& exception) -> kj::Promise<void> {
            services_.log("pool " + site_.provider + ": " + exception.getDescription().cStr());
            return services_.timer.afterDelay(kAskAgain);
          })
      .then([this] { return follow_changes(); });
}

void PoolDriver::adjust() {
  if (!reconciled_ || stopping_) return;
  for (const auto& [id, pool] : services_.engine.state().pools())
    if (pool.state == core::PoolState::kOpen && pool.spec.provider == site_.provider) fill(pool);
}

void PoolDriver::fill(const core::Pool& pool) {
  const auto& nodes = services_.engine.state().nodes();
  const auto have = static_cast<std::uint64_t>(
      std::count_if(nodes.begin(), nodes.end(),
                    [&pool](const auto& entry) { return entry.second.pool == pool.id; }));
  Filling& filling = filling_[pool.id];
  if (have + filling.requests >= pool.spec.nodes) return;
  if (services_.timer.now() < filling.not_before) {
    if (std::exchange(filling.timer_set, true)) return;
    tasks_.add(services_.timer.atTime(filling.not_before).then([this, id = pool.id] {
      filling_[id].timer_set = false;
      adjust();
    }));
    return;
  }
  std::uint64_t missing = pool.spec.nodes - have - filling.requests;
  for (; missing > 0 && filling.requests < kRequestsAtOnce; --missing) request(pool.id);
}

void PoolDriver::request(PoolId pool) {
  const transport::Secret secret = services_.new_secret();
  const core::Hash hash = hash_of(secret);
  secrets_[hash] = secret;
  ++filling_[pool].requests;
  const Time expires = services_.clock() + Duration(kTokenLife);
  tasks_.add(services_.engine.post(core::RequestNode{pool, hash, expires})
                 .then([this, pool, hash](const Result<core::Answer>& answer) {
                   --filling_[pool].requests;
                   if (answer.ok()) {
                     adjust();
                     return;
                   }
                   secrets_.erase(hash);
                   services_.log("pool: no node requested: " + answer.refusal().message);
                   note_failure(pool);
                   adjust();
                 }));
}

void PoolDriver::carry_out(const core::Effect& effect) {
  if (const auto* create_node = std::get_if<core::CreateNode>(&effect)) {
    create(*create_node);
  } else if (const auto* delete_node = std::get_if<core::DeleteNode>(&effect)) {
    proving_.erase(delete_node->node);
    // Repeated by compare() at the next start, should it fail now.
    tasks_.add(services_.provider.destroy(delete_node->node).then([this](const Result<Done>&) {
      adjust();
    }));
  }
}

void PoolDriver::create(const core::CreateNode& effect) {
  const core::Node* node = services_.engine.state().node(effect.node);
  const core::Pool* pool = services_.engine.state().pool(effect.pool);
  if (node == nullptr || pool == nullptr || pool->spec.provider != site_.provider) return;
  const auto secret = secrets_.find(node->token_hash);
  if (secret == secrets_.end()) return;  // of an earlier life of the head: see compare()
  transport::JoinToken token{
      .secret = secret->second,
      .authority_der = site_.authority_der,
      .cluster_id = site_.cluster_id,
      .node = effect.node,
      .enrol_address = site_.enrol_address,
      .expires_wall_s = services_.wall_clock() +
                        std::chrono::duration_cast<std::chrono::seconds>(kTokenLife).count()};
  secrets_.erase(secret);
  pools::NodeOrder order;
  order.node = effect.node;
  order.pool = pool->spec.name;
  if (pool->spec.shape) {
    order.millicores = pool->spec.shape->millicores;
    order.memory_bytes = pool->spec.shape->memory_bytes;
  }
  order.cluster_id = site_.cluster_id;
  order.agent_address = site_.agent_address;
  order.enrol_address = site_.enrol_address;
  order.token = transport::encode_token(token);
  order.mock = site_.mock;
  tasks_.add(services_.provider.create(std::move(order))
                 .then(
                     [this, ref = effect.node](const Result<Done>& made) {
                       if (made.ok()) {
                         expect_join(ref);
                       } else {
                         remove(ref, "it could not be made: " + made.refusal().message);
                       }
                     },
                     [this, ref = effect.node](kj::Exception&& exception) {
                       remove(ref, std::string("it could not be made: ") +
                                       exception.getDescription().cStr());
                     }));
}

void PoolDriver::expect_join(NodeRef ref) {
  tasks_.add(services_.timer.afterDelay(kJoinDeadline).then([this, ref] {
    const core::Node* node = services_.engine.state().node(ref);
    if (node != nullptr && waits_for_join(*node)) remove(ref, "it did not join within a minute");
  }));
}

void PoolDriver::remove(NodeRef node, const std::string& proof) {
  services_.log(text_of(node) + " is removed: " + proof);
  const auto again = [this, node, proof] {
    return services_.timer.afterDelay(kAskAgain).then([this, node, proof] { remove(node, proof); });
  };
  tasks_.add(services_.provider.destroy(node).then(
      [this, node, proof, again](const Result<Done>& ended) -> kj::Promise<void> {
        if (!ended.ok()) return again();
        gone(node, proof);
        return kj::READY_NOW;
      },
      [again](kj::Exception&&) { return again(); }));
}

void PoolDriver::gone(NodeRef ref, std::string proof) {
  const core::Node* node = services_.engine.state().node(ref);
  if (node == nullptr || !proving_.insert(ref).second) return;
  if (waits_for_join(*node) || services_.clock() - node->since < kShortLife) {
    note_failure(node->pool);
  } else {
    filling_[node->pool].failures = 0;
  }
  // The effect of the fact, DeleteNode, goes on from here.
  tasks_.add(services_.engine.post(core::ProveGone{ref, std::move(proof)}).ignoreResult());
}

void PoolDriver::note_failure(PoolId pool) {
  Filling& filling = filling_[pool];
  ++filling.failures;
  if (filling.failures < 2) return;
  kj::Duration pause = kPauseFirst;
  for (std::uint32_t n = 2; n < filling.failures && pause < kPauseLongest; ++n) pause *= 2;
  filling.not_before = services_.timer.now() + std::min(pause, kPauseLongest);
}

kj::Promise<void> PoolDriver::stop() {
  stopping_ = true;
  kj::Vector<kj::Promise<void>> ends;
  for (const auto& [id, node] : services_.engine.state().nodes()) {
    if (!ours(node)) continue;
    ends.add(services_.provider.destroy(node.ref).then(
        [this, ref = node.ref](const Result<Done>& ended) -> kj::Promise<void> {
          if (!ended.ok()) return kj::READY_NOW;
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
