#include "mpi-tasks/rank_book.h"

#include <cstring>

#include "base/check.h"

namespace leat::mpi {
namespace {

// Before MPI_Init nothing is said: the program may know nothing of MPI.
std::string when(Stage stage) {
  return stage == Stage::kFinalized ? " after MPI_Finalize" : "";
}

}  // namespace

std::int32_t failure_code(std::int32_t wanted) {
  const std::int32_t code = wanted & 0xff;
  return code == 0 ? 1 : code;
}

std::string how_it_ended(std::int32_t status, bool signalled) {
  if (!signalled) return " exited with code " + std::to_string(status);
  const char* signal = sigabbrev_np(status);
  return " was killed by signal " + std::to_string(status) +
         (signal == nullptr ? "" : std::string(" (SIG") + signal + ")");
}

RankBook::RankBook(const Layout& layout) : layout_(layout), fates_(layout.size()) {}

std::optional<Failure> RankBook::connect(Rank rank) {
  Fate& fate = fates_[rank];
  if (fate != Fate::kRunning) return std::nullopt;
  fate = Fate::kConnected;
  ++connected_;
  if (early_) return left_early(*early_);
  return std::nullopt;
}

Failure RankBook::abort(Rank rank, std::int32_t status, const std::string& text) const {
  std::string cause = name(rank) + " called MPI_Abort(" + std::to_string(status) + ")";
  // Open MPI says this where the program gave no reason.
  if (!text.empty() && text != "N/A") cause += ": " + text;
  return {failure_code(status), cause};
}

std::optional<Failure> RankBook::end(Rank rank, std::int32_t status, bool signalled, Stage stage) {
  LEAT_CHECK(fates_[rank] != Fate::kEnded && fates_[rank] != Fate::kLeftEarly);
  ++ended_;
  const bool early = stage == Stage::kStarted;
  if (!early && fates_[rank] == Fate::kRunning) ++connected_;
  fates_[rank] = early ? Fate::kLeftEarly : Fate::kEnded;
  if (signalled || status != 0)
    return Failure{failure_code(status + (signalled ? kSignalBase : 0)),
                   name(rank) + how_it_ended(status, signalled) + when(stage)};
  if (stage == Stage::kConnected) return Failure{1, name(rank) + " exited without MPI_Finalize"};
  if (!early) return early_ ? std::optional(left_early(*early_)) : std::nullopt;
  if (!early_) early_ = rank;
  if (connected_ > 0) return left_early(rank);
  return std::nullopt;
}

std::string RankBook::name(Rank rank) const {
  return "rank " + std::to_string(rank) + " on node " + layout_.node(layout_.node_of(rank)).name;
}

Failure RankBook::left_early(Rank rank) const {
  return {1, name(rank) + " exited without MPI_Init while other ranks called it"};
}

}  // namespace leat::mpi
