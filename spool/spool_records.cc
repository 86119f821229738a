#include "spool/spool_records.h"

#include "spool/record_codec.h"

namespace leat::spool {
namespace {

// What one entry or interval takes at least: bounds a count before memory is taken for it.
constexpr std::size_t kEntryBytes = 8 + 4 + 2 + 4 + 4 * 8 + 1;
constexpr std::size_t kIntervalBytes = 16;

void put_entry(RecordWriter& out, const RecordEntry& entry) {
  out.put(entry.position);
  out.put(entry.attempt);
  out.put(entry.place.slot);
  out.put(entry.place.segment);
  out.put(entry.place.output.offset);
  out.put(entry.place.output.length);
  out.put(entry.place.error.offset);
  out.put(entry.place.error.length);
  const int flags = (entry.place.output.truncated ? 1 : 0) | (entry.place.error.truncated ? 2 : 0);
  out.put(static_cast<std::uint8_t>(flags));
}

RecordEntry take_entry(RecordReader& in) {
  RecordEntry entry;
  entry.position = in.take<std::uint64_t>();
  entry.attempt = in.take<std::uint32_t>();
  entry.place.slot = in.take<std::uint16_t>();
  entry.place.segment = in.take<std::uint32_t>();
  entry.place.output.offset = in.take<std::uint64_t>();
  entry.place.output.length = in.take<std::uint64_t>();
  entry.place.error.offset = in.take<std::uint64_t>();
  entry.place.error.length = in.take<std::uint64_t>();
  const std::uint8_t flags = in.take<std::uint8_t>();
  entry.place.output.truncated = (flags & 1) != 0;
  entry.place.error.truncated = (flags & 2) != 0;
  return entry;
}

// How many of `size` bytes each follow; fails the reader if they cannot.
std::size_t take_count(RecordReader& in, std::size_t size) {
  const std::size_t count = in.take<std::uint32_t>();
  if (count <= in.left() / size) return count;
  in.fail();
  return 0;
}

}  // namespace

std::string encode_index_record(const IndexRecord& record) {
  RecordWriter out;
  out.put(static_cast<std::uint8_t>(record.kind));
  switch (record.kind) {
    case RecordKind::kStage:
    case RecordKind::kEntries:
    case RecordKind::kSilent:
    case RecordKind::kReleased:
      out.put(record.stage.job.value);
      out.put(record.stage.stage);
      break;
    case RecordKind::kSegmentGone:
    case RecordKind::kCurrent:
      out.put(record.slot);
      out.put(record.segment);
      break;
  }
  if (record.kind == RecordKind::kStage) out.put_list(record.indices);
  if (record.kind == RecordKind::kEntries) {
    out.put(static_cast<std::uint32_t>(record.entries.size()));
    for (const RecordEntry& entry : record.entries) put_entry(out, entry);
  }
  if (record.kind == RecordKind::kSilent) {
    out.put(record.attempt);
    out.put(static_cast<std::uint32_t>(record.silent.size()));
    for (const Interval& interval : record.silent) {
      out.put(interval.first);
      out.put(interval.last);
    }
  }
  return out.text();
}

std::optional<IndexRecord> decode_index_record(std::span<const std::byte> bytes) {
  RecordReader in(bytes);
  IndexRecord record;
  record.kind = static_cast<RecordKind>(in.take<std::uint8_t>());
  if (record.kind < RecordKind::kStage || record.kind > RecordKind::kCurrent) return std::nullopt;
  if (record.kind == RecordKind::kSegmentGone || record.kind == RecordKind::kCurrent) {
    record.slot = in.take<std::uint16_t>();
    record.segment = in.take<std::uint32_t>();
  } else {
    record.stage.job.value = in.take<std::uint64_t>();
    record.stage.stage = in.take<std::uint16_t>();
  }
  if (record.kind == RecordKind::kStage) record.indices = in.take_list();
  if (record.kind == RecordKind::kEntries) {
    record.entries.resize(take_count(in, kEntryBytes));
    for (RecordEntry& entry : record.entries) entry = take_entry(in);
  }
  if (record.kind == RecordKind::kSilent) {
    record.attempt = in.take<std::uint32_t>();
    record.silent.resize(take_count(in, kIntervalBytes));
    for (Interval& interval : record.silent) {
      interval.first = in.take<std::uint64_t>();
      interval.last = in.take<std::uint64_t>();
      if (interval.first > interval.last) in.fail();
    }
  }
  if (!in.done()) return std::nullopt;
  return record;
}

}  // namespace leat::spool
