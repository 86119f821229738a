#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "tests/scheduler/core/world.h"

namespace leat::core {
namespace {

using Reasons = std::set<std::string>;

// What the oracle can imagine away:
//   pool       a pool is made in which the task finds room
//   nodes      a pool where nothing is up gets a node with room
//   labels     a pool whose nodes all lack labels gets one that has them, and room
//   resources  a pool whose labelled nodes are all too small gets a larger one
//   busy       everything that runs is over
//   priority   nobody is ahead in the queue
constexpr const char* kRemovable[] = {"pool", "nodes", "labels", "resources", "busy", "priority"};

bool may_use(const Job& job, const Pool& pool) {
  const std::vector<std::string>& named = job.spec->pools;
  return named.empty() || std::find(named.begin(), named.end(), pool.spec.name) != named.end();
}

bool is_up_in(const Node& node, const Pool& pool) {
  return node.pool == pool.id && node.state == NodeState::kUp;
}

bool is_before(const Job& a, StageId a_stage, const Job& b, StageId b_stage) {
  if (a.priority != b.priority) return a.priority > b.priority;
  if (a.id != b.id) return a.id < b.id;
  return a_stage > b_stage;
}

// A node that has what the labels ask for; written out once more, on purpose.
bool is_labelled(const Node& node, const Job& job) {
  for (const Requirement& wanted : job.spec->labels) {
    bool has = false;
    for (const std::string& label : node.report.labels)
      has = has || label == wanted.label || label.rfind(wanted.label + '=', 0) == 0;
    if (has == wanted.negated) return false;
  }
  return true;
}

bool is_able_now(const Node& node, const StageSpec& stage) {
  const std::uint32_t cap = node.tasks_max;
  std::uint32_t running = 0;
  for (const auto& [ref, allotment] : node.allotments) running += allotment.claims;
  if (cap > 0 && running >= cap) return false;
  return stage.exclusive ? node.allotments.empty() : node.free.holds(stage.resources);
}

bool has_room(const State& state, const Pool& pool, const Job& job, const StageSpec& stage,
              const Reasons& away) {
  const Resources& need = stage.resources;
  bool any_up = false;
  bool any_labelled = false;
  bool any_large = false;
  for (const auto& [id, node] : state.nodes()) {
    if (!is_up_in(node, pool)) continue;
    any_up = true;
    if (!is_labelled(node, job)) continue;
    any_labelled = true;
    if (!node.report.capacity.holds(need)) continue;
    any_large = true;
    if (is_able_now(node, stage) || away.contains("busy")) return true;
  }
  return (!any_up && away.contains("nodes")) ||
         (any_up && !any_labelled && away.contains("labels")) ||
         (any_labelled && !any_large && away.contains("resources"));
}

// Whether what becomes free in the pool is given to a task of `other`.
bool takes_first(const State& state, const Pool& pool, const Job& other, const Stage& stage) {
  if (!may_use(other, pool)) return false;
  bool any_up = false;
  for (const auto& [id, node] : state.nodes()) {
    any_up = any_up || is_up_in(node, pool);
    if (is_up_in(node, pool) && is_labelled(node, other) &&
        node.report.capacity.holds(stage.spec->resources))
      return true;
  }
  return !any_up;
}

bool is_first(const State& state, const Pool& pool, const Job& job, StageId own) {
  for (const auto& [id, other] : state.jobs())
    for (std::size_t n = 0; n < other.stages.size(); ++n)
      if (!other.stages[n].waiting.empty() && is_before(other, static_cast<StageId>(n), job, own) &&
          takes_first(state, pool, other, other.stages[n]))
        return false;
  return true;
}

bool could_be_placed(const State& state, const Job& job, StageId stage, const Reasons& away) {
  bool any_pool = false;
  for (const auto& [id, pool] : state.pools()) {
    if (!may_use(job, pool)) continue;
    any_pool = true;
    if (has_room(state, pool, job, *job.stages[stage].spec, away) &&
        (away.contains("priority") || is_first(state, pool, job, stage)))
      return true;
  }
  return !any_pool && away.contains("pool");
}

// Every cause that belongs to a smallest set of causes without which the task could be placed.
Reasons blocking(const State& state, const Job& job, StageId stage) {
  constexpr unsigned kSets = 1u << std::size(kRemovable);
  const auto is_enough = [&](unsigned set) {
    Reasons away;
    for (unsigned n = 0; n < std::size(kRemovable); ++n)
      if ((set >> n & 1) != 0) away.insert(kRemovable[n]);
    return could_be_placed(state, job, stage, away);
  };
  Reasons found;
  for (unsigned set = 0; set < kSets; ++set) {
    bool smallest = is_enough(set);
    for (unsigned part = 0; part < set && smallest; ++part)
      smallest = (part & set) != part || !is_enough(part);
    for (unsigned n = 0; n < std::size(kRemovable) && smallest; ++n)
      if ((set >> n & 1) != 0) found.insert(kRemovable[n]);
  }
  return found;
}

// The causes of a task, or of all tasks of a stage, by looking at each of them.
Reasons oracle(const State& state, const Job& job, StageId id, std::optional<Index> index) {
  Reasons found;
  const Stage& stage = job.stages[id];
  for (std::uint64_t position = 0; position < stage.cells.size(); ++position) {
    if (index && stage.spec->indices.at(position) != *index) continue;
    const TaskCell& cell = stage.cells.at(position);
    if (cell.state == TaskState::kWaiting) found.merge(blocking(state, job, id));
    if (cell.state == TaskState::kBlocked) found.insert("dependency");
    const bool on_node = cell.state == TaskState::kPlaced || cell.state == TaskState::kEnding;
    const Node* node = on_node ? state.node(cell.node) : nullptr;
    if (node != nullptr && node->state == NodeState::kLost) found.insert("node-lost");
  }
  return found;
}

Reasons reasons_of(const std::vector<Cause>& causes) {
  Reasons found;
  for (const Cause& cause : causes) {
    // Three ways of being busy.
    const std::string reason = cause.reason;
    const bool busy = reason == "cap" || reason == "exclusive";
    EXPECT_TRUE(found.insert(busy ? "busy" : reason).second) << reason << " is told twice";
    EXPECT_FALSE(cause.message.empty());
    EXPECT_FALSE(cause.remedy.empty()) << cause.reason;
    EXPECT_GT(cause.tasks, 0u) << cause.reason;
  }
  return found;
}

// A small cluster in which nearly everything may be the matter.
class Muddle {
 public:
  explicit Muddle(std::uint64_t seed) : random_(seed) {
    const std::uint64_t pools = random_.below(3);
    for (std::uint64_t n = 0; n < pools; ++n) {
      // Of static pools only the agents know the labels.
      PoolSpec spec{n == 0 ? "a" : "b", "static", 1, std::nullopt, {}};
      if (random_.chance(20)) spec.tasks_per_node = 1;
      w.must(SetPool{"k-" + spec.name, {}, spec});
    }
    for (std::uint64_t n = random_.below(5); n > 0 && pools > 0; --n) add_node();
    for (std::uint64_t n = 1 + random_.below(4); n > 0; --n) add_job();
    if (random_.chance(80)) w.place();
    for (std::uint64_t n = random_.below(6); n > 0; --n) disturb();
    settled = random_.chance(70);
    if (settled) w.place();
  }

