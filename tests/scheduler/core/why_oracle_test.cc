#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/scheduler/core/muddle.h"

namespace leat::core {
namespace {

using Reasons = std::set<std::string>;
// How many tasks have each reason.
using Told = std::map<std::string, std::uint64_t>;

// What the oracle can imagine away:
//   held       nobody holds the job
//   pool       a pool is made in which the task finds room
//   nodes      a pool where nothing takes work gets a node with room
//   labels     a pool whose nodes all lack labels gets one that has them, and room
//   resources  a pool whose labelled nodes are all too small gets a larger one
//   versions   a pool whose nodes differ in what a gang's must have in common gets ones that do not
//   busy       everything that runs is over
//   priority   nobody is ahead in the queue
constexpr const char* kRemovable[] = {"held",      "pool",     "nodes", "labels",
                                      "resources", "versions", "busy",  "priority"};

bool may_use(const Job& job, const Pool& pool) {
  const std::vector<std::string>& named = job.spec->pools;
  return named.empty() || std::find(named.begin(), named.end(), pool.spec.name) != named.end();
}

bool is_held(const Job& job) {
  return job.state == JobState::kHeld;
}

// There, and closed by nobody.
bool works_in(const Node& node, const Pool& pool) {
  return node.pool == pool.id && node.state == NodeState::kUp && node.duty == NodeDuty::kServing;
}

bool is_before(const Job& a, StageId a_stage, const Job& b, StageId b_stage) {
  if (a.priority != b.priority) return a.priority > b.priority;
  if (a.id != b.id) return a.id < b.id;
  return a_stage > b_stage;
}

// All that nodes have in common here, if anything, is a rack.
std::optional<std::string> rack_of(const Node& node) {
  for (const std::string& label : node.report.labels)
    if (label.rfind("rack=", 0) == 0) return label.substr(5);
  return std::nullopt;
}

// The most nodes of one rack, if racks count for the stage; else all.
template <typename Counts>
unsigned most_alike(const std::vector<const Node*>& nodes, const StageSpec& stage, Counts counts) {
  std::map<std::string, unsigned> racks;
  unsigned most = 0;
  for (const Node* node : nodes) {
    if (!counts(*node)) continue;
    most = std::max(most, ++racks[stage.in_common.empty() ? "" : *rack_of(*node)]);
  }
  return most;
}

// A node that has what the labels ask for; written out once more, on purpose.
bool is_labelled(const Node& node, const Job& job, const StageSpec& stage) {
  if (!stage.in_common.empty() && !rack_of(node)) return false;
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
  // So many are wanted at once; of a gang all in one pool.
  const unsigned wanted = stage.nodes;
  unsigned up = 0;
  unsigned labelled = 0;
  std::vector<const Node*> large;
  for (const auto& [id, node] : state.nodes()) {
    if (!works_in(node, pool)) continue;
    ++up;
    if (!is_labelled(node, job, stage)) continue;
    ++labelled;
    if (node.report.capacity.holds(need)) large.push_back(&node);
  }
  const unsigned alike = most_alike(large, stage, [](const Node&) { return true; });
  const unsigned able = most_alike(large, stage, [&](const Node& node) {
    return is_able_now(node, stage) || away.contains("busy");
  });
  return able >= wanted || (up < wanted && away.contains("nodes")) ||
         (up >= wanted && labelled < wanted && away.contains("labels")) ||
         (labelled >= wanted && large.size() < wanted && away.contains("resources")) ||
         (large.size() >= wanted && alike < wanted && away.contains("versions"));
}

// Whether what becomes free in the pool is given to a task of `other`.
bool takes_first(const State& state, const Pool& pool, const Job& other, const Stage& stage) {
  if (is_held(other) || !may_use(other, pool)) return false;
  bool any_up = false;
  std::vector<const Node*> fitting;
  for (const auto& [id, node] : state.nodes()) {
    any_up = any_up || works_in(node, pool);
    if (works_in(node, pool) && is_labelled(node, other, *stage.spec) &&
        node.report.capacity.holds(stage.spec->resources))
      fitting.push_back(&node);
  }
  return !any_up ||
         most_alike(fitting, *stage.spec, [](const Node&) { return true; }) >= stage.spec->nodes;
}

bool has_waiting(const Stage& stage) {
  for (std::uint64_t position = 0; position < stage.cells.size(); ++position)
    if (stage.cells.at(position).state == TaskState::kWaiting) return true;
  return false;
}

bool is_first(const State& state, const Pool& pool, const Job& job, StageId own) {
  for (const auto& [id, other] : state.jobs())
    for (std::size_t n = 0; n < other.stages.size(); ++n)
      if (is_before(other, static_cast<StageId>(n), job, own) && has_waiting(other.stages[n]) &&
          takes_first(state, pool, other, other.stages[n]))
        return false;
  return true;
}

bool could_be_placed(const State& state, const Job& job, StageId stage, const Reasons& away) {
  if (is_held(job) && !away.contains("held")) return false;
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
  std::vector<bool> is_enough;
  for (unsigned set = 0; set < kSets; ++set) {
    Reasons away;
    for (unsigned n = 0; n < std::size(kRemovable); ++n)
      if ((set >> n & 1) != 0) away.insert(kRemovable[n]);
    is_enough.push_back(could_be_placed(state, job, stage, away));
  }
  Reasons found;
  for (unsigned set = 0; set < kSets; ++set) {
    bool smallest = is_enough[set];
    for (unsigned part = 0; part < set && smallest; ++part)
      smallest = (part & set) != part || !is_enough[part];
    for (unsigned n = 0; n < std::size(kRemovable) && smallest; ++n)
      if ((set >> n & 1) != 0) found.insert(kRemovable[n]);
  }
  return found;
}

bool is_over(TaskState state) {
  return state >= TaskState::kHeld && state <= TaskState::kSkipped;
}

std::string after_text(JobId job) {
  return "after " + std::to_string(job.value);
}

// Jobs and stages that the task at `position` still comes after: what counts of them has not
// ended.
Reasons awaited(const State& state, const Job& job, const Stage& stage, std::uint64_t position) {
  Reasons found;
  if (stage.spec->reduces) found.insert("dependency");
  for (std::size_t n = 0; n < stage.after.size(); ++n) {
    const After& after = stage.spec->after[n];
    if (!after.job) {
      const Stage& target = job.stages[after.stage];
      bool open = false;
      for (std::uint64_t p = 0; p < target.cells.size(); ++p)
        if (!after.element_wise || p == position) open = open || !is_over(target.cells.at(p).state);
      // What has become of all of it stays so, though an output may be lost and made again.
      if (open && stage.after[n].state == AfterState::kOpen)
        found.insert("after stage " + std::to_string(after.stage));
      continue;
    }
    const Job* other = state.job(after.job);
    if (other == nullptr || other->stages.empty()) continue;  // it is over
    const TaskState theirs = other->stages[0].cells.at(after.element_wise ? position : 0).state;
    if (!after.element_wise || !is_over(theirs)) found.insert(after_text(after.job));
  }
  return found;
}

bool is_out_of_reach(const Node& node) {
  return node.state == NodeState::kLost || node.state == NodeState::kDeleting;
}

// The task, or what still lives of it if it is a gang.
bool is_anywhere_out_of_reach(const State& state, StageRef ref, std::uint64_t position) {
  for (const auto& [id, node] : state.nodes()) {
    const auto at = node.allotments.find(ref);
    if (at != node.allotments.end() && at->second.runs.contains(position) && is_out_of_reach(node))
      return true;
  }
  return false;
}

// The causes of one task.
Reasons causes_of(const State& state, const Job& job, StageId id, std::uint64_t position) {
  const Stage& stage = job.stages[id];
  const TaskCell& cell = stage.cells.at(position);
  Reasons found;
  switch (cell.state) {
    case TaskState::kWaiting:
      found = blocking(state, job, id);
      break;
    case TaskState::kBlocked:
      found = awaited(state, job, stage, position);
      break;
    case TaskState::kDelayed:
      found.insert("retry");
      break;
    case TaskState::kPlaced:
    case TaskState::kEnding:
      if (is_anywhere_out_of_reach(state, {job.id, id}, position)) found.insert("node-lost");
      return found;
    default:
      return found;
  }
  if (is_held(job)) found.insert("held");
  if (job.spec->stages[0].start_within.count() > 0 && job.started == kNever)
    found.insert("start-within");
  return found;
}

// The causes of a task, or of all tasks of a stage, by looking at each of them.
Told oracle(const State& state, const Job& job, StageId id, std::optional<Index> index) {
  Told found;
  const Stage& stage = job.stages[id];
  std::optional<Reasons> of_waiting;  // all of them wait for the same
  for (std::uint64_t position = 0; position < stage.cells.size(); ++position) {
    if (index && stage.spec->indices.at(position) != *index) continue;
    const bool waits = stage.cells.at(position).state == TaskState::kWaiting;
    const Reasons reasons = waits && of_waiting ? *of_waiting : causes_of(state, job, id, position);
    if (waits) of_waiting = reasons;
    for (const std::string& reason : reasons) ++found[reason];
  }
  return found;
}

Told told_by(const std::vector<Cause>& causes) {
  constexpr std::string_view kLookAt = "wait, or: leat why ";
  Told found;
  for (const Cause& cause : causes) {
    std::string reason = cause.reason;
    // Three ways of being busy.
    if (reason == "cap" || reason == "exclusive") reason = "busy";
    // Which stage it comes after is in the message,
    const std::size_t at = cause.message.find("stage ");
    if (reason == "dependency" && cause.message.starts_with("waits for "))
      reason = "after " + cause.message.substr(at, cause.message.find(':') - at);
    // which job in the advice.
    if (reason == "dependency" && cause.remedy.starts_with(kLookAt))
      reason = "after " + cause.remedy.substr(kLookAt.size());
    EXPECT_TRUE(found.emplace(reason, cause.tasks).second) << reason << " is told twice";
    EXPECT_FALSE(cause.message.empty());
    EXPECT_FALSE(cause.remedy.empty()) << cause.reason;
    EXPECT_GT(cause.tasks, 0u) << cause.reason;
  }
  return found;
}

// Without the numbers of jobs and tasks.
Reasons reasons_of(const Told& told) {
  Reasons reasons;
  for (const auto& [reason, tasks] : told)
    reasons.insert(reason.starts_with("after ") ? "after" : reason);
  return reasons;
}

TEST(Why, NamesJustTheCausesThatBruteForceFinds) {
  std::set<Reasons> seen;
  for (std::uint64_t seed = 1; seed <= 3'000; ++seed) {
    const Muddle muddle(seed);
    const State& state = muddle.w.state;
    for (const auto& [id, job] : state.jobs()) {
      for (StageId n = 0; n < job.stages.size(); ++n) {
        const Told told = told_by(why(state, {id, n}, std::nullopt, muddle.w.now));
        ASSERT_EQ(told, oracle(state, job, n, std::nullopt))
            << "seed " << seed << ", job " << id.value << ", stage " << n;
        seen.insert(reasons_of(told));
        const IndexList& indices = job.stages[n].spec->indices;
        for (const Index index : {indices.at(0), indices.at(indices.size() - 1)})
          ASSERT_EQ(told_by(why(state, {id, n}, index, muddle.w.now)), oracle(state, job, n, index))
              << "seed " << seed << ", task " << id.value << '.' << n << '.' << index;
      }
    }
  }
  // All causes came up, and several at once.
  Reasons all;
  for (const Reasons& reasons : seen) all.insert(reasons.begin(), reasons.end());
  EXPECT_EQ(all, (Reasons{"after", "busy", "dependency", "held", "labels", "node-lost", "nodes",
                          "pool", "priority", "resources", "retry", "start-within", "versions"}));
  EXPECT_GT(seen.size(), 60u);
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
