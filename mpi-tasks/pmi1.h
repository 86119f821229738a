#pragma once

// pmi1.h - the PMI-1 protocol of one node: what MPICH's ranks ask, line by line, and what they get.
//
// A rank asks, then waits for its answer: "cmd=get kvsname=… key=…\n". What ranks put becomes known
// to all at the next barrier, which is one gathering over all nodes.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mpi-tasks/layout.h"

namespace leat::mpi {

inline constexpr std::size_t kPmi1LineMax = 4096;

// Pure. Borrows the layout.
//
// Invariant: every request but abort gets one answer; barrier_in gets it from take_gathered().
class Pmi1 {
 public:
  struct Answer {
    Rank rank = 0;
    std::string line;
  };
  struct Event {
    enum class Type : std::uint8_t {
      kConnected,  // MPI_Init
      kFinalized,
      kAborted,   // status
      kGathered,  // all ranks of this node are at the barrier: `bytes` for the other nodes
    };
    Type type = Type::kConnected;
    Rank rank = 0;
    std::int32_t status = 0;
    std::string bytes{};
  };
  struct Outs {
    std::vector<Answer> answers;
    std::vector<Event> events;
  };

  Pmi1(const Layout& layout, NodeIndex node, std::string name);

  // One line of a rank of this node, without its end.
  Outs take(Rank rank, std::string_view line);
  // What the nodes have put, all of it; ends the barrier.
  Outs take_gathered(std::string_view bytes);

 private:
  // The space for all ranks' keys. MPICH needs half a kilobyte a rank.
  static constexpr std::size_t kSpaceBytesMax = 256u << 20;

  std::string answer(Rank rank, std::string_view line, Outs& outs);
  std::string put(std::string_view line);
  std::string get(std::string_view line) const;
  void enter_barrier(Rank rank, Outs& outs);

  const Layout& layout_;
  const NodeIndex node_;
  const std::string name_;
  std::map<std::string, std::string, std::less<>> space_;
  std::string fresh_;  // put here since the last barrier, as it travels
  std::vector<Rank> waiting_;
  std::map<Rank, bool> spawning_;  // ranks in the middle of a request of several lines
};

}  // namespace leat::mpi
