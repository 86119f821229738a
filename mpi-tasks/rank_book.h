#pragma once

// rank_book.h - what has become of each rank, and what that means for the gang.
//
// libpmix does not end the others when a rank is gone: it tells a second late, or never, and they
// wait for ever. So a rank's exit decides, together with how far it had come with MPI.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mpi-tasks/layout.h"
#include "mpi-tasks/message.h"

namespace leat::mpi {

// Why a gang ends before its time, and the exit code of all its launchers: 1 to 255.
struct Failure {
  std::int32_t code = 1;
  std::string cause;  // one line: which rank, on which node, what

  friend bool operator==(const Failure&, const Failure&) = default;
};

// An exit code fit for a process: the low byte of what a rank asked for, never 0.
std::int32_t failure_code(std::int32_t wanted);

inline constexpr std::int32_t kSignalBase = 128;
// How a gang ends that has lost a launcher.
inline constexpr std::int32_t kExitLost = 1;

// " exited with code 3" or " was killed by signal 9 (SIGKILL)".
std::string how_it_ended(std::int32_t status, bool signalled);

// One per gang, at the hub. Pure. Borrows the layout.
//
// A rank ends well with exit code 0, if it either called MPI_Finalize, or never called MPI_Init and
// no other rank did.
class RankBook {
 public:
  explicit RankBook(const Layout& layout);

  // The rank has called MPI_Init.
  std::optional<Failure> connect(Rank rank);
  // The rank has called MPI_Abort.
  Failure abort(Rank rank, std::int32_t status, const std::string& text) const;
  // The rank's process is gone: `status` is its exit code, or the signal if `signalled`.
  std::optional<Failure> end(Rank rank, std::int32_t status, bool signalled, Stage stage);

  bool all_ended() const { return ended_ == layout_.size(); }
  bool any_connected() const { return connected_ > 0; }

 private:
  enum class Fate : std::uint8_t { kRunning, kConnected, kLeftEarly, kEnded };

  std::string name(Rank rank) const;
  Failure left_early(Rank rank) const;

  const Layout& layout_;
  std::vector<Fate> fates_;
  std::uint32_t connected_ = 0;
  std::uint32_t ended_ = 0;
  std::optional<Rank> early_;  // the first that ended well without MPI_Init
};

}  // namespace leat::mpi
