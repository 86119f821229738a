#pragma once

// rank_frames.h - one stream that carries the output of many ranks, and can be taken apart again.
//
// A record is a header of four little-endian u32 - kRankFrameMagic, rank, length of the content,
// CRC32C of rank, length and content - and then the content. Records are whole and never
// interleave. A reader that meets anything else (a log cut at its limit, a turned bit) goes on at
// the next whole record and counts what it left out.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace leat::spool {

inline constexpr std::uint32_t kRankFrameMagic = 0x314b524c;  // "LRK1"
inline constexpr std::size_t kRankFrameHeaderBytes = 16;
inline constexpr std::size_t kRankFrameContentMax = 64 * 1024;
// Who speaks when no rank does: the launcher itself. In older streams also a coordination command.
inline constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();
// The application command of a gang without ranks.
inline constexpr std::uint32_t kApplication = kNoRank - 1;
// The launcher again, to programs: where its ranks are (spool/rank_places.h), and what else it has
// started (spool/subtasks.h). Nobody's output.
inline constexpr std::uint32_t kAboutRanks = kNoRank - 2;
// The coordination command.
inline constexpr std::uint32_t kCoordination = kNoRank - 3;
// From here on: what leat-rsh has started on this node, in order. Ranks are below.
inline constexpr std::uint32_t kFirstSubtask = 1u << 31;
inline constexpr std::uint32_t kSubtaskNumberMax = kNoRank - 256 - kFirstSubtask;

// For people: "rank 3", "launcher", "application", "about ranks", "coordination",
// "subtask 2" (the first is 0).
std::string frame_name(std::uint32_t rank);

// Appends `content` as one record. Precondition: at most kRankFrameContentMax bytes.
void append_rank_frame(std::string& out, std::uint32_t rank, std::string_view content);

// Takes a stream apart. Owns what has come of a record that is not whole yet: at most one record.
class RankFrameReader {
 public:
  using OnRecord = std::function<void(std::uint32_t rank, std::string_view content)>;

  explicit RankFrameReader(OnRecord on_record) : on_record_(std::move(on_record)) {}

  // The next bytes of the stream, cut anywhere.
  void feed(std::string_view bytes);
  // The stream is over: what is left of a record counts as skipped.
  void finish();

  // Bytes that belonged to no whole record.
  std::uint64_t skipped_bytes() const { return skipped_; }

 private:
  // Takes one record off `from`, or skips to where the next may begin; how many bytes that took.
  // 0: more bytes are needed.
  std::size_t take_one(std::string_view from);

  OnRecord on_record_;
  std::string pending_;
  std::uint64_t skipped_ = 0;
};

}  // namespace leat::spool
