#pragma once

// warden_runner.h - launches as commands to the warden, and its events as ends of runs.

#include <kj/async.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "node-agent/gang_files.h"
#include "node-agent/gpus.h"
#include "node-agent/outputs.h"
#include "node-agent/runner.h"
#include "node-agent/scratch.h"
#include "node-agent/topology.h"
#include "node-agent/warden_link.h"

namespace leat::agent {

struct WardenRunnerOptions {
  std::string directory;  // of the node
  std::string pool;
  NodeRef node;
  std::vector<std::string> gpus;  // gpu_names()
  std::string progress_socket;    // empty: none
  std::string launcher;           // leat-mpi-launcher
  std::function<void(std::string_view line)> say;
};

// Borrows topology, outputs, gangs and events. Thread: the loop's.
class WardenRunner final : public Runner, private kj::TaskSet::ErrorHandler {
 public:
  // Stages the warden holds at once; the one used longest ago makes room.
  static constexpr std::size_t kTemplatesKept = 1000;

  WardenRunner(WardenRunnerOptions options, Topology& topology, Outputs& outputs, GangFiles& gangs,
               RunnerEvents& events);

  // For WardenLink::attach(); events may come before set_link().
  void on_event(const warden::Event& event);
  void set_link(kj::Own<WardenLink> link);
  // Ends all runs and the warden.
  void shut_down();
  // Who keeps memory limits. Precondition: set_link(), and the adoption is over.
  warden::Enforcement enforcement() const { return link_->enforcement(); }
  // Resolves when what the warden knew has been told to `events`.
  kj::Promise<void> on_adoption() { return adopted_.addBranch(); }

  void stage(const StartSet& set) override;
  void start(const RunOrder& order) override;
  void end(const RunId& run, Duration grace) override;
  void confirm(const RunId& run) override;
  void forget(JobId job) override;

 private:
  struct Template {
    std::uint32_t id = 0;
    bool known = false;  // to the warden, as it is
    std::list<StageRef>::iterator age;
    StartSet set;
    std::string checkpoints;  // of the user's; empty: ours
  };

  void put(warden::Command command);
  kj::Promise<void> drain();
  bool send_template(Template& entry);
  warden::Launch to_launch(const RunOrder& order, const Template& entry);
  // The arguments of the launcher of a gang's member, and its file. False if it cannot be.
  bool lead_gang(const RunOrder& order, std::vector<std::string> words, warden::Launch& launch);
  void bind(const StageSpec& spec, warden::Launch& launch);
  void fail(const RunId& run, Outcome outcome, std::int32_t code);
  void free_devices(const RunId& run);
  void clean_scratch();
  void on_running(const warden::Running& running);
  void on_exited(const warden::Exited& exited);
  void taskFailed(kj::Exception&& exception) override;

  WardenRunnerOptions options_;
  Topology& topology_;
  Outputs& outputs_;
  GangFiles& gangs_;
  RunnerEvents& events_;
  Scratch scratch_;
  kj::Own<WardenLink> link_;
  std::deque<warden::Command> backlog_;  // at most what the core launches, and their ends
  std::map<StageRef, Template> templates_;
  std::list<StageRef> oldest_first_;
  std::uint32_t next_template_ = 1;
  std::size_t templates_known_ = 0;
  std::map<RunId, std::vector<std::uint32_t>> bound_;  // run -> processors
  GpuPool gpus_;
  std::map<RunId, std::uint64_t> gpus_of_;  // run -> mask
  bool cleaning_ = false;
  bool adopting_ = true;
  std::vector<AdoptedRun> dump_running_;
  std::vector<RunEnd> dump_ended_;
  kj::Own<kj::PromiseFulfiller<void>> adoption_;
  kj::ForkedPromise<void> adopted_ = nullptr;
  kj::TaskSet tasks_;  // last: cancelled before anything it uses goes
};

}  // namespace leat::agent
