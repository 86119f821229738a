#pragma once

// reducer.h - folds results on the cores of one node, and the reduce step of a job.
//
// What a reducer is and what it promises stands in leat/partial.h. The same one folds here, over
// the elements of one program, over the results of tasks (reduce_main), and over the ranks of an
// MPI program (leat/mpi_reduce.h); an ordered one gives the same bits everywhere.
//
// Source:  a reduce step knows from LEAT_STAGE and LEAT_TASK_COUNT whether it is the last one, and
//          from LEAT_CPUS how many cores it has.
// Owns:    nothing that outlives a call.
// Thread:  a fold calls what it is given, and copies of the reducer, from several threads at once;
//          each returns when all is done.
// Errors:  CoverageError, PayloadError, and whatever is thrown by what it calls.

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_reduce.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <leat/partial.h>
#include <leat/payload.h>

namespace leat {

// How a fold uses the node.
struct FoldOptions {
  unsigned threads = 0;     // 0, or more than that: as many as the process may use
  std::uint64_t grain = 1;  // items that one thread takes at least; fewer than two grains: serial
};

namespace detail {

// What oneTBB asks of an imperative reduction. Joining is exact however it cuts the range, since
// partial results know what they cover.
template <AReducer R, typename Add>
class FoldBody {
 public:
  FoldBody(const Partial<R>& empty, const Add& add) : empty_(empty), add_(add), partial_(empty) {}
  FoldBody(FoldBody& other, tbb::split /*tag*/)
      : empty_(other.empty_), add_(other.add_), partial_(other.empty_) {}

  void operator()(const tbb::blocked_range<std::uint64_t>& range) {
    for (std::uint64_t i = range.begin(); i != range.end(); ++i) add_(partial_, i);
  }
  void join(FoldBody& right) { partial_.merge(std::move(right.partial_)); }
  Partial<R> take() { return std::move(partial_); }

 private:
  const Partial<R>& empty_;
  const Add& add_;
  Partial<R> partial_;
};

// Calls `add(partial, i)` for each i of [first, first + count), of each thread in ascending order.
template <AReducer R, typename Add>
Partial<R> fold_with(const Partial<R>& empty, Share items, const Add& add,
                     const FoldOptions& options) {
  const std::uint64_t grain = options.grain == 0 ? 1 : options.grain;
  const tbb::blocked_range<std::uint64_t> range(items.first, items.first + items.count, grain);
  FoldBody<R, Add> body(empty, add);
  if (items.count < 2 * grain || options.threads == 1) {
    if (items.count != 0) body(range);
    return body.take();
  }
  // oneTBB complains on standard error if it is asked for more than there are.
  const std::size_t all =
      tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  const std::size_t threads =
      options.threads == 0 ? all : std::min<std::size_t>(options.threads, all);
  tbb::task_arena arena(static_cast<int>(threads));
  arena.execute([&] {
    if constexpr (R::kOrdered) {
      tbb::parallel_deterministic_reduce(range, body);
    } else {
      tbb::parallel_reduce(range, body);
    }
  });
  return body.take();
}

// What a reduce step is told by its environment.
struct ReduceStep {
  bool is_last = false;  // what it writes is the job's result, so it must be the whole
  unsigned threads = 0;
};
ReduceStep reduce_step();

// Envelopes that are in memory at once, by number and by bytes; then they are folded.
inline constexpr std::size_t kBatchEnvelopes = 4096;
inline constexpr std::uint64_t kBatchBytes = 64ull * 1024 * 1024;
// Fewer envelopes than twice this are folded by one thread: waking another costs more.
inline constexpr std::uint64_t kEnvelopesPerThread = 32;

}  // namespace detail

// Reduces `make(index)` over the indices of `share`. The result is a part of `origin`.
template <AReducer R, typename Make>
Partial<R> fold(Share share, const Make& make, R reducer = R{}, Origin origin = {},
                const FoldOptions& options = {}) {
  const auto add = [&make](Partial<R>& partial, std::uint64_t i) { partial.add(i, make(i)); };
  return detail::fold_with(Partial<R>(std::move(reducer), origin), share, add, options);
}

// Reduces values that are there already: `values[i]` is the element i.
template <AReducer R>
typename R::Value reduce(const std::vector<typename R::Value>& values, R reducer = R{},
                         const FoldOptions& options = {.threads = 0, .grain = 1024}) {
  return fold(
             Share{0, values.size()}, [&](std::uint64_t i) { return values[i]; },
             std::move(reducer), Origin{.job = 0, .stage = 0, .elements = values.size()}, options)
      .total();
}

// Reduces a stream of results: what tasks and earlier reduce steps wrote, one after the other.
template <AReducer R>
Partial<R> reduce_stream(std::istream& from, R reducer = R{},
                         const FoldOptions& options = {.threads = 0,
                                                       .grain = detail::kEnvelopesPerThread}) {
  const Partial<R> empty(std::move(reducer));
  Partial<R> all = empty;
  EnvelopeReader reader(from);
  std::vector<Envelope> batch;
  std::uint64_t bytes = 0;
  const auto add = [&](Partial<R>& partial, std::uint64_t i) {
    partial.merge(Partial<R>(empty.reducer(), unpack<Pieces<typename R::Value>>(batch[i])));
  };
  const auto fold_batch = [&] {
    all.merge(detail::fold_with(empty, {0, batch.size()}, add, options));
    batch.clear();
    bytes = 0;
  };
  while (std::optional<Envelope> envelope = reader.next()) {
    bytes += envelope->content.size();
    batch.push_back(*std::move(envelope));
    if (batch.size() == detail::kBatchEnvelopes || bytes >= detail::kBatchBytes) fold_batch();
  }
  fold_batch();
  return all;
}

// The value that a stream of results stands for: of `leat result`, say. Throws if it is not whole.
template <AReducer R>
typename R::Value read_total(std::istream& from, R reducer = R{}) {
  return reduce_stream<R>(from, std::move(reducer)).total();
}

// What main returns in a program for `leat submit --reduce`: reads results from standard input,
// writes one envelope to standard output. It takes its own output, so it may run as a tree. The
// last step of a job's reduce refuses to write anything but the whole. A refusal is one line on
// standard error and the exit code 1; then nothing is written.
template <AReducer R>
int reduce_main(R reducer = R{}) {
  try {
    const detail::ReduceStep step = detail::reduce_step();
    const Partial<R> all =
        reduce_stream<R>(std::cin, std::move(reducer),
                         {.threads = step.threads, .grain = detail::kEnvelopesPerThread});
    if (step.is_last) static_cast<void>(all.total());
    write_payload(std::cout, all.pieces());
    std::cout.flush();
    if (std::cout) return EXIT_SUCCESS;
    std::cerr << "reduce: cannot write to standard output\n";
  } catch (const std::exception& error) {
    std::cerr << "reduce: " << error.what() << '\n';
  }
  return EXIT_FAILURE;
}

}  // namespace leat
