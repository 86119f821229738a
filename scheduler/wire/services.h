#pragma once

// services.h - what the faces of the head lean on; main.cc builds it.

#include <kj/async.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "scheduler/engine/agent_link.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/engine_loop.h"
#include "scheduler/engine/log.h"
#include "scheduler/engine/pool_driver.h"
#include "scheduler/engine/progress.h"
#include "scheduler/engine/pulse.h"
#include "scheduler/engine/static_driver.h"
#include "scheduler/engine/task_board.h"
#include "scheduler/engine/tickets.h"
#include "scheduler/store/archive.h"
#include "scheduler/store/store.h"

namespace leat::wire {

// What does not change while the head runs.
struct HeadFacts {
  std::string version;
  std::string cluster_id;
  std::string host_name;
  std::string agent_address;
  std::string enrol_address;
  std::uint32_t pid = 0;
  std::int64_t started_us = 0;  // wall clock
};

// leat-store, as the head sees it; the pid is 0 while it is not up.
struct BlobStore {
  std::string address;
  std::uint32_t pid = 0;
};

// When nodes went for good, for people who look for an output that went with one. The newest
// kKept of this life of the head.
class GoneNodes {
 public:
  static constexpr std::size_t kKept = 4'096;

  void note(NodeRef node, std::int64_t wall_us);
  // 0 if it is not known.
  std::int64_t when(NodeRef node) const;

 private:
  std::map<NodeRef, std::int64_t> times_;
};

// All is borrowed. `shut_down` stops the nodes and the store, and has the head exit soon after.
struct Services {
  engine::Engine& engine;
  store::Store& store;
  store::Archive& archive;
  engine::Progress& progress;
  engine::TaskBoard& board;
  engine::Pulse& pulse;
  engine::AgentLinks& links;
  engine::TicketOffice& tickets;
  GoneNodes& gone;
  engine::Clock clock;
  std::function<std::int64_t()> wall_us;
  std::function<BlobStore()> blob_store;
  // Whether leat-store has the inputs of such a job; it keeps those for a day from now.
  std::function<kj::Promise<Result<bool>>(const core::JobSpec& spec)> has_inputs;
  std::function<void()> pools_changed;
  std::function<kj::Promise<Result<std::vector<engine::TokenGiven>>>(engine::TokenRequest)>
      make_tokens;
  // A path in the home that is not in use, for a copy of history.
  std::function<std::string()> copy_path;
  std::function<kj::Promise<void>()> shut_down;
  std::function<std::uint64_t()> agent_bytes_in;
  std::function<std::uint64_t()> agent_bytes_out;
  engine::Log log;
  HeadFacts facts;
};

}  // namespace leat::wire
