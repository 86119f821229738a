#pragma once

// gang_desk.h - where the members of gangs meet, as their first members' agents have said.
//
// Members beyond the first are started only when that is known. It is kept in memory alone: after a
// restart of the head the first member's agent is told to start once more, and says it again.

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"

namespace leat::engine {

// schema GangHub: worth something to this attempt's launchers alone, and secret as long as it runs.
struct GangHub {
  std::string address;
  std::string authority_pem;
  std::string certificate_pem;
  std::string key_pem;
};

// Thread: the engine's loop.
class GangDesk {
 public:
  // Whether this member has to wait until the first one is there. It is kept here then.
  bool park(const core::StartRuns& start, const core::State& state);

  // The first member is there. Returns the members that have waited for it and are still wanted.
  std::vector<core::StartRuns> arrive(const RunId& run, GangHub hub, const core::State& state);

  // Null if it is not known.
  const GangHub* find(const core::StartRuns& start) const;

  std::size_t size() const { return hubs_.size() + waiting_.size(); }

 private:
  // Forgets what is over, now and then, so that it costs each gang little.
  void sweep(const core::State& state);

  std::map<RunId, GangHub> hubs_;
  std::map<std::pair<RunId, NodeRef>, core::StartRuns> waiting_;
  std::size_t sweep_at_ = 64;
};

// The only run of a gang's start.
RunId gang_run(const core::StartRuns& start);

}  // namespace leat::engine
