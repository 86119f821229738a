#pragma once

// stages.h - jobs of the simulation that have several stages, and what must hold of their order.

#include <cstdint>
#include <string>

#include "base/random.h"
#include "scheduler/core/state.h"
#include "schema/types.capnp.h"

namespace leat::sim {

class Evidence;
struct Plan;

// A plain task of the simulation.
void write_stage(schema::StageSpec::Builder stage, std::uint64_t tasks, Random& random);

// Fills in prepare -> simulate, perhaps of gangs -> a tree of reduce steps -> report, beside stages
// that come after others in every way there is.
core::JobSpec make_pipeline(schema::JobSpec::Builder job, const Plan& plan, Random& random);

// A task that fails, however often it is tried.
bool is_doomed(const RunId& run);

// How many tasks the result of a job counts: those of the stage at the bottom of its reduce.
std::uint64_t tasks_in_result(const core::JobSpec& spec);

// What is wrong with the launch of a task before what it comes after in its own job; empty:
// nothing. `job` is what the head believes, if there is one; Evidence is from outside.
std::string check_stage_launch(const core::JobSpec& spec, const core::Job* job,
                               const Evidence& evidence, const RunId& run);

}  // namespace leat::sim
