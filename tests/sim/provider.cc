#include "tests/sim/provider.h"

#include <kj/debug.h>

#include "tests/sim/world.h"

namespace leat::sim {

bool Provider::chance(std::uint64_t percent) const {
  return world_.chaos() && world_.random().chance(static_cast<unsigned>(percent));
}

Duration Provider::delay() {
  const std::uint64_t longest = chance(10) ? 8'000'000 : 800'000;
  return Duration(10'000 + static_cast<std::int64_t>(world_.random().below(longest)));
}

// Acts after a while; then the answer comes, or is lost, or never comes.
template <typename T>
kj::Promise<Result<T>> Provider::later(std::function<Result<T>()> act) {
  auto paf = kj::newPromiseAndFulfiller<Result<T>>();
  using Fulfiller = kj::Own<kj::PromiseFulfiller<Result<T>>>;
  auto done = std::make_shared<Fulfiller>(kj::mv(paf.fulfiller));
  const bool lost = chance(8);
  const bool hangs = lost && world_.random().chance(25);
  if (hangs) unanswered_.push_back(done);
  world_.events().after(delay(), [this, act, done, lost, hangs] {
    Result<T> result = act();
    if (hangs) return;
    world_.events().after(Duration(1'000), [done, lost, result = std::move(result)]() mutable {
      if (lost) {
        (*done)->reject(KJ_EXCEPTION(DISCONNECTED, "the answer was lost"));
      } else {
        (*done)->fulfill(std::move(result));
      }
    });
  });
  return kj::mv(paf.promise);
}

kj::Promise<Result<Done>> Provider::create(pools::NodeOrder order) {
  const NodeRef ref = order.node;
  const core::Node* node = world_.head()->state().node(ref);
  if (node == nullptr) {
    world_.evidence().complain("a node was ordered of which no fact speaks");
    return Result<Done>(invalid("no such node"));
  }
  const core::Hash token = node->token_hash;
  if (broken_ || chance(8)) return Result<Done>(invalid("no machine to be had"));
  if (chance(5)) return KJ_EXCEPTION(DISCONNECTED, "the order was lost");
  // The line stutters.
  if (chance(10)) world_.events().after(delay(), [this, ref, token] { (void)make(ref, token); });
  return later<Done>([this, ref, token] { return make(ref, token); });
}

Result<Done> Provider::make(NodeRef ref, const core::Hash& token) {
  if (destroyed_.contains(ref)) return Refusal{Reason::kConflict, "a node lives once"};
  if (!machines_.insert(ref).second) return Done{};
  ++made_;
  made_at_[ref] = world_.now();
  world_.machine_made(ref);
  // Some machines never start their agent: only the deadline for joining ends them.
  if (!chance(8)) enrol(ref, token);
  return Done{};
}

void Provider::enrol(NodeRef ref, const core::Hash& token) {
  world_.events().after(delay(), [this, ref, token] {
    if (!machines_.contains(ref)) return;
    Head* head = world_.head();
    if (head == nullptr || !head->ready()) return enrol(ref, token);
    const std::uint64_t life = world_.head_life();
    head->ask(core::EnrolNode{token}, [this, ref](const Result<core::Answer>& answer) {
      if (Node* node = world_.node(ref)) answer.ok() ? node->boot() : died(ref);
    });
    // An answer that is lost with its head is asked for again, and then refused: used already.
    world_.events().after(Duration(5'000'000), [this, ref, token, life] {
      const Node* node = world_.node(ref);
      if (life != world_.head_life() && node != nullptr && !node->agent_alive()) enrol(ref, token);
    });
  });
}

kj::Promise<Result<Done>> Provider::destroy(NodeRef ref) {
  world_.about_to_destroy(ref);
  if (chance(8)) return Result<Done>(invalid("not now"));
  if (chance(5)) return KJ_EXCEPTION(DISCONNECTED, "the order was lost");
  return later<Done>([this, ref] { return end(ref); });
}

Result<Done> Provider::end(NodeRef ref) {
  destroyed_.insert(ref);
  machines_.erase(ref);
  if (Node* node = world_.node(ref)) node->die();
  return Done{};
}

kj::Promise<Result<std::vector<pools::Instance>>> Provider::list() {
  using Listing = std::vector<pools::Instance>;
  if (chance(15)) return Result<Listing>(invalid("nobody knows"));
  return later<Listing>([this]() -> Result<Listing> {
    Listing all;
    for (const NodeRef ref : machines_) {
      // A machine that was made just now may be missing.
      if (world_.now() - made_at_[ref] < Duration(1'500'000) && chance(50)) continue;
      all.push_back({ref, pools::InstanceState::kAlive, 1, 2});
    }
    return all;
  });
}

kj::Promise<std::vector<pools::InstanceChange>> Provider::changes() {
  if (!news_.empty()) return std::exchange(news_, {});
  auto paf = kj::newPromiseAndFulfiller<std::vector<pools::InstanceChange>>();
  listener_ = kj::mv(paf.fulfiller);
  return kj::mv(paf.promise);
}

void Provider::died(NodeRef ref) {
  if (machines_.erase(ref) == 0) return;
  destroyed_.insert(ref);
  // Sometimes only a listing tells.
  if (chance(40)) return;
  world_.events().after(delay(), [this, ref] {
    news_.push_back({{ref, pools::InstanceState::kGone, 1, 2}, "its machine is dead"});
    if (listener_.get() != nullptr && listener_->isWaiting())
      listener_->fulfill(std::exchange(news_, {}));
  });
}

}  // namespace leat::sim
