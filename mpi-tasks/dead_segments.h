#pragma once

// dead_segments.h - shared memory of Open MPI's that nobody has any more.
//
// Ranks that an mpirun starts on its own node share memory in /dev/shm: no setting could put it
// elsewhere there and not on other nodes as well. Killed together with their mpirun, they leave it.

namespace leat::mpi {

// Removes the segments there that are our user's, bear this host's name and are mapped by no
// process. Reads /proc, if there is such a segment at all.
void remove_dead_segments();

}  // namespace leat::mpi
