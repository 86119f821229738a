#pragma once

// data_fetch.h - a reduce step's input: outputs of other runs, from the nodes that keep them.

#include <kj/async.h>
#include <kj/timer.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "node-agent/input_file.h"
#include "node-agent/messages.h"
#include "node-agent/outputs.h"
#include "node-agent/peer_links.h"

namespace leat::agent {

// A node that cannot be reached, or does not go on answering, for this long is given up.
inline constexpr kj::Duration kFetchDeadline = 20 * kj::SECONDS;

// Borrows everything. Thread: the loop's.
class DataFetch {
 public:
  DataFetch(PeerLinks& links, Outputs& own, kj::Timer& timer, NodeRef self, std::string cluster_id)
      : links_(links), own_(own), timer_(timer), self_(self), cluster_(std::move(cluster_id)) {}

  // Appends to `file` the outputs that `parts` name, every one, in their order. Refused as soon as
  // one of them cannot be had. Never rejects. `file` must live until then.
  kj::Promise<Result<Done>> fetch(TaskInputs parts, InputFile& file);

 private:
  struct Progress {
    TaskInputs parts;
    std::size_t part = 0;
    std::uint64_t position = 0;
    std::uint64_t offset = 0;
    int tries_left = 0;
  };

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
