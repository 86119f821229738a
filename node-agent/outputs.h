#pragma once

// outputs.h - the bytes that runs of this node have written, ended or still running.

#include <kj/async.h>
#include <kj/timer.h>

#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "node-agent/messages.h"
#include "spool/spool_index.h"
#include "spool/spool_reader.h"

namespace leat::agent {

// schema maxReadBytes.
inline constexpr std::uint64_t kReadBytesMax = 1u << 20;
// Runs looked at for one answer about a set: many of them may be empty.
inline constexpr std::uint64_t kRunsPerRead = 65536;
// A reader of a live log waits this long for more, and is answered with nothing then.
inline constexpr kj::Duration kLiveWait = 10 * kj::SECONDS;

// Owns the spool's index and reader. Borrows timer. Thread: the loop's; file calls block.
class Outputs {
 public:
  Outputs(spool::SpoolIndex index, const std::string& spool_directory, kj::Timer& timer)
      : index_(std::move(index)), reader_(spool_directory), timer_(timer) {}

  spool::SpoolIndex& index() { return index_; }
  spool::SpoolReader& reader() { return reader_; }

  // A run that goes on writes here from now on.
  void live(const RunId& run, const spool::RunPlace& start);
  // A run was launched, but has not said where it writes.
  void launched(const RunId& run);
  // A run is over; its place is in the index from now on. Precondition: the index knows the stage.
  void ended(const RunId& run, const spool::RunPlace& place);
  // A run is over and leaves nothing (it never started).
  void gone(const RunId& run) { live_.erase(run); }

  struct Piece {
    std::string data;
    std::uint64_t total = 0;  // kept so far
    bool finished = false;    // `total` is final
    bool truncated = false;
  };
  // Bytes of one stream, at most kReadBytesMax. Refused if this node does not have the run.
  Result<Piece> read(const RunId& run, spool::Stream stream, std::uint64_t offset,
                     std::uint64_t length);
  // Resolves when read() has something to say: at once, but of a live run not before there is a
  // byte at `offset`, or kLiveWait is over.
  kj::Promise<void> wait(const RunId& run, spool::Stream stream, std::uint64_t offset,
                         std::uint64_t length);

  struct SetPiece {
    std::string data;
    std::uint64_t position = 0;  // where to go on
    std::uint64_t offset = 0;
    bool finished = false;
  };
  // Standard outputs of a set, one after the other, from byte `offset` of the run at `position`.
  // Refused if one of them has not ended here, or a byte of it cannot be read.
  Result<SetPiece> read_set(const RunSet& runs, std::uint64_t position, std::uint64_t offset,
                            std::uint64_t length);

 private:
  struct Live {
    bool started = false;
    spool::RunPlace start;
  };

  kj::Promise<void> wait_until(RunId run, spool::Stream stream, std::uint64_t offset,
                               kj::TimePoint deadline);

  spool::SpoolIndex index_;
  spool::SpoolReader reader_;
  kj::Timer& timer_;
  std::map<RunId, Live> live_;
};

}  // namespace leat::agent
