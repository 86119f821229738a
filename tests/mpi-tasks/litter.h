#pragma once

// litter.h - what MPI programs leave behind on a host.

#include <set>
#include <string>

namespace leat::mpi {

// Paths of whatever they are known to leave, of now.
std::set<std::string> litter();

// Whether somebody still has it: a segment that is mapped, the directory of an mpirun that runs.
// Whatever is a test's own nobody has any more, once its processes are gone.
bool in_use(const std::string& path);

}  // namespace leat::mpi
