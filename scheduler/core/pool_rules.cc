#include "scheduler/core/pool_rules.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/check.h"
#include "scheduler/core/demand.h"

namespace leat::core {
namespace {

std::string seconds_text(Duration span) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(span).count()) + " s";
}

bool is_leaving(const Node& node) {
  return node.duty == NodeDuty::kClosing || node.duty == NodeDuty::kLeaving;
}

// May be closed, or be given up while it has not come.
bool can_part(const Node& node) {
  return !is_leaving(node) && node.state != NodeState::kDeleting;
}

// The rules, for one turn. No node is dealt with twice: facts are applied only after all of them
// are decided.
class Keeper {
 public:
  Keeper(const State& state, Time now, Facts& out) : state_(state), now_(now), out_(out) {
    for (const auto& [id, node] : state_.nodes()) by_pool_[node.pool].push_back(&node);
  }

  void keep(const Pool& pool, const PoolPlan& plan) {
    nodes_ = &by_pool_[pool.id];
    taken_.clear();
    delete_late(pool);
    delete_empty();
    recall();
    if (pool.state == PoolState::kDeleting) return end(pool);
    const Job* job = pool.spec.for_job ? state_.job(pool.spec.for_job) : nullptr;
    if (pool.spec.for_job && (job == nullptr || !job->active())) {
      out_.emplace_back(PoolDeleting{pool.id, "its job has ended", kNever, {}, {}});
      return;
    }
    if (pool.state == PoolState::kOpen && pool.failures >= kJoinFailuresMax)
      out_.emplace_back(PoolPaused{pool.id,
                                   std::to_string(pool.failures) +
                                       " nodes in a row have failed, the last one: " + pool.trouble,
                                   now_ + kProbeFirst,
                                   {},
                                   {}});
    reopen(pool, plan);
    close_surplus(pool, plan);
    close_idle(pool, plan);
  }

 private:
  bool take(const Node& node) { return taken_.insert(node.ref.id).second; }

  void delete_late(const Pool& pool) {
    NodesDeleting late;
    late.cause =
        pool.spec.provider == kStaticProvider ? DeleteCause::kUnwanted : DeleteCause::kNoJoin;
    for (const Node* node : *nodes_) {
      if (!node->coming() || now_ < node->token_expires || late.nodes.size() == kNodesPerFact)
        continue;
      if (take(*node)) late.nodes.push_back(node->ref);
    }
    if (late.nodes.empty()) return;
    late.reason = pool.spec.provider == kStaticProvider
                      ? "its join token expired unused"
                      : "it did not join within " + seconds_text(pool.spec.join_deadline);
    out_.emplace_back(std::move(late));
  }

  void delete_empty() {
    // By reason, which goes into the fact.
    std::map<std::string, NodesDeleting> empty;
    for (const Node* node : *nodes_) {
      const bool there = node->state == NodeState::kUp || node->state == NodeState::kLost;
      if (!there || !is_leaving(*node) || !(node_is_empty(*node) || outputs_given_up(*node)))
        continue;
      NodesDeleting& fact = empty[node->reason];
      if (fact.nodes.size() < kNodesPerFact && take(*node)) fact.nodes.push_back(node->ref);
    }
    for (auto& [reason, fact] : empty) {
      fact.cause = DeleteCause::kEmpty;
      fact.reason = reason;
      out_.emplace_back(std::move(fact));
    }
  }

  // A reduce that may not go on, of a held job, would keep a node for ever that a person wants
  // gone.
  bool outputs_given_up(const Node& node) const {
    return node.allotments.empty() && node.recall_at != kNever &&
           now_ - node.recall_at >= kOutputsPatience;
  }

  void recall() {
    for (const Node* node : *nodes_) {
      if (out_.size() >= kNodesPerFact) return;
      const bool due = node->duty != NodeDuty::kServing && node->state == NodeState::kUp &&
                       !node->allotments.empty() && now_ >= node->recall_at;
      if (due && take(*node)) out_.emplace_back(RunsRecalled{node->ref});
    }
  }

  // Of a pool that is being deleted.
  void end(const Pool& pool) {
    if (nodes_->empty()) {
      out_.emplace_back(PoolRemoved{pool.id});
      return;
    }
    std::vector<const Node*> left;
    for (const Node* node : *nodes_) {
      if (left.size() == kNodesPerFact) break;
      const bool stays = node->duty != NodeDuty::kLeaving && node->state != NodeState::kDeleting;
      if (stays && take(*node)) left.push_back(node);
    }
    part_with(left,
              {DutyStep::kLeave, "its pool is deleted: " + pool.trouble, pool.recall_at, {}, {}},
              out_);
  }

  void reopen(const Pool& pool, const PoolPlan& plan) {
    if (plan.reopen == 0) return;
    DutyChanged again;
    again.step = DutyStep::kReopen;
    again.reason = "work has come for it";
    for (const Node* node : *nodes_) {
      if (again.nodes.size() == plan.reopen) break;
      if (may_reopen(pool, *node) && take(*node)) again.nodes.push_back(node->ref);
    }
    if (!again.nodes.empty()) out_.emplace_back(std::move(again));
  }