  World w;
  bool settled = false;  // nothing more can be placed

 private:
  void add_node() {
    auto pool = w.state.pools().begin();
    if (w.state.pools().size() > 1 && random_.chance(50)) ++pool;
    Hash token{};
    token[0] = ++nodes_;
    const auto ref = std::get<NodeRef>(w.must(RequestNode{pool->first, token, kNever}));
    if (random_.chance(15)) return;
    w.must(EnrolNode{token});
    if (random_.chance(10)) return;
    NodeReport report;
    report.node = ref;
    report.capacity = {static_cast<std::uint32_t>(1000 * (1 + random_.below(4))),
                       random_.below(3) << 20,
                       static_cast<std::uint32_t>(random_.below(2)),
                       {}};
    if (random_.chance(30)) report.labels.emplace_back("fast");
    if (random_.chance(30)) report.labels.push_back("rack=" + std::to_string(random_.below(2)));
    w.must(JoinNode{report});
  }

  void add_job() {
    JobSpec spec = sweep(1 + random_.below(5), 1 + static_cast<std::uint32_t>(random_.below(5)));
    spec.stages[0].resources.memory_bytes = random_.below(3) << 20;
    if (random_.chance(20)) spec.stages[0].resources.gpus = 1;
    if (random_.chance(20)) spec.stages[0].exclusive = true;
    for (const char* label : {"fast", "!rack", "rack=1"})
      if (random_.chance(10)) spec.labels.push_back(parse_requirement(label).value());
    spec.priority = static_cast<std::int32_t>(random_.below(3));
    if (random_.chance(30)) spec = with_reduce(std::move(spec), 2);
    for (const auto& [id, pool] : w.state.pools())
      if (random_.chance(30)) spec.pools.push_back(pool.spec.name);
    w.submit(std::move(spec));
  }

