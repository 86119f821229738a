// core_drain.cc - the bare core under a virtual clock: many tasks of 1 to 8 cores on many nodes,
// with node losses. Budget (design.md 5): 10^6 tasks on 10^3 nodes in under 3 s; reach 5 s.
//
//   core_drain [TASKS [NODES [LOSSES [SEED]]]]

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "scheduler/core/decide.h"

namespace {

using namespace leat;        // NOLINT(google-build-using-namespace): a program of one file
using namespace leat::core;  // NOLINT(google-build-using-namespace)

constexpr std::uint32_t kCoresPerNode = 64;

// A run's end. Small: the heap moves twenty thousand of them about.
struct Event {
  Time at;
  NodeRef node;
  StageRef stage;
  Attempt attempt = 0;
  Index index = 0;

  friend bool operator>(const Event& a, const Event& b) { return a.at > b.at; }
};

class Cluster {
 public:
  explicit Cluster(std::uint64_t seed) : random_(seed) {
    say(StartHead{0, "bench"});
    say(SetPool{"pool", {}, PoolSpec{"bench", "local", 1, std::nullopt, {}}});
  }

  void add_node() {
    Hash token{};
    for (std::size_t n = 0; n < 4; ++n)
      token[n] = static_cast<std::uint8_t>(state_.meta().next_node >> (8 * n));
    const Answer answer = say(RequestNode{PoolId{1}, token, kNever});
    say(EnrolNode{token});
    NodeReport report;
    report.node = std::get<NodeRef>(answer);
    report.capacity = {kCoresPerNode * 1000, 0, 0};
    say(JoinNode{report});
    alive_.push_back(report.node);
  }

  void submit(std::uint64_t tasks, std::uint32_t cores) {
    JobSpec spec;
    StageSpec stage;
    stage.indices = IndexList(Stride{0, tasks, 1});
    stage.resources.millicores = cores * 1000;
    spec.stages.push_back(stage);
    say(Submit{"job-" + std::to_string(cores), {}, spec});
  }

  void lose_one_node() {
    const std::size_t n = random_.below(alive_.size());
    say(ProveGone{alive_[n], "bench"});
    alive_[n] = alive_.back();
    alive_.pop_back();
    add_node();
  }

  // Until every task has ended. A node is lost each time `losses_apart` of virtual time passes.
  void drain(Duration losses_apart, std::uint64_t losses) {
    Time next_loss = now_ + losses_apart;
    for (place(); !events_.empty(); place()) {
      now_ = events_.top().at;
      // All that ends in one millisecond is one turn, as it is on the engine.
      for (const Time turn_end = now_ + Duration(1000);
           !events_.empty() && events_.top().at <= turn_end; events_.pop()) {
        const Event& event = events_.top();
        const Node* node = state_.node(event.node);
        if (node == nullptr) continue;
        RunSet runs{event.stage, event.attempt, IndexList(Stride{event.index, 1, 1})};
        say(ReportEnded{event.node, node->session, {EndedSet{std::move(runs), columns_, {}}}});
      }
      if (losses > 0 && now_ >= next_loss) {
        lose_one_node();
        --losses;
        next_loss = now_ + losses_apart;
      }
    }
  }

  std::uint64_t facts() const { return facts_; }
  const State& state() const { return state_; }

 private:
  Answer say(const Command& command) {
    Facts facts;
    const Result<Answer> answer = decide(state_, command, now_, facts);
    LEAT_CHECK(answer.ok());
    apply(facts);
    return answer.value();
  }

  void place() {
    Placer placer(now_);
    Facts facts;
    while (placer.next(state_, facts)) apply(facts);
  }

  void apply(Facts& facts) {
    for (const Fact& fact : facts) {
      state_.apply(fact, now_);
      ++facts_;
      const auto* placed = std::get_if<RunsPlaced>(&fact);
      if (placed == nullptr) continue;
      placed->runs.indices.for_each([&](Index index) {
        const Duration length(std::int64_t{1'000'000} +
                              static_cast<std::int64_t>(random_.below(100'000'000)));
        events_.push(
            {now_ + length, placed->node, placed->runs.stage, placed->runs.attempt, index});
      });
    }
    facts.clear();
  }

  State state_;
  Random random_;
  Time now_;
  RunColumns columns_ = [] {
    RunColumns columns;
    columns.duration_us = Column<std::int64_t>(std::int64_t{50'000'000});
    return columns;
  }();
  std::vector<NodeRef> alive_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t facts_ = 0;
};

std::uint64_t argument(int argc, char** argv, int n, std::uint64_t otherwise) {
  return argc > n ? std::strtoull(argv[n], nullptr, 10) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t tasks = argument(argc, argv, 1, 1'000'000);
  const std::uint64_t nodes = argument(argc, argv, 2, 1000);
  const std::uint64_t losses = argument(argc, argv, 3, 198);
  Cluster cluster(argument(argc, argv, 4, 1));
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t n = 0; n < nodes; ++n) cluster.add_node();
  for (std::uint32_t cores = 1; cores <= 8; ++cores)
    cluster.submit(tasks / 8 + (cores <= tasks % 8 ? 1 : 0), cores);
  cluster.drain(Duration(20'000'000), losses);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const auto& [id, job] : cluster.state().jobs())
    LEAT_CHECK(job.state == JobState::kSucceeded);
  std::printf("core_drain: %llu tasks, %llu nodes, %llu losses: %.2f s, %llu facts, %.0f ns/fact\n",
              static_cast<unsigned long long>(tasks), static_cast<unsigned long long>(nodes),
              static_cast<unsigned long long>(losses), seconds,
              static_cast<unsigned long long>(cluster.facts()),
              seconds * 1e9 / static_cast<double>(cluster.facts()));
  return 0;
}
