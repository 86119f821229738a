#pragma once

// rank_main.h - the main of a program of ranks, and what it says when it ends badly.
//
// Errors:  what every rank refuses alike (BadInput) is said once, with exit code 2; whatever else
//          is thrown anywhere ends all ranks, with exit code 1.

#include <mpi.h>

#include <cstdlib>
#include <exception>
#include <iostream>

#include <leat/task.h>

namespace heat {

inline constexpr int kExitBadInput = 2;
inline constexpr int kExitCancelled = 143;  // as of a program that SIGTERM has ended

// Thrown at every rank, or at none.
class BadInput : public leat::TaskError {
 public:
  using TaskError::TaskError;
};

// `body(rank)` gives the exit code; between MPI_Init and MPI_Finalize.
template <typename Body>
int rank_main(int argc, char** argv, const char* name, const Body& body) {
  int code = EXIT_FAILURE;
  int rank = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  try {
    code = body(rank);
  } catch (const BadInput& error) {
    if (rank == 0) std::cerr << name << ": " << error.what() << '\n';
    code = kExitBadInput;
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << '\n';
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
  }
  MPI_Finalize();
  return code;
}

}  // namespace heat
