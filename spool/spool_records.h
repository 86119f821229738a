#pragma once

// spool_records.h - what a record of index.log looks like.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/interval_set.h"
#include "spool/spool_index.h"

namespace leat::spool {

// Numbers on disk: never changed, never reused.
enum class RecordKind : std::uint8_t {
  kStage = 1,        // stage, indices
  kEntries = 2,      // stage, entries
  kSilent = 3,       // stage, attempt, silent: runs without output
  kReleased = 4,     // stage.job
  kSegmentGone = 5,  // slot, segment
  kCurrent = 6,      // slot, segment
};

struct RecordEntry {
  std::uint64_t position = 0;
  Attempt attempt = 0;
  RunPlace place;
};

// Which members mean something depends on the kind.
struct IndexRecord {
  RecordKind kind = RecordKind::kStage;
  StageRef stage;
  IndexList indices;
  std::vector<RecordEntry> entries;
  Attempt attempt = 0;
  std::vector<Interval> silent;
  std::uint16_t slot = 0;
  std::uint32_t segment = 0;
};

std::string encode_index_record(const IndexRecord& record);
// Nothing if it makes no sense.
std::optional<IndexRecord> decode_index_record(std::span<const std::byte> bytes);

}  // namespace leat::spool
