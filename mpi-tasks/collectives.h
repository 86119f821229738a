#pragma once

// collectives.h - one launcher's half of a fence: contributions in, one for all of them out.
//
// At the hub what comes out is the result for everybody. Elsewhere in a tree it is what this
// launcher and those below it contribute to that, and goes up.
//
// A fence is an allgather of bytes that only libpmix understands: concatenated, in the order in
// which they came. PMIx_Connect and PMIx_Disconnect are the same without bytes.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "mpi-tasks/message.h"
#include "mpi-tasks/tree.h"

namespace leat::mpi {

// libpmix's numbers, which travel between launchers; pmix_server.cc proves that they are.
inline constexpr std::int32_t kPmixSuccess = 0;
inline constexpr std::int32_t kPmixErrorTimeout = -24;
inline constexpr std::int32_t kPmixErrorBadParameter = -27;
inline constexpr std::int32_t kPmixErrorNotFound = -46;
inline constexpr std::int32_t kPmixErrorNotSupported = -47;
inline constexpr std::int32_t kPmixErrorPartialSuccess = -52;
inline constexpr std::int32_t kPmixErrorDuplicateKey = -53;

// Which one. The same ranks may gather again at once, so nodes number what they do with each set;
// all nodes of a set count alike.
struct GatheringKey {
  Gathering gathering = Gathering::kFence;
  std::vector<Rank> ranks;  // ascending; empty: everybody
  std::uint64_t sequence = 0;

  friend auto operator<=>(const GatheringKey&, const GatheringKey&) = default;
};

GatheringKey key_of(const Message& message);

// Numbers the gatherings of one node. One entry per set of ranks that ever met, as many as the
// program makes.
class GatheringCounter {
 public:
  std::uint64_t next(Gathering gathering, const std::vector<Rank>& ranks) {
    return next_[{gathering, ranks}]++;
  }

 private:
  std::map<std::pair<Gathering, std::vector<Rank>>, std::uint64_t> next_;
};

// Borrows the layout. Pure: the same calls, the same results.
class Collectives {
 public:
  static constexpr std::size_t kOpenMax = 65'536;

  // All have contributed who are under `self`.
  struct Outcome {
    std::vector<NodeIndex> nodes;  // as they did: `self` and its children
    std::int32_t status = kPmixSuccess;
    bool collects = false;
    std::string bytes;
  };

  Collectives(const Layout& layout, const Tree& tree, NodeIndex self)
      : layout_(layout), tree_(tree), self_(self) {}

  // `from`, `self` or one of its children, contributes for all that are under it and take part;
  // `status` tells whether one of the participants has died. The outcome once all have done so: the
  // first bad status, or the bytes of all. Refused: a node or a rank that cannot take part, or one
  // that comes twice.
  Result<std::optional<Outcome>> add(NodeIndex from, const Message& contribution);

  // Gatherings that wait for somebody.
  std::size_t open() const { return rounds_.size(); }

 private:
  struct Round {
    std::vector<NodeIndex> involved;  // ascending
    std::vector<NodeIndex> arrived;
    std::int32_t status = kPmixSuccess;
    bool collects = false;
    std::string bytes;
  };

  const Layout& layout_;
  const Tree tree_;
  const NodeIndex self_;
  std::map<GatheringKey, Round> rounds_;
};

}  // namespace leat::mpi
