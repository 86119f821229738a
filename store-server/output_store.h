#pragma once

// output_store.h - what the tasks of nodes that are gone have written: their spools, as they were.
//
// DIR/ID-EPOCH.part/   files of a spool that is on its way; nothing is read here
// DIR/ID-EPOCH/        a whole spool: index.log and slot files (spool/spool_index.h)
// DIR/ID-EPOCH.gone    there was one, and it was deleted to make room
//
// A spool appears by one rename, after all of its files are on disk.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "spool/spool_index.h"
#include "spool/spool_reader.h"
#include "store-server/room.h"

namespace leat::blobs {

struct SpoolFile {
  std::string name;
  std::uint64_t length = 0;

  friend auto operator<=>(const SpoolFile&, const SpoolFile&) = default;
};

// Owns the directory; one process at a time. Borrows the room it takes. Thread: the loop's; members
// block for as long as the disk does.
class OutputStore {
 public:
  // Files of one node: two for each segment, and an index.
  static constexpr std::size_t kFilesMax = 65'536;
  // Spools whose index is in memory.
  static constexpr std::size_t kOpenMax = 4;
  // Nodes of which we still know that their output was deleted.
  static constexpr std::size_t kGoneKept = 4096;

  // Makes or verifies the directory, ends deletions that were begun, and counts what is there.
  static Result<std::unique_ptr<OutputStore>> open(const std::string& directory, Room& room);

  // --- a spool that comes ---
  // Where a file is to be put. A spool that was whole is not from here on. Refused: a name that no
  // file of a spool has, too many files.
  Result<std::string> place_for(NodeRef node, const std::string& name);
  // The file is there, and on disk.
  void note(NodeRef node, const SpoolFile& file);
  std::vector<SpoolFile> files(NodeRef node) const;
  // The spool is whole; other files go. Refused unless all of these have come.
  Result<Done> keep(NodeRef node, std::vector<SpoolFile> wanted);

  // --- a spool that is there ---
  struct Piece {
    std::string data;
    std::uint64_t total = 0;
    bool truncated = false;
  };
  // At most `length` bytes. Refused with kNotFound, which says whether it was deleted.
  Result<Piece> read(NodeRef node, const RunId& run, spool::Stream stream, std::uint64_t offset,
                     std::uint64_t length);

  // Deletes the spool that has been here longest; says how many bytes it had, nothing if there is
  // none. The caller books them.
  std::optional<std::uint64_t> evict();

  std::uint64_t bytes() const;

 private:
  struct Spool {
    bool whole = false;
    std::uint64_t age = 0;  // grows; of a whole one
    std::map<std::string, std::uint64_t> files;
    std::uint64_t bytes() const;
  };
  struct Open {
    spool::SpoolIndex index;
    std::unique_ptr<spool::SpoolReader> reader;
    std::uint64_t used = 0;
  };

  OutputStore(std::string directory, Room& room) : directory_(std::move(directory)), room_(room) {}

  Result<Done> scan();
  std::string path_of(NodeRef node, const char* ending) const;
  Result<Open*> open_spool(NodeRef node);
  void remember_gone(NodeRef node);
  void drop_others(NodeRef node, Spool& spool, const std::vector<SpoolFile>& wanted);

  std::string directory_;
  Room& room_;
  std::map<NodeRef, Spool> spools_;
  std::map<NodeRef, Open> open_;
  std::uint64_t clock_ = 0;  // of ages and uses
};

}  // namespace leat::blobs