  // More nodes than the maximum, which was lowered.
  void close_surplus(const Pool& pool, const PoolPlan& plan) {
    const std::uint32_t staying = plan.have - plan.closing - plan.leaving - plan.deleting;
    if (staying <= pool.spec.nodes.max) return;
    const std::size_t count = std::min<std::size_t>(staying - pool.spec.nodes.max, kNodesPerFact);
    std::vector<const Node*> surplus = choose_surplus(state_, pool.id, count);
    std::erase_if(surplus, [this](const Node* node) { return !take(*node); });
    part_with(surplus, {DutyStep::kClose, "the pool has too many nodes", kNever, {}, {}}, out_);
  }

  void close_idle(const Pool& pool, const PoolPlan& plan) {
    const std::uint32_t useful = plan.serving + plan.coming;
    const std::uint32_t least = least_of(pool.spec, plan);
    const bool fixed = pool.spec.nodes.fixed() && !plan.asleep;
    if (fixed || plan.needed > 0 || plan.awaited || useful <= least) return;
    std::vector<const Node*> idle;
    for (const Node* node : *nodes_) {
      // An output that may yet be read is work.
      const bool rests = node->serves() && node->idle_since != kNever && node_is_empty(*node);
      if (rests && now_ - node->idle_since >= pool.spec.idle_timeout) idle.push_back(node);
    }
    // The newest first: nodes_ is in the order of their making.
    std::reverse(idle.begin(), idle.end());
    idle.resize(std::min<std::size_t>({idle.size(), useful - least, kNodesPerFact}));
    std::erase_if(idle, [this](const Node* node) { return !take(*node); });
    part_with(
        idle,
        {DutyStep::kClose, "idle for " + seconds_text(pool.spec.idle_timeout), kNever, {}, {}},
        out_);
  }

  const State& state_;
  Time now_;
  Facts& out_;
  std::map<PoolId, std::vector<const Node*>> by_pool_;
  const std::vector<const Node*>* nodes_ = nullptr;  // of the pool at hand
  std::set<NodeId> taken_;
};

}  // namespace

NodeUse use_of(const Node& node, Time at) {
  NodeUse use{node.used_millicore_us, node.busy_us};
  if (node.allotments.empty() || at <= node.counted) return use;
  const auto span = static_cast<std::uint64_t>((at - node.counted).count());
  use.busy_us += span;
  use.used_millicore_us += span * (node.report.capacity.millicores - node.free.millicores);
  return use;
}

bool node_is_empty(const Node& node) {
  return node.allotments.empty() && node.held == 0;
}

bool may_reopen(const Pool& pool, const Node& node) {
  if (node.duty != NodeDuty::kClosing || node.state != NodeState::kUp) return false;
  // Nodes that are started by hand are not alike, and no others are made.
  if (!pool.seen || pool.spec.provider == kStaticProvider) return true;
  return label_value(node.report.labels, kMpiLabel) == label_value(pool.seen_labels, kMpiLabel);
}

bool has_settled(const State& state, const Pool& pool, Time at) {
  if (pool.failed_at == kNever) return false;
  return std::any_of(state.nodes().begin(), state.nodes().end(), [&](const auto& entry) {
    const Node& node = entry.second;
    return node.pool == pool.id && node.state == NodeState::kUp && node.joined != kNever &&
           node.joined >= pool.failed_at && at - node.joined >= kShortLife;
  });
}

const char* shown_state(const Node& node) {
  if (node.state != NodeState::kUp || node.duty == NodeDuty::kServing) return name_of(node.state);
  if (node.duty == NodeDuty::kDraining && node.allotments.empty()) return "drained";
  return name_of(node.duty);
}

std::vector<const Node*> choose_surplus(const State& state, PoolId pool, std::size_t count) {
  std::vector<const Node*> able;
  for (const auto& [id, node] : state.nodes())
    if (node.pool == pool && can_part(node)) able.push_back(&node);
  const auto cost = [](const Node& node) {
    if (node.coming()) return std::uint64_t{0};
    // Drained, it serves nobody.
    if (node_is_empty(node)) return std::uint64_t{node.duty == NodeDuty::kDraining ? 1u : 2u};
    return std::uint64_t{3} + node.claimed;
  };
  std::sort(able.begin(), able.end(), [&cost](const Node* a, const Node* b) {
    const std::uint64_t left = cost(*a);
    const std::uint64_t right = cost(*b);
    return left != right ? left < right : a->ref.id > b->ref.id;
  });
  able.resize(std::min(able.size(), count));
  return able;
}

void part_with(const std::vector<const Node*>& nodes, const Parting& parting, Facts& out) {
  NodesDeleting unwanted{{}, DeleteCause::kUnwanted, parting.reason, parting.actor, parting.key};
  DutyChanged closed{{},         parting.step, parting.reason, parting.recall_at, parting.actor,
                     parting.key};
  for (const Node* node : nodes)
    (node->coming() ? unwanted.nodes : closed.nodes).push_back(node->ref);
  if (!unwanted.nodes.empty()) out.emplace_back(std::move(unwanted));
  if (!closed.nodes.empty()) out.emplace_back(std::move(closed));
}

void keep_pools(const State& state, Time now, Facts& out) {
  if (state.pools().empty()) return;
  Facts kept;
  Keeper keeper(state, now, kept);
  const std::map<PoolId, PoolPlan> plans = plan_pools(state, now);
  for (const auto& [id, pool] : state.pools()) {
    if (kept.size() >= kNodesPerFact) break;
    keeper.keep(pool, plans.at(id));
  }
  std::move(kept.begin(), kept.end(), std::back_inserter(out));
}

}  // namespace leat::core