  // Something happens: a run ends, a node is lost or gone, room is given out.
  void disturb() {
    const std::uint64_t what = random_.below(10);
    if (what < 5) return end_some();
    if (what < 6) return static_cast<void>(w.place());
    for (const auto& [id, node] : w.state.nodes()) {
      if (node.state != NodeState::kUp || random_.chance(50)) continue;
      if (what < 9) {
        w.must(LoseNode{node.ref});
      } else {
        w.must(ProveGone{node.ref, "test"});
      }
      return;
    }
  }

  void end_some() {
    for (const StartRuns& start : w.starts()) {
      const Node* node = w.state.node(start.node);
      if (node == nullptr || node->state != NodeState::kUp) continue;
      RunRow row;
      row.code = random_.chance(20) ? 1 : 0;
      row.duration_us = 2'000'000;
      w.end(start.node, start.runs, row);
    }
  }

  Random random_;
  std::uint8_t nodes_ = 0;
};

TEST(Why, NamesJustTheCausesThatBruteForceFinds) {
  std::set<Reasons> seen;
  for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
    const Muddle muddle(seed);
    const State& state = muddle.w.state;
    for (const auto& [id, job] : state.jobs()) {
      for (StageId n = 0; n < job.stages.size(); ++n) {
        const Reasons told = reasons_of(why(state, {id, n}, std::nullopt, muddle.w.now));
        ASSERT_EQ(told, oracle(state, job, n, std::nullopt))
            << "seed " << seed << ", job " << id.value << ", stage " << n;
        seen.insert(told);
        for (const Index index : {Index{0}, job.stages[n].spec->indices.size() - 1})
          ASSERT_EQ(reasons_of(why(state, {id, n}, index, muddle.w.now)),
                    oracle(state, job, n, index))
              << "seed " << seed << ", task " << id.value << '.' << n << '.' << index;
      }
    }
  }
  // All causes came up, and several at once.
  Reasons all;
  for (const Reasons& reasons : seen) all.insert(reasons.begin(), reasons.end());
  EXPECT_EQ(all, (Reasons{"busy", "dependency", "labels", "node-lost", "nodes", "pool", "priority",
                          "resources"}));
  EXPECT_GT(seen.size(), 15u);
}

TEST(Why, FindsACauseForWhateverThePlacerLeavesWaiting) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const Muddle muddle(seed);
    if (!muddle.settled) continue;
    for (const auto& [id, job] : muddle.w.state.jobs()) {
      for (StageId n = 0; n < job.stages.size(); ++n) {
        if (job.stages[n].waiting.empty()) continue;
        ASSERT_FALSE(why(muddle.w.state, {id, n}, std::nullopt, muddle.w.now).empty())
            << "seed " << seed << ", job " << id.value << ", stage " << n;
      }
    }
  }
}

}  // namespace
}  // namespace leat::core
