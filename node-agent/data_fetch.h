#pragma once

// data_fetch.h - a reduce step's input: outputs of other runs, from the nodes that keep them.

#include <kj/async.h>
#include <kj/timer.h>

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "node-agent/input_file.h"
#include "node-agent/messages.h"
#include "node-agent/outputs.h"
#include "node-agent/peer_links.h"
#include "spool/rank_frames.h"

namespace leat::agent {

// A node that cannot be reached, or does not go on answering, for this long is given up.
inline constexpr kj::Duration kFetchDeadline = 20 * kj::SECONDS;

// Borrows everything. Thread: the loop's.
class DataFetch {
 public:
  DataFetch(PeerLinks& links, Outputs& own, kj::Timer& timer, NodeRef self, std::string cluster_id)
      : links_(links), own_(own), timer_(timer), self_(self), cluster_(std::move(cluster_id)) {}

  // Appends to `file` the outputs that `parts` name, every one, in their order. Refused as soon as
  // one of them cannot be had; of a gang, what its rank 0 has written. Never rejects. `file` must
  // live until then.
  kj::Promise<Result<Done>> fetch(TaskInputs parts, InputFile& file);

 private:
  struct Progress {
    TaskInputs parts;
    std::optional<spool::RankFrameReader> frames;  // of the part in hand, if it is of gangs
    std::string plain;                             // what the first ranks have written
    std::size_t part = 0;
    std::uint64_t position = 0;
    std::uint64_t offset = 0;
    int tries_left = 0;
  };

  static Result<Done> keep(Progress& progress, const Outputs::SetPiece& got, InputFile& file);
  kj::Promise<Result<Done>> go_on(const std::shared_ptr<Progress>& progress, InputFile& file);
  kj::Promise<Result<Outputs::SetPiece>> read(const InputPart& part, const Progress& progress);
  kj::Promise<Result<Outputs::SetPiece>> read_remote(const InputPart& part,
                                                     const Progress& progress);

  PeerLinks& links_;
  Outputs& own_;
  kj::Timer& timer_;
  NodeRef self_;
  std::string cluster_;
};

}  // namespace leat::agent
