#pragma once

// task_progress.h - what tasks tell of themselves, from agents to users.

#include <capnp/list.h>

#include <cstddef>

#include "base/ids.h"
#include "scheduler/core/state.h"
#include "scheduler/engine/task_board.h"
#include "schema/scheduler.capnp.h"
#include "schema/types.capnp.h"

namespace leat::wire {

// More than an agent tells at once; what is over them is not looked at.
inline constexpr unsigned kWordsTakenMax = 1024;
inline constexpr std::size_t kMessageTakenMax = 512;

void take_progress(engine::TaskBoard& board, const core::State& state, NodeRef node,
                   capnp::List<schema::TaskProgress>::Reader told);

// Of an active job; nothing of another.
void write_progress(const engine::TaskBoard& board, const core::State& state, JobId job,
                    schema::JobSummary::Builder to);

}  // namespace leat::wire
