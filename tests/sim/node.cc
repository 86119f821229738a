#include "tests/sim/node.h"

#include <capnp/serialize.h>

#include "base/check.h"
#include "node-agent/agent_codec.h"
#include "tests/sim/bytes.h"
#include "tests/sim/world.h"

namespace leat::sim {

void Node::boot() {
  booted_ = true;
  start_agent();
}

void Node::die() {
  alive_ = false;
  kill_agent();
  processes_.clear();
  outputs_.clear();
  at_stake_.clear();
  unconfirmed_.clear();
  world_.machine_died(ref_);
}

void Node::start_agent() {
  if (!alive_ || core_ != nullptr) return;
  ++agent_life_;
  core_ = std::make_unique<agent::AgentCore>(agent::kSlotsMax, capacity());
  for (const auto& [stage, spec] : log_stages_) core_->on_recovered_stage(stage, spec);
  for (const auto& [run, ended] : log_ended_)
    core_->on_recovered_end(run, ended.result, ended.stored, world_.now());
  std::vector<agent::AdoptedRun> adopted;
  for (const auto& [run, process] : processes_) adopted.push_back({run, process.launch.slot});
  core_->on_adopted(adopted);
  const std::map<RunId, Exit> waiting = unconfirmed_;
  for (const auto& [run, ended] : waiting) tell_exit(run);
  act();
  connect_later();
}

void Node::kill_agent() {
  core_.reset();
  inputs_.clear();
  connecting_ = false;
  evacuation_ = Evacuation::kNone;
  ++agent_life_;
  if (connection_ != 0) world_.network().cut(connection_);
  connection_ = 0;
}

void Node::isolate(Time until) {
  isolated_until_ = until;
  if (isolated() && connection_ != 0) world_.network().cut(connection_);
}

bool Node::isolated() const {
  return world_.now() < isolated_until_;
}

void Node::connect_later() {
  if (connecting_ || connection_ != 0 || core_ == nullptr) return;
  connecting_ = true;
  const Duration delay(200'000 + static_cast<std::int64_t>(world_.random().below(1'000'000)));
  world_.events().after(delay, [this, life = agent_life_] {
    if (life != agent_life_ || core_ == nullptr) return;
    connecting_ = false;
    if (connection_ != 0) return;
    if (!isolated()) connection_ = world_.network().connect(*this);
    if (connection_ == 0) connect_later();
  });
}

void Node::welcome(std::uint64_t connection, std::uint64_t session, HeadEpoch epoch) {
  if (core_ == nullptr || connection != connection_) return;
  log_epoch_ = epoch;
  if (core_->on_joined(session, epoch) != agent::Verdict::kTaken) {
    world_.network().cut(connection);
    return;
  }
  act();
}

void Node::refused() {
  // Final: this life of the node is not wanted any more.
  die();
}

void Node::hung_up(std::uint64_t connection) {
  if (connection != connection_) return;
  connection_ = 0;
  if (core_ == nullptr) return;
  core_->on_disconnected();
  connect_later();
}

std::vector<RunId> Node::start(const std::string& bytes) {
  std::vector<RunId> begun;
  if (core_ == nullptr) return begun;
  const Message message(bytes);
  auto batch = agent::read_start_batch(message.root<schema::StartBatch>());
  LEAT_CHECK(batch.ok());
  for (const agent::StartSet& set : batch.value().sets) {
    if (set.spec) log_stages_[set.runs.stage] = set.spec;
    if (set.is_result) result_stages_.insert(set.runs.stage);
    std::size_t n = 0;
    set.runs.indices.for_each([&](Index index) {
      if (n < set.inputs.size())
        inputs_[agent::run_id(set.runs.stage, set.runs.attempt, index)] = set.inputs[n];
      ++n;
    });
  }
  core_->on_start(batch.value(), world_.now());
  for (const agent::StartSet& set : batch.value().sets) {
    if (!set.gang || set.gang->nodes.size() < 2) continue;
    const RunId run = agent::run_id(set.runs.stage, set.runs.attempt, set.runs.indices.at(0));
    LEAT_CHECK(set.gang->member == 0 || set.gang->hub.has_value());
    gang_sizes_[run] = set.gang->nodes.size();
    if (set.gang->member == 0 && core_->wants(run)) begun.push_back(run);
  }
  act();
  return begun;
}

void Node::end(HeadEpoch epoch, const std::string& bytes) {
  if (core_ == nullptr) return;
  const Message message(bytes);
  const auto params = message.root<schema::Agent::EndParams>();
  auto orders = agent::read_end_orders(params.getOrders());
  LEAT_CHECK(orders.ok());
  core_->on_end(epoch, orders.value(), world_.now());
  act();
}

void Node::withdraw(HeadEpoch epoch, StageRef stage, std::uint64_t count) {
  if (core_ == nullptr) return;
  core_->on_withdraw(epoch, stage, count, world_.now());
  act();
}

void Node::release(HeadEpoch epoch, std::vector<JobId> jobs) {
  if (core_ == nullptr) return;
  core_->on_release(epoch, jobs);
  act();
}

void Node::acknowledged(std::uint64_t connection, std::uint64_t batch) {
  if (core_ == nullptr || connection != connection_) return;
  const auto ended = core_->on_reported(batch);
  if (ended) {
    for (const agent::Ended& set : ended->ended)
      set.runs.indices.for_each([&](Index index) {
        log_ended_.erase(agent::run_id(set.runs.stage, set.runs.attempt, index));
      });
  }
  act();
}

const Coverage* Node::output(const RunId& run) const {
  const auto at = outputs_.find(run);
  return alive_ && at != outputs_.end() ? &at->second : nullptr;
}

void Node::act() {
  while (core_ != nullptr) {
    const agent::Actions actions = core_->take_actions();
    if (actions.empty()) break;
    for (const agent::EndRun& end : actions.ends) {
      const auto at = processes_.find(end.run);
      if (at == processes_.end()) continue;
      at->second.ordered = true;
      const Duration delay(1000 + static_cast<std::int64_t>(world_.random().below(300'000)));
      world_.events().after(delay, [this, run = end.run] {
        agent::RunResult killed;
        killed.outcome = Outcome::kSignal;
        killed.code = 15;
        exit(run, killed, std::nullopt);
      });
    }
    for (const agent::Launch& launch : actions.launches) this->launch(launch);
    for (const JobId job : actions.forgotten)
      std::erase_if(log_stages_, [job](const auto& entry) { return entry.first.job == job; });
  }
  if (core_ != nullptr) bring_outputs_away();
  report();
}

std::uint32_t Node::mpi() const {
  return world_.alike() ? 0 : ref_.id.value % 2;
}

void Node::launch(const agent::Launch& launch) {
  world_.evidence().launched(ref_, launch.run, launched_.insert(launch.run).second);
  if (world_.gang_watch() != nullptr) world_.gang_watch()->launched(*this, launch);
  processes_[launch.run] = {launch, false, false};
  check_room();
  if (inputs_.contains(launch.run)) {
    const Duration delay(500 + static_cast<std::int64_t>(world_.random().below(20'000)));
    world_.events().after(delay, [this, run = launch.run] {
      if (!processes_.contains(run)) return;
      std::optional<Coverage> input = fetch(run);
      if (input) {
        this->run(run, std::move(input));
      } else {
        agent::RunResult lost;
        lost.outcome = Outcome::kInputLost;
        exit(run, lost, std::nullopt);
      }
    });
    return;
  }
  run(launch.run, std::nullopt);
}

// Also what an expired lease left behind, and is being ended, has its share.
void Node::check_room() const {
  Resources free = capacity();
  bool exclusive = false;
  for (const auto& [run, process] : processes_) {
    const agent::StageSpec& spec = *process.launch.spec;
    exclusive = exclusive || spec.exclusive;
    if (!free.holds(spec.resources)) return world_.evidence().complain("a node is overcommitted");
    free.take(spec.resources);
  }
  if (exclusive && processes_.size() > 1)
    world_.evidence().complain("an exclusive run is not alone");
}

std::optional<Coverage> Node::fetch(const RunId& run) {
  const auto at = inputs_.find(run);
  if (at == inputs_.end()) return std::nullopt;  // the agent died meanwhile
  Coverage sum;
  for (const agent::InputPart& part : at->second) {
    const Node* source = world_.node(part.node);
    if (source == nullptr) return std::nullopt;
    bool whole = true;
    part.runs.indices.for_each([&](Index index) {
      const Coverage* output =
          source->output(agent::run_id(part.runs.stage, part.runs.attempt, index));
      whole = whole && output != nullptr;
      if (output != nullptr) sum.add(*output);
    });
    if (!whole) return std::nullopt;
  }
  return sum;
}

void Node::run(const RunId& run, std::optional<Coverage> input) {
  const Duration length = world_.task_length(run);
  const bool fails = world_.task_fails(run);
  world_.events().after(length, [this, run, input = std::move(input), fails, length] {
    agent::RunResult result;
    result.duration_us = length.count();
    result.code = fails ? 1 : 0;
    std::optional<Coverage> output;
    if (!fails) {
      output = input ? *input : Coverage{1, IntervalSet(run.index, run.index)};
    }
    exit_with_the_others(run, result, std::move(output));
  });
}

// A member of a gang is not over before all of them have begun: launchers wait for each other.
void Node::exit_with_the_others(const RunId& run, agent::RunResult result,
                                std::optional<Coverage> output) {
  const auto gang = gang_sizes_.find(run);
  const bool waits = gang != gang_sizes_.end() && processes_.contains(run) &&
                     world_.evidence().launched_on(run).size() < gang->second;
  if (!waits) return exit(run, std::move(result), std::move(output));
  world_.events().after(Duration(50'000), [this, run, result, output = std::move(output)] {
    exit_with_the_others(run, result, output);
  });
}

void Node::exit(const RunId& run, agent::RunResult result, std::optional<Coverage> output) {
  const auto at = processes_.find(run);
  if (!alive_ || at == processes_.end()) return;
  Exit ended{result, at->second.ordered, std::nullopt};
  processes_.erase(at);
  if (output) {
    world_.evidence().succeeded(ref_, run);
    // What a real node learns from is_result in the set; it survives the agent in its log.
    if (result_stages_.contains({run.job, run.stage})) ended.stored = world_.store(*output);
    outputs_[run] = std::move(*output);
    at_stake_.insert(run);
  }
  unconfirmed_[run] = ended;
  if (core_ != nullptr) {
    tell_exit(run);
    act();
  }
}

void Node::tell_exit(const RunId& run) {
  const Exit ended = unconfirmed_.at(run);
  // The law: into the log, then confirmed to the warden.
  log_ended_[run] = ended;
  unconfirmed_.erase(run);
  core_->on_exit(run, ended.result, ended.ordered, world_.now(), ended.stored);
}

void Node::report() {
  while (core_ != nullptr) {
    const auto batch = core_->next_report(world_.now());
    if (!batch) break;
    world_.network().report(connection_, *this, *batch);
  }
  if (core_ == nullptr) return;
  const Time due = core_->report_due();
  if (due == kNever) return;
  world_.events().at(due < world_.now() + Duration(1000) ? world_.now() + Duration(1000) : due,
                     [this, life = agent_life_] {
                       if (life == agent_life_ && core_ != nullptr) report();
                     });
}

}  // namespace leat::sim
