#include "spool/spool_index.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "spool/record_codec.h"
#include "spool/spool_records.h"

namespace leat::spool {
namespace {

// Entries of neighbouring positions lie together, so that adding one moves few others.
constexpr std::uint64_t kBlock = 512;
// A log below this is left alone.
constexpr std::uint64_t kLogBytesKept = 16u << 20;
constexpr std::uint64_t kBytesPerEntry = 64;

}  // namespace

Result<SpoolIndex> SpoolIndex::open(const std::string& directory) {
  std::vector<std::string> records;
  Result<RecordLog> log =
      RecordLog::open(directory + "/index.log", [&records](std::span<const std::byte> record) {
        records.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
      });
  if (!log.ok()) return log.refusal();
  SpoolIndex index(directory, std::move(log).value());
  for (const std::string& record : records) index.load(std::as_bytes(std::span(record)));
  return index;
}

void SpoolIndex::load(std::span<const std::byte> bytes) {
  const std::optional<IndexRecord> record = decode_index_record(bytes);
  if (!record) return;  // of a newer version, or damaged in a way the checksum missed
  const auto stage = stages_.find(record->stage);
  switch (record->kind) {
    case RecordKind::kStage:
      stages_.emplace(record->stage, Stage{record->indices, {}, {}});
      break;
    case RecordKind::kEntries:
      if (stage == stages_.end()) break;
      for (const RecordEntry& e : record->entries)
        if (e.position < stage->second.indices.size())
          insert(record->stage, {e.position, e.attempt, e.place});
      break;
    case RecordKind::kSilent:
      if (stage == stages_.end()) break;
      for (const Interval& interval : record->silent)
        if (interval.last < stage->second.indices.size())
          stage->second.silent[record->attempt].insert(interval);
      break;
    case RecordKind::kReleased:
      released_.insert(record->stage.job);
      forget_if_silent(record->stage.job);
      break;
    case RecordKind::kSegmentGone:
      remove_segment({record->slot, record->segment});
      break;
    case RecordKind::kCurrent:
      current_[record->slot] = std::max(current_[record->slot], record->segment);
      break;
  }
}

void SpoolIndex::add_stage(const StageRef& stage, const IndexList& indices) {
  if (!stages_.emplace(stage, Stage{indices, {}, {}}).second) return;
  IndexRecord record;
  record.kind = RecordKind::kStage;
  record.stage = stage;
  record.indices = indices;
  log_.append(encode_index_record(record));
}

void SpoolIndex::add(const RunId& run, const RunPlace& place) {
  const StageRef stage{run.job, run.stage};
  const auto found = stages_.find(stage);
  LEAT_CHECK(found != stages_.end());
  const std::optional<std::uint64_t> position = found->second.indices.position_of(run.index);
  if (!position) return;
  if (place.empty()) {
    found->second.silent[run.attempt].insert({*position, *position});
    new_silent_[{stage, run.attempt}].insert({*position, *position});
    return;
  }
  const Entry entry{*position, run.attempt, place};
  insert(stage, entry);
  new_entries_[stage].push_back(entry);
}

void SpoolIndex::insert(const StageRef& stage, const Entry& entry) {
  std::vector<Entry>& block = stages_.at(stage).blocks[entry.position / kBlock];
  const auto before = [](const Entry& a, const Entry& b) {
    return std::pair(a.position, a.attempt) < std::pair(b.position, b.attempt);
  };
  const auto at = std::lower_bound(block.begin(), block.end(), entry, before);
  // The same run twice: the exit was told again after a restart.
  if (at != block.end() && at->position == entry.position && at->attempt == entry.attempt) return;
  block.insert(at, entry);
  ++entry_count_;

  const SegmentKey key{entry.place.slot, entry.place.segment};
  const auto [found, is_new] = segments_.try_emplace(key);
  Segment& segment = found->second;
  if (is_new) segment.number = ++segments_seen_;
  const std::uint64_t bytes_before = segment.bytes();
  const auto end_of = [](const StreamRange& range) { return range.offset + range.length; };
  segment.output_bytes = std::max(segment.output_bytes, end_of(entry.place.output));
  segment.error_bytes = std::max(segment.error_bytes, end_of(entry.place.error));
  segment.jobs.insert(stage.job);
  total_bytes_ += segment.bytes() - bytes_before;
  std::uint32_t& current = current_[key.first];
  current = std::max(current, key.second);
  if (current == key.second && std::max(segment.output_bytes, segment.error_bytes) >= kSegmentBytes)
    ++current;
}

// Puts what was added into the log, before anything that comes after it.
void SpoolIndex::append_new() {
  for (const auto& [key, positions] : new_silent_) {
    IndexRecord record;
    record.kind = RecordKind::kSilent;
    record.stage = key.first;
    record.attempt = key.second;
    record.silent = positions.intervals();
    log_.append(encode_index_record(record));
  }
  for (const auto& [stage, entries] : new_entries_) {
    IndexRecord record;
    record.kind = RecordKind::kEntries;
    record.stage = stage;
    for (const Entry& e : entries) record.entries.push_back({e.position, e.attempt, e.place});
    log_.append(encode_index_record(record));
  }
  new_silent_.clear();
  new_entries_.clear();
}

Result<Done> SpoolIndex::write() {
  append_new();
  return log_.write();
}

std::optional<RunPlace> SpoolIndex::find(const RunId& run) const {
  const auto stage = stages_.find(StageRef{run.job, run.stage});
  if (stage == stages_.end()) return std::nullopt;
  const std::optional<std::uint64_t> position = stage->second.indices.position_of(run.index);
  if (!position) return std::nullopt;
  if (const auto silent = stage->second.silent.find(run.attempt);
      silent != stage->second.silent.end() && silent->second.contains(*position))
    return RunPlace{};
  const auto block = stage->second.blocks.find(*position / kBlock);
  if (block == stage->second.blocks.end()) return std::nullopt;
  for (const Entry& e : block->second)
    if (e.position == *position && e.attempt == run.attempt) return e.place;
  return std::nullopt;
}

void SpoolIndex::release(JobId job) {
  if (!released_.insert(job).second) return;
  IndexRecord record;
  record.kind = RecordKind::kReleased;
  record.stage.job = job;
  log_.append(encode_index_record(record));
  forget_if_silent(job);
}

std::uint32_t SpoolIndex::segment_for(std::uint16_t slot) const {
  const auto found = current_.find(slot);
  return found == current_.end() ? 0 : found->second;
}

std::vector<std::pair<SegmentFile, std::uint64_t>> SpoolIndex::files() const {
  std::vector<std::pair<SegmentFile, std::uint64_t>> files;
  for (const auto& [key, segment] : segments_) {
    const auto& [slot, number] = key;
    if (segment.output_bytes > 0)
      files.push_back({{slot, number, Stream::kOutput}, segment.output_bytes});
    if (segment.error_bytes > 0)
      files.push_back({{slot, number, Stream::kError}, segment.error_bytes});
  }
  return files;
}

bool SpoolIndex::empty() const {
  return std::all_of(stages_.begin(), stages_.end(), [](const auto& entry) {
    return entry.second.blocks.empty() && entry.second.silent.empty();
  });
}

void SpoolIndex::enforce_quota(std::uint64_t quota, SpoolReader& reader) {
  if (total_bytes_ <= quota) return;
  append_new();
  for (int i = 0; i < kRemovalsMax && total_bytes_ > quota; ++i) {
    auto oldest = segments_.end();
    for (auto s = segments_.begin(); s != segments_.end(); ++s) {
      const auto& [slot, number] = s->first;
      if (number >= segment_for(slot)) continue;  // still written
      const bool is_free = std::all_of(s->second.jobs.begin(), s->second.jobs.end(),
                                       [this](JobId job) { return released_.contains(job); });
      if (is_free && (oldest == segments_.end() || s->second.number < oldest->second.number))
        oldest = s;
    }
    if (oldest == segments_.end()) return;
    const SegmentKey key = oldest->first;
    for (const Stream stream : {Stream::kOutput, Stream::kError}) {
      const SegmentFile file{key.first, key.second, stream};
      reader.forget(file);
      ::unlink((directory_ + "/" + file_name(file)).c_str());
    }
    IndexRecord record;
    record.kind = RecordKind::kSegmentGone;
    record.slot = key.first;
    record.segment = key.second;
    log_.append(encode_index_record(record));
    remove_segment(key);
  }
}

void SpoolIndex::remove_segment(const SegmentKey& key) {
  const auto found = segments_.find(key);
  if (found == segments_.end()) return;
  total_bytes_ -= found->second.bytes();
  const std::set<JobId> jobs = std::move(found->second.jobs);
  segments_.erase(found);
  for (const JobId job : jobs) remove_entries(job, key);
}

void SpoolIndex::remove_entries(JobId job, const SegmentKey& key) {
  for (auto s = stages_.lower_bound(StageRef{job, 0}); s != stages_.end() && s->first.job == job;
       ++s) {
    for (auto block = s->second.blocks.begin(); block != s->second.blocks.end();) {
      entry_count_ -= std::erase_if(block->second, [&key](const Entry& e) {
        return SegmentKey{e.place.slot, e.place.segment} == key;
      });
      block = block->second.empty() ? s->second.blocks.erase(block) : std::next(block);
    }
  }
  forget_if_silent(job);
}

// Of released jobs without any bytes only the newest are remembered.
void SpoolIndex::forget_if_silent(JobId job) {
  if (!released_.contains(job) || released_.size() <= kSilentJobsMax) return;
  const JobId oldest = *released_.begin();
  const auto first = stages_.lower_bound(StageRef{oldest, 0});
  auto last = first;
  for (; last != stages_.end() && last->first.job == oldest; ++last)
    if (!last->second.blocks.empty()) return;
  stages_.erase(first, last);
  released_.erase(oldest);
}

Result<Done> SpoolIndex::compact_if_large() {
  const std::uint64_t needed = entry_count_ * kBytesPerEntry;
  if (log_.bytes() < kLogBytesKept || log_.bytes() < 2 * needed) return Done{};
  if (Result<Done> written = write(); !written.ok()) return written;
  return log_.rewrite(all_records());
}

std::vector<std::string> SpoolIndex::all_records() const {
  std::vector<std::string> records;
  const auto add = [&records](const IndexRecord& record) {
    records.push_back(encode_index_record(record));
  };
  for (const auto& [slot, segment] : current_) {
    IndexRecord record;
    record.kind = RecordKind::kCurrent;
    record.slot = slot;
    record.segment = segment;
    add(record);
  }
  for (const auto& [ref, stage] : stages_) {
    IndexRecord record;
    record.stage = ref;
    record.kind = RecordKind::kStage;
    record.indices = stage.indices;
    add(record);
    record.indices = IndexList();
    record.kind = RecordKind::kSilent;
    for (const auto& [attempt, positions] : stage.silent) {
      record.attempt = attempt;
      record.silent = positions.intervals();
      add(record);
    }
    record.silent.clear();
    record.kind = RecordKind::kEntries;
    for (const auto& [number, block] : stage.blocks) {
      record.entries.clear();
      for (const Entry& e : block) record.entries.push_back({e.position, e.attempt, e.place});
      add(record);
    }
  }
  for (const JobId job : released_) {
    IndexRecord record;
    record.kind = RecordKind::kReleased;
    record.stage.job = job;
    add(record);
  }
  return records;
}

}  // namespace leat::spool
