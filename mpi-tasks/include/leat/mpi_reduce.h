#pragma once

// mpi_reduce.h - reduces partial results of MPI ranks, along one fixed tree.
//
// Only MPI programs include it: the SDK's library knows nothing of MPI. A rank sends its partial
// result, serialized, to the rank below it in a binomial tree over the ranks; plain sends and
// receives, on a communicator of their own. The tree depends on the number of ranks alone; of an
// ordered reducer the value does not depend even on that.
//
// Units:   lengths are bytes; a message has at most kMpiMessageBytesMax of them.
// Thread:  collective: every rank of the communicator calls it, each from one thread that may call
//          MPI. MPI_Init has been called.
// Errors:  overlapping coverage and other refusals anywhere are thrown at `root` (CoverageError,
//          PayloadError), where they happened too; no rank waits for a rank that has refused. What
//          MPI itself refuses goes to the communicator's error handler, or, if that returns, is
//          thrown as std::runtime_error.

#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <leat/partial.h>
#include <leat/payload.h>

namespace leat {

inline constexpr std::uint64_t kMpiMessageBytesMax = 256ull * 1024 * 1024;

namespace detail {

inline void require_mpi(int code, const char* what) {
  if (code != MPI_SUCCESS) throw std::runtime_error(std::string(what) + " failed");
}

// A communicator in which nobody else's messages can be taken for ours.
class OwnCommunicator {
 public:
  explicit OwnCommunicator(MPI_Comm of) {
    require_mpi(MPI_Comm_dup(of, &comm_), "MPI_Comm_dup");
    require_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    require_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  }
  OwnCommunicator(const OwnCommunicator&) = delete;
  OwnCommunicator& operator=(const OwnCommunicator&) = delete;
  ~OwnCommunicator() { MPI_Comm_free(&comm_); }

  [[nodiscard]] int rank() const { return rank_; }
  [[nodiscard]] int size() const { return size_; }

  void send(int to, const std::string& bytes) const {
    const std::uint64_t size = bytes.size();
    require_mpi(MPI_Send(&size, 1, MPI_UINT64_T, to, 0, comm_), "MPI_Send");
    for (std::uint64_t at = 0; at < size; at += kMpiMessageBytesMax)
      require_mpi(MPI_Send(bytes.data() + at, part_of(size, at), MPI_BYTE, to, 0, comm_),
                  "MPI_Send");
  }

  [[nodiscard]] std::string receive(int from) const {
    std::uint64_t size = 0;
    require_mpi(MPI_Recv(&size, 1, MPI_UINT64_T, from, 0, comm_, MPI_STATUS_IGNORE), "MPI_Recv");
    std::string bytes;
    for (std::uint64_t at = 0; at < size; at += kMpiMessageBytesMax) {
      const int part = part_of(size, at);
      bytes.resize(at + static_cast<std::uint64_t>(part));
      require_mpi(MPI_Recv(&bytes[at], part, MPI_BYTE, from, 0, comm_, MPI_STATUS_IGNORE),
                  "MPI_Recv");
    }
    return bytes;
  }

 private:
  static int part_of(std::uint64_t size, std::uint64_t at) {
    return static_cast<int>(std::min(size - at, kMpiMessageBytesMax));
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 0;
};

// A partial result on its way up, or why there is none. The first byte tells which.
template <AReducer R>
class Climber {
 public:
  explicit Climber(Partial<R> partial) : partial_(std::move(partial)) {}

  [[nodiscard]] std::string packed() const {
    if (refusal_) return "-" + text_;
    return "+" + pack(partial_.pieces());
  }

  // Takes in what another has packed. After a refusal the rest is let pass by.
  void take(const std::string& bytes) {
    if (refusal_) return;
    try {
      if (bytes.empty() || bytes[0] != '+')
        throw CoverageError(bytes.empty() ? "an empty message" : bytes.substr(1));
      merge(std::string_view(bytes).substr(1));
    } catch (const std::exception& error) {
      text_ = error.what();
      refusal_ = std::current_exception();
    }
  }

  // The same in place of what it has: of the tree's top, for another root.
  void replace(const std::string& bytes) {
    partial_ = Partial<R>(partial_.reducer());
    refusal_ = nullptr;
    take(bytes);
  }

  void rethrow() const {
    if (refusal_) std::rethrow_exception(refusal_);
  }
  Partial<R> result() {
    rethrow();
    return std::move(partial_);
  }

 private:
  void merge(std::string_view envelope) {
    partial_.merge(Partial<R>(partial_.reducer(), unpack<Pieces<typename R::Value>>(envelope)));
  }

  Partial<R> partial_;
  std::exception_ptr refusal_;
  std::string text_;
};

}  // namespace detail

// The reduction of all ranks' partial results, at `root`; nothing elsewhere. Collective.
template <AReducer R>
std::optional<Partial<R>> mpi_reduce(Partial<R> mine, MPI_Comm comm, int root = 0) {
  const detail::OwnCommunicator ranks(comm);
  detail::Climber<R> climber(std::move(mine));
  for (int step = 1; step < ranks.size(); step *= 2) {
    if (ranks.rank() % (2 * step) != 0) {
      ranks.send(ranks.rank() - step, climber.packed());
      break;
    }
    if (ranks.rank() + step < ranks.size()) climber.take(ranks.receive(ranks.rank() + step));
  }
  if (root != 0 && ranks.rank() == 0) ranks.send(root, climber.packed());
  if (root != 0 && ranks.rank() == root) climber.replace(ranks.receive(0));
  if (ranks.rank() == root) return climber.result();
  climber.rethrow();
  return std::nullopt;
}

// The reduction of one value of each rank, at `root`; nothing elsewhere. Collective.
template <AReducer R>
std::optional<typename R::Value> mpi_reduce(typename R::Value mine, MPI_Comm comm, int root = 0,
                                            R reducer = R{}) {
  int rank = 0;
  int size = 0;
  detail::require_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  detail::require_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  Partial<R> partial(std::move(reducer), Origin{0, 0, static_cast<std::uint64_t>(size)});
  partial.add(static_cast<std::uint64_t>(rank), std::move(mine));
  const std::optional<Partial<R>> all = mpi_reduce(std::move(partial), comm, root);
  if (!all) return std::nullopt;
  return all->total();
}

}  // namespace leat
