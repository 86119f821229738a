// local_pool_life.cc - LocalPool: what happens to agents and wardens, and what follows from it.

#include <kj/debug.h>
#include <kj/vector.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "pools/detached_program.h"
#include "pools/local_node.h"
#include "pools/local_pool.h"
#include "pools/strays.h"

namespace leat::pools {
namespace {

// An agent's last words: it stopped in good order, or the head does not want it any more.
constexpr int kAgentStopped = 0;
constexpr int kAgentRefused = 4;

constexpr char kProofBothEnded[] = "agent and warden processes ended";

kj::Duration to_kj(Duration duration) {
  return duration.count() * kj::MICROSECONDS;
}

}  // namespace

Result<Done> set_head_address(const std::string& directory, const std::string& address) {
  const std::string path = directory + "/agent.json";
  const Result<std::string> text = read_node_file(path);
  if (!text.ok()) return text.refusal();
  const std::optional<std::string> changed = with_head_address(text.value(), address);
  if (!changed.has_value()) return invalid(path + ": has no head address");
  if (*changed == text.value()) return Done{};
  return replace_node_file(path, *changed);
}

// --- processes ------------------------------------------------------------------------------

Result<Done> LocalPool::start_agent(const NodePointer& node) {
  DetachedProgram program;
  program.argv = {options_.agent_program, "--dir", node->directory, "--bind", options_.agent_bind};
  if (node->mock) program.argv.emplace_back("--mock");
  program.environment = options_.environment;
  program.environment.push_back(std::string(kDirectoryVariable) + node->directory);
  program.log_path = node->directory + "/agent.log";
  program.stamp_path = node->directory + "/agent.pid";
  program.boot_id = boot_id_;
  ++node->starts_in_row;
  node->agent_started_at = timer_.now();
  Result<std::unique_ptr<Process>> started = start_detached(port_, program);
  if (!started.ok()) return started.refusal();
  node->agent = std::move(started).value();
  node->agent_exit = std::nullopt;
  watch_agent(node);
  return Done{};
}

void LocalPool::watch_agent(const NodePointer& node) {
  tasks_.add(node->agent->on_exit().then([this, node] { review(node); }));
}

Result<Done> LocalPool::find_warden(const NodePointer& node) {
  if (node->warden != nullptr && node->warden->alive()) return Done{};
  node->warden = nullptr;
  const Result<std::optional<ProcessStamp>> stamp = read_stamp(node->directory + "/warden.pid");
  if (!stamp.ok()) return stamp.refusal();
  if (!stamp.value().has_value()) return Done{};
  node->warden_seen = true;
  if (node->boot_is_over) return Done{};
  node->warden = Process::find(port_, *stamp.value(), boot_id_);
  if (node->warden != nullptr)
    tasks_.add(node->warden->on_exit().then([this, node] { review(node); }));
  return Done{};
}

kj::Promise<void> LocalPool::watch_directories() {
  return inotify_observer_.whenBecomesReadable().then([this] {
    read_inotify();
    return watch_directories();
  });
}

void LocalPool::read_inotify() {
  alignas(inotify_event) char buffer[16 * 1024];
  for (;;) {
    const ssize_t size = ::read(inotify_.get(), buffer, sizeof buffer);
    if (size <= 0) return;
    for (const char* at = buffer; at < buffer + size;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      const auto watch = watches_.find(event->wd);
      if (watch == watches_.end() || event->len == 0 || std::strcmp(event->name, "warden.pid") != 0)
        continue;
      const auto node = nodes_.find(watch->second);
      if (node != nodes_.end()) review(node->second);
    }
  }
}

// --- what follows ---------------------------------------------------------------------------

void LocalPool::review(const NodePointer& node) {
  if (node->state == InstanceState::kGone) return;
  const Result<Done> looked = find_warden(node);
  bury_agent(*node);
  if (node->ending) return;
  if (!looked.ok()) {
    // Whether a warden lives is not known: nothing follows from that.
    KJ_LOG(ERROR, "a node cannot be judged", looked.refusal().message);
    return;
  }
  const bool warden_lives =
      node->warden != nullptr || (!node->boot_is_over && warden_holds(node->directory));
  if (node->agent == nullptr) return without_agent(node, warden_lives);
  if (!warden_lives && node->warden_seen) plan_agent_kill(node);
}

void LocalPool::bury_agent(Node& node) {
  if (node.agent == nullptr || node.agent->alive()) return;
  node.agent_exit = node.agent->reap();
  node.agent = nullptr;
  if (timer_.now() - node.agent_started_at >= to_kj(options_.settled_after)) node.starts_in_row = 0;
}

bool LocalPool::may_restart(const Node& node, bool warden_lives) const {
  if (node.boot_is_over || node.agent_exit == kAgentStopped || node.agent_exit == kAgentRefused)
    return false;
  if (warden_lives) return node.starts_in_row <= options_.restarts_in_row_max;
  return !node.warden_seen && node.starts_in_row < options_.starts_without_warden_max;
}

void LocalPool::without_agent(const NodePointer& node, bool warden_lives) {
  if (may_restart(*node, warden_lives)) return plan_restart(node);
  if (warden_lives) return end_warden(node);
  if (node->boot_is_over) return declare_gone(node, "the machine was restarted");
  if (node->warden_seen) return declare_gone(node, kProofBothEnded);
  declare_gone(node, "its agent ended before it had a warden; see the agent's log");
}

void LocalPool::plan_restart(const NodePointer& node) {
  if (node->state != InstanceState::kAgentDead) {
    node->state = InstanceState::kAgentDead;
    tell(*node, "the agent process ended");
  }
  if (node->restart_planned) return;
  node->restart_planned = true;
  Duration pause = options_.restart_pause_first;
  for (int i = 1; i < node->starts_in_row && pause < options_.restart_pause_last; ++i) pause *= 2;
  pause = std::min(pause, options_.restart_pause_last);
  tasks_.add(timer_.afterDelay(to_kj(pause)).then([this, node] { restart(node); }));
}

void LocalPool::restart(const NodePointer& node) {
  node->restart_planned = false;
  if (node->ending || node->state == InstanceState::kGone || node->agent != nullptr) return;
  const Result<Done> looked = find_warden(node);
  const bool warden_lives = node->warden != nullptr || warden_holds(node->directory);
  // The warden may have died meanwhile: then that decides.
  if (!looked.ok() || !may_restart(*node, warden_lives)) return review(node);
  const Result<Done> started = start_agent(node);
  if (!started.ok()) {
    KJ_LOG(ERROR, "an agent cannot be started", started.refusal().message);
    return review(node);
  }
  node->state = InstanceState::kAlive;
  tell(*node, "the agent was started again");
}

void LocalPool::plan_agent_kill(const NodePointer& node) {
  if (node->agent_kill_planned) return;
  node->agent_kill_planned = true;
  tasks_.add(timer_.afterDelay(to_kj(options_.agent_exit_deadline)).then([this, node] {
    node->agent_kill_planned = false;
    // Its death comes back here through review().
    if (!node->ending && node->agent != nullptr && find_warden(node).ok() &&
        node->warden == nullptr)
      node->agent->signal(SIGKILL);
  }));
}

// No agent will come for it any more.
void LocalPool::end_warden(const NodePointer& node) {
  if (node->warden_end_planned || node->warden == nullptr) return;
  node->warden_end_planned = true;
  node->warden->signal(SIGTERM);
  tasks_.add(timer_.afterDelay(to_kj(options_.warden_deadline)).then([this, node] {
    if (node->ending || !find_warden(node).ok() || node->warden == nullptr) return;
    node->warden->signal(SIGKILL);
  }));
}

void LocalPool::declare_gone(const NodePointer& node, const std::string& proof) {
  node->state = InstanceState::kGone;
  clear_away(*node);
  tell(*node, proof);
  gone_.push_back(node->ref);
  if (gone_.size() > kGoneMax) {
    nodes_.erase(gone_.front());
    gone_.pop_front();
  }
}

void LocalPool::clear_away(Node& node) {
  kill_strays(node.directory);
  if (node.watch.has_value()) {
    ::inotify_rm_watch(inotify_.get(), *node.watch);
    watches_.erase(*node.watch);
    node.watch = std::nullopt;
  }
  remove_gang_memory(node.directory);
  const Result<Done> removed = remover_.remove(node.directory);
  if (!removed.ok()) KJ_LOG(ERROR, removed.refusal().message);
}

// --- ending nodes ---------------------------------------------------------------------------

kj::Promise<Result<Done>> LocalPool::destroy(NodeRef ref) {
  const Result<NodePointer> found = find(ref);
  if (!found.ok()) return Result<Done>(found.refusal());
  const NodePointer& node = found.value();
  if (node == nullptr) return Result<Done>(Done{});
  if (node->state == InstanceState::kGone) {
    nodes_.erase(ref);
    std::erase(gone_, ref);
    return Result<Done>(Done{});
  }
  auto promise = kj::newPromiseAndFulfiller<Result<Done>>();
  node->enders.push_back(kj::mv(promise.fulfiller));
  if (!node->ending) {
    node->ending = true;
    // Whatever happened on the way, the processes are looked at and the callers are answered.
    tasks_.add(end_processes(node)
                   .catch_([](kj::Exception&& e) { KJ_LOG(ERROR, "while ending a node", e); })
                   .then([this, node] { finish_ending(node); }));
  }
  return kj::mv(promise.promise);
}

// The agent ends its tasks and its warden when it is asked to; force is for what does not listen.
kj::Promise<void> LocalPool::end_processes(const NodePointer& node) {
  bury_agent(*node);
  if (node->agent != nullptr) node->agent->signal(SIGTERM);
  return agent_dead_within(node, options_.stop_deadline)
      .then([this, node](bool dead) {
        if (!dead) node->agent->signal(SIGKILL);
        if (find_warden(node).ok() && node->warden != nullptr) node->warden->signal(SIGTERM);
        return all_dead_within(node, options_.warden_deadline);
      })
      .then([this, node](bool dead) {
        if (!dead && node->agent != nullptr) node->agent->signal(SIGKILL);
        if (!dead && node->warden != nullptr) node->warden->signal(SIGKILL);
        return all_dead_within(node, options_.warden_deadline);
      })
      .ignoreResult();
}

void LocalPool::finish_ending(const NodePointer& node) {
  bury_agent(*node);
  const Result<Done> looked = find_warden(node);
  Result<Done> answer = Done{};
  if (!looked.ok() || node->agent != nullptr || node->warden != nullptr) {
    answer = Refusal{Reason::kOverloaded,
                     "processes of node " + directory_name(node->ref) + " do not end"};
    node->ending = false;
  } else {
    node->state = InstanceState::kGone;
    clear_away(*node);
    nodes_.erase(node->ref);
  }
  for (auto& ender : std::exchange(node->enders, {})) ender->fulfill(kj::cp(answer));
}

kj::Promise<bool> LocalPool::agent_dead_within(const NodePointer& node, Duration deadline) {
  if (node->agent == nullptr) return true;
  return node->agent->on_exit()
      .then([] { return true; })
      .exclusiveJoin(timer_.afterDelay(to_kj(deadline)).then([] { return false; }));
}

kj::Promise<bool> LocalPool::all_dead_within(const NodePointer& node, Duration deadline) {
  kj::Vector<kj::Promise<void>> ends;
  if (node->agent != nullptr && node->agent->alive()) ends.add(node->agent->on_exit());
  if (node->warden != nullptr && node->warden->alive()) ends.add(node->warden->on_exit());
  if (ends.empty()) return true;
  return kj::joinPromises(ends.releaseAsArray())
      .then([] { return true; })
      .exclusiveJoin(timer_.afterDelay(to_kj(deadline)).then([] { return false; }));
}

}  // namespace leat::pools
