#pragma once

// recovery.h - from what is on disk to the state that was.

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "base/time.h"
#include "scheduler/core/state.h"
#include "scheduler/store/snapshot.h"
#include "scheduler/store/store.h"

namespace leat::store {

struct Recovered {
  std::unique_ptr<core::State> state;
  Recorder recorder;    // goes on with the next turn
  Time last;            // of the newest turn; the head's clock must not show less
  std::uint64_t turns;  // replayed on top of the snapshot
};

// Snapshot rows, then later facts through State::apply. Refused, naming the turn or row: damaged
// or unknown bytes, a turn that is missing. An empty store gives an empty state.
Result<Recovered> recover(Contents& contents, SnapshotLimits limits = {});

}  // namespace leat::store
