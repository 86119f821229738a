#pragma once

// local_pool.h - nodes as processes on this machine: an agent and its warden in a directory each.

#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <kj/timer.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "pools/node_directory.h"
#include "pools/process.h"
#include "pools/provider.h"
#include "pools/tree_remover.h"

namespace leat::pools {

struct LocalPoolOptions {
  std::string nodes_directory;  // absolute, e.g. HOME/nodes; its parent must exist
  std::string agent_program;    // absolute
  std::string warden_program;   // absolute
  // Of every agent; tasks get theirs from the job.
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin"};
  // Where agents offer their outputs: numeric address and port.
  std::string agent_bind = "127.0.0.1:0";
  // Cores to share out, so that nodes can bind tasks without meeting; 0: none.
  std::uint32_t machine_cores = 0;

  // An agent that died while its warden lives is started again after a pause that doubles.
  Duration restart_pause_first = std::chrono::milliseconds(200);
  Duration restart_pause_last = std::chrono::seconds(5);
  int restarts_in_row_max = 10;
  // The same, for one that never got as far as a warden.
  int starts_without_warden_max = 3;
  // An agent that lived this long is not part of a row.
  Duration settled_after = std::chrono::minutes(1);
  // For the agent, to end itself after its warden has died.
  Duration agent_exit_deadline = std::chrono::seconds(5);
  // For the agent, to end its tasks and itself when asked; then for the warden.
  Duration stop_deadline = std::chrono::seconds(15);
  Duration warden_deadline = std::chrono::seconds(5);
};

// Agents and wardens are no children of the head's that would die with it; they are found again by
// the pids and start times in their directories, and watched by pidfd.
//
//   agent dead, warden alive    the agent is started again: the tasks never noticed
//   warden dead, agent alive    the agent ends itself; it is killed if it does not
//   both dead                   the node is gone, and what its tasks detached is killed
//
// Owns the directories of its nodes and removes them when they are gone. Borrows port and timer.
class LocalPool final : public Provider, private kj::TaskSet::ErrorHandler {
 public:
  // Refused if the directory cannot be made or is not ours alone. Finds the nodes of earlier lives
  // and watches them from here on.
  static Result<kj::Own<LocalPool>> open(kj::UnixEventPort& port, kj::Timer& timer,
                                         LocalPoolOptions options);
  ~LocalPool() noexcept(false) override;

  kj::Promise<Result<Done>> create(NodeOrder order) override;
  kj::Promise<Result<Done>> destroy(NodeRef ref) override;
  kj::Promise<Result<std::vector<Instance>>> list() override;
  kj::Promise<std::vector<InstanceChange>> changes() override;
  void head_moved(const std::string& agent_address) override;

  // Resolves when the directories of nodes that are gone have been deleted.
  kj::Promise<void> on_cleaned() { return remover_.on_idle(); }

 private:
  // Nodes that are gone and not yet destroyed() are remembered up to this number.
  static constexpr std::size_t kGoneMax = 4096;
  // Changes nobody asks for; the oldest are dropped, list() still tells.
  static constexpr std::size_t kChangesMax = 65536;

  struct Node;
  using NodePointer = std::shared_ptr<Node>;

  LocalPool(kj::UnixEventPort& port, kj::Timer& timer, LocalPoolOptions options,
            kj::AutoCloseFd inotify);
  template <typename T, typename... Params>
  friend kj::Own<T> kj::heap(Params&&... params);

  // Takes over the nodes that memory does not know. Refused if the listing cannot be read.
  Result<Done> scan();
  void sweep_unfinished();
  Result<NodePointer> adopt(NodeRef ref);
  // A node from memory or from disk; null if there is none.
  Result<NodePointer> find(NodeRef ref);
  std::optional<CoreShare> free_cores(std::uint32_t millicores) const;
  GpuShare free_gpus(std::uint32_t count) const;
  Result<Done> repeat_create(Node& node, const NodeOrder& order);

  Result<Done> start_agent(const NodePointer& node);
  void watch_agent(const NodePointer& node);
  // Looks for warden.pid unless a live warden is known. Refused if it cannot be read: then whether
  // a warden lives is not known.
  Result<Done> find_warden(const NodePointer& node);
  kj::Promise<void> watch_directories();
  void read_inotify();

  // Looks at the processes and does what follows. Called after everything that happens.
  void review(const NodePointer& node);
  void bury_agent(Node& node);
  void without_agent(const NodePointer& node, bool warden_lives);
  bool may_restart(const Node& node, bool warden_lives) const;
  void plan_restart(const NodePointer& node);
  void restart(const NodePointer& node);
  void plan_agent_kill(const NodePointer& node);
  void end_warden(const NodePointer& node);
  void declare_gone(const NodePointer& node, const std::string& proof);
  void tell(const Node& node, const std::string& proof);
  // Ends what the processes left: strays, watches, the directory.
  void clear_away(Node& node);

  kj::Promise<void> end_processes(const NodePointer& node);
  void finish_ending(const NodePointer& node);
  // True once the agent (and the warden) is dead, false at the deadline.
  kj::Promise<bool> agent_dead_within(const NodePointer& node, Duration deadline);
  kj::Promise<bool> all_dead_within(const NodePointer& node, Duration deadline);

  static Instance instance_of(const Node& node);
  void taskFailed(kj::Exception&& exception) override;

  kj::UnixEventPort& port_;
  kj::Timer& timer_;
  LocalPoolOptions options_;
  std::string boot_id_;
  TreeRemover remover_;
  std::map<NodeRef, NodePointer> nodes_;
  std::deque<NodeRef> gone_;
  std::map<int, NodeRef> watches_;  // inotify's numbers
  std::vector<InstanceChange> changes_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> changes_wanted_;
  kj::AutoCloseFd inotify_;  // must outlive the observer below
  kj::UnixEventPort::FdObserver inotify_observer_;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes away
};

}  // namespace leat::pools
