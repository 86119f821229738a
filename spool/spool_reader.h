#pragma once

// spool_reader.h - bytes out of the packed output files.
//
// The warden writes DIR/spool/slot-S.G.out and .err: what slot S wrote while segment G was
// current, one run after the other.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>

#include "base/result.h"

namespace leat::spool {

enum class Stream : std::uint8_t { kOutput, kError };

// One file of the spool.
struct SegmentFile {
  std::uint16_t slot = 0;
  std::uint32_t segment = 0;
  Stream stream = Stream::kOutput;

  friend auto operator<=>(const SegmentFile&, const SegmentFile&) = default;
};

// "slot-3.17.out".
std::string file_name(const SegmentFile& file);

// Keeps the last kOpenMax files open. Thread: any one; calls block on a local file.
class SpoolReader {
 public:
  static constexpr std::size_t kOpenMax = 32;

  explicit SpoolReader(std::string directory) : directory_(std::move(directory)) {}
  ~SpoolReader();
  SpoolReader(const SpoolReader&) = delete;
  SpoolReader& operator=(const SpoolReader&) = delete;

  // Fills `buffer` from `offset` as far as the file goes; says how many bytes that are. Refused if
  // there is no such file, or if it is not a regular file of ours.
  Result<std::size_t> read(const SegmentFile& file, std::uint64_t offset,
                           std::span<std::byte> buffer);
  // Its size now.
  Result<std::uint64_t> size(const SegmentFile& file);
  // Before a file is removed.
  void forget(const SegmentFile& file);

 private:
  struct Open {
    int fd = -1;
    std::list<SegmentFile>::iterator age;
  };

  Result<int> open(const SegmentFile& file);

  std::string directory_;
  std::map<SegmentFile, Open> open_;
  std::list<SegmentFile> newest_first_;
};

}  // namespace leat::spool
