#pragma once

// mpi_program.h - the main of leat/program.h, which may also be started as MPI ranks.
//
// The ranks divide what the program is to do: everything when it runs alone, a task's share when
// the task is a gang. Rank 0 writes the result (mpirun gives it a terminal, so under mpirun that is
// readable). To reduce and to show, MPI is not started.
//
// Thread:  MPI is called from the main thread only (MPI_THREAD_FUNNELED); elements are computed by
//          several threads at once, by one where there are several ranks.
// Errors:  as in leat/program.h; a rank that throws ends all of them with MPI_Abort.

#include <mpi.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include <leat/mpi_reduce.h>
#include <leat/program.h>

namespace leat {

namespace detail {

template <AReducer R, typename Compute>
void compute_as_rank(Task& task, std::uint64_t elements, const Compute& compute, R reducer) {
  int rank = 0;
  int size = 1;
  require_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  require_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
  const Share mine = share_of(task.share(elements), static_cast<std::uint64_t>(rank),
                              static_cast<std::uint64_t>(size));
  const unsigned threads = size > 1 ? 1 : task.cpus();
  const std::optional<Partial<R>> all = mpi_reduce(
      fold(mine, compute, std::move(reducer), task.origin(elements), {.threads = threads}),
      MPI_COMM_WORLD);
  if (all) task.result(*all);
}

}  // namespace detail

// REQUIRES: as program_main; MPI_Init has not been called.
template <AReducer R, typename Compute>
int mpi_program_main(int argc, char** argv, std::uint64_t elements, const Compute& compute,
                     R reducer = R{}) {
  if (const std::optional<int> code = detail::other_main(argc, argv, reducer)) return *code;
  int threads = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &threads);
  try {
    Task task(argc, argv);
    detail::compute_as_rank(task, elements, compute, std::move(reducer));
  } catch (const std::exception& error) {
    MPI_Abort(MPI_COMM_WORLD, detail::failed(argv[0], error));
    return EXIT_FAILURE;
  }
  MPI_Finalize();
  return EXIT_SUCCESS;
}

}  // namespace leat
