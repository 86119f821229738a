#include "spool/rank_frames.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/crc32c.h"
#include "spool/little_endian.h"

namespace leat::spool {
namespace {

constexpr std::string_view kMagicBytes = "LRK1";

std::uint32_t checksum(std::string_view rank_and_length, std::string_view content) {
  return crc32c(std::as_bytes(std::span(content)),
                crc32c(std::as_bytes(std::span(rank_and_length))));
}

// Where in `from`, after its first byte, a record may begin.
std::size_t next_start(std::string_view from) {
  const std::size_t found = from.find(kMagicBytes, 1);
  if (found != std::string_view::npos) return found;
  // The beginning of a magic number may be all that has come so far.
  for (std::size_t tail = std::min(kMagicBytes.size() - 1, from.size() - 1); tail > 0; --tail)
    if (from.substr(from.size() - tail) == kMagicBytes.substr(0, tail)) return from.size() - tail;
  return from.size();
}

}  // namespace

std::string frame_name(std::uint32_t rank) {
  if (rank == kNoRank) return "launcher";
  if (rank == kApplication) return "application";
  if (rank == kAboutRanks) return "about ranks";
  if (rank == kCoordination) return "coordination";
  if (rank >= kFirstSubtask) return "subtask " + std::to_string(rank - kFirstSubtask);
  return "rank " + std::to_string(rank);
}

void append_rank_frame(std::string& out, std::uint32_t rank, std::string_view content) {
  LEAT_CHECK(content.size() <= kRankFrameContentMax);
  put_u32(out, kRankFrameMagic);
  const std::size_t checked = out.size();
  put_u32(out, rank);
  put_u32(out, static_cast<std::uint32_t>(content.size()));
  put_u32(out, checksum(std::string_view(out).substr(checked), content));
  out.append(content);
}

void RankFrameReader::feed(std::string_view bytes) {
  pending_.append(bytes);
  std::size_t taken = 0;
  while (taken < pending_.size()) {
    const std::size_t step = take_one(std::string_view(pending_).substr(taken));
    if (step == 0) break;
    taken += step;
  }
  pending_.erase(0, taken);
}

void RankFrameReader::finish() {
  // What looked like a record that has not ended may have hidden whole ones.
  while (!pending_.empty()) {
    const std::size_t step = next_start(pending_);
    skipped_ += step;
    pending_.erase(0, step);
    feed({});
  }
}

std::size_t RankFrameReader::take_one(std::string_view from) {
  const std::size_t common = std::min(from.size(), kMagicBytes.size());
  const bool may_begin = from.substr(0, common) == kMagicBytes.substr(0, common);
  if (may_begin && from.size() < kRankFrameHeaderBytes) return 0;
  if (may_begin) {
    const std::size_t length = get_u32(from.data() + 8);
    if (length <= kRankFrameContentMax) {
      if (from.size() < kRankFrameHeaderBytes + length) return 0;
      const std::string_view content = from.substr(kRankFrameHeaderBytes, length);
      if (checksum(from.substr(4, 8), content) == get_u32(from.data() + 12)) {
        on_record_(get_u32(from.data() + 4), content);
        return kRankFrameHeaderBytes + length;
      }
    }
  }
  const std::size_t step = next_start(from);
  skipped_ += step;
  return step;
}

}  // namespace leat::spool
