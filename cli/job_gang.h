#pragma once

// job_gang.h - what a job says of gangs: nodes, ranks, and who starts them.

#include "cli/job_request.h"
#include "definitions/job_definition.h"

namespace leat::cli {

// As many nodes and ranks as launchers know how to join (schema/gang.capnp).
inline constexpr std::uint64_t kGangNodesMax = 4'096;
inline constexpr std::uint64_t kGangRanksMax = 65'536;

// The fields nodes, ranks…, mpi, gang, coordination…, bind, bind-to and mpi-interfaces into
// `request`, whose program and resources are known. Throws Failure (kUsage).
void read_gang(const definitions::JobDefinition& job, JobRequest& request);

}  // namespace leat::cli
