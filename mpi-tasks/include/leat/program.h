#pragma once

// program.h - the main of a program whose elements are reduced, written once.
//
//     int main(int argc, char** argv) {
//       return leat::program_main<Moments>(argc, argv, 64, [](std::uint64_t i) { return …; });
//     }
//
// is a plain program (all 64 elements, on all cores), a task of an array (its share of the 64), the
// reduce step of that array, and shows what they have made:
//
//     ./program                                                     at a terminal
//     leat submit --array 0-15 --reduce ./program --reduce-arg reduce -- ./program
//     leat result last | ./program show
//
// leat/mpi_program.h adds the ranks of an MPI program. An ordered reducer gives the same bits in
// all of them.
//
// Source:  the first argument: `reduce`, `show`, or what the program likes; the rest as in task.h.
// Thread:  elements are computed by several threads at once, LEAT_CPUS of them in a task.
// Errors:  whatever is thrown is one line on standard error and the exit code 1.

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>

#include <leat/reducer.h>
#include <leat/task.h>

namespace leat {

namespace detail {

// Says what went wrong the way a program does.
inline int failed(const char* program, const std::exception& error) {
  std::cerr << program << ": " << error.what() << '\n';
  return EXIT_FAILURE;
}

template <AReducer R>
int show_main(const char* program, R reducer) {
  try {
    if constexpr (Printable<typename R::Value>) {
      std::cout << read_total<R>(std::cin, std::move(reducer)) << '\n' << std::flush;
      if (std::cout) return EXIT_SUCCESS;
      throw TaskError("cannot write to standard output");
    } else {
      throw TaskError("its results cannot be printed: their type has no operator<<");
    }
  } catch (const std::exception& error) {
    return failed(program, error);
  }
}

// What the program is told to do instead of computing; nothing: to compute.
template <AReducer R>
std::optional<int> other_main(int argc, const char* const* argv, const R& reducer) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "reduce") return reduce_main<R>(reducer);
  if (mode == "show") return show_main<R>(argv[0], reducer);
  return std::nullopt;
}

}  // namespace detail

// REQUIRES: `compute(index)` gives the value of each of `elements` elements, numbered from 0.
template <AReducer R, typename Compute>
int program_main(int argc, const char* const* argv, std::uint64_t elements, const Compute& compute,
                 R reducer = R{}) {
  if (const std::optional<int> code = detail::other_main(argc, argv, reducer)) return *code;
  try {
    Task task(argc, argv);
    task.result(fold(task.share(elements), compute, std::move(reducer), task.origin(elements),
                     {.threads = task.cpus()}));
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    return detail::failed(argv[0], error);
  }
}

}  // namespace leat
