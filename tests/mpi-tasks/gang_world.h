#pragma once

// gang_world.h - a gang's launchers as real processes on this host, each with a node's name.

#include <kj/io.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "mpi-tasks/gang_file.h"
#include "mpi-tasks/layout.h"
#include "spool/rank_places.h"
#include "transport/authority.h"

namespace leat::mpi {

// How a gang is to be. Each node is a virtual one unless `prefixes` put it somewhere else.
struct GangPlan {
  std::vector<GangNode> nodes;
  std::vector<std::string> program;
  std::vector<std::string> environment{};          // the user's
  std::vector<std::string> inherited{};            // of the launchers, beside PATH
  std::vector<std::vector<std::uint16_t>> cpus{};  // the same on every node
  std::uint32_t node_cpus = 0;
  // Of a machine that plays all nodes: each node's `cpus` come after those of the one before. 0:
  // the same for all.
  std::uint32_t shared_cpus = 0;
  std::uint32_t grace_ms = 2000;
  std::uint32_t registered_ms = 30'000;
  MpiMode mpi = MpiMode::kAutomatic;
  std::vector<std::string> coordination{};
  bool application = false;
  bool plain = false;
  std::string interfaces = "lo";
  std::string hub_host = "127.0.0.1";
  // What is written before a node's command, e.g. "ip netns exec NAME".
  std::vector<std::vector<std::string>> prefixes{};
  // Makes the hub's listening socket; or, if `hub_listens`, the one that keeps its port.
  std::function<int(const std::string& host)> listen{};
  // The hub makes that socket, while another that is bound there keeps the port for it.
  bool hub_listens = false;
  std::string listen_address{};  // there, in place of the port kept
  std::string directory = "/";
  std::string topology{};  // hwloc's file about this machine
  // See the gang file.
  std::uint32_t star_nodes = 64;
  std::uint32_t tree_width = 0;
};

// One node's launcher, when it has ended.
struct LauncherEnd {
  int code = -1;  // 128 + signal if one ended it
  std::string out;
  std::string error;
  std::map<Rank, std::string> rank_out{};  // framed output taken apart; of kNoRank: its own words
  std::map<Rank, std::string> rank_error{};
  std::vector<spool::RankPlace> places{};              // taken out of `error` and `rank_error`,
  std::map<std::uint32_t, spool::Subtask> subtasks{};  // and these
  std::uint64_t skipped = 0;                           // bytes of either stream that were no frames
};

// One gang. Starts its launchers, and checks afterwards that nothing is left of them. Owns a
// directory under /tmp and an authority.
class GangWorld {
 public:
  explicit GangWorld(GangPlan plan);
  ~GangWorld();
  GangWorld(const GangWorld&) = delete;
  GangWorld& operator=(const GangWorld&) = delete;

  void start();
  // Launchers of `nodes` only.
  void start(const std::vector<NodeIndex>& nodes);
  // Ends with a failure of the test if a launcher takes longer than a minute.
  std::vector<LauncherEnd> wait();
  std::vector<LauncherEnd> run() {
    start();
    return wait();
  }

  // Resolves once node `node` has written `text` to its standard output; within a minute.
  void wait_for_output(NodeIndex node, const std::string& text);

  void signal(NodeIndex node, int number);
  // Whether that node's launcher has ended; if `wait`, it has, as it is waited for.
  bool has_ended(NodeIndex node, bool wait) const;
  // The file from which that node's launcher is started.
  std::string gang_file(NodeIndex node) const;
  std::string private_directory(NodeIndex node) const;

  // Processes that belong to this gang: whatever has inherited its mark, launchers included.
  std::set<pid_t> processes() const;
  // Gives processes that have been killed the time to go.
  void wait_for_no_process() const;
  // What should have gone: processes, directories, segments of shared memory. One a line.
  std::string left_over() const;

 private:
  struct Process;

  void write_gang_file(NodeIndex node, std::uint16_t port);
  void spawn(NodeIndex node, int listener);

  GangPlan plan_;
  std::string directory_;
  std::string nspace_;
  std::set<std::string> before_;  // segments and session directories of others
  std::vector<transport::Credentials> credentials_;
  std::vector<std::unique_ptr<Process>> processes_;
  kj::AutoCloseFd keeper_;  // of the hub's port
};

// `ranks` on each of `nodes` nodes, numbered node by node.
std::vector<GangNode> nodes_of(NodeIndex nodes, std::uint32_t ranks);

}  // namespace leat::mpi
