#pragma once

// spool_index.h - which bytes of the packed spool belong to which run, and how long they are kept.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/index_list.h"
#include "base/interval_set.h"
#include "base/result.h"
#include "spool/record_log.h"
#include "spool/spool_reader.h"

namespace leat::spool {

// A slot goes on to its next segment when one of the two files has grown this large.
inline constexpr std::uint64_t kSegmentBytes = 64u << 20;
// Released jobs that left no output at all are remembered up to this many.
inline constexpr std::size_t kSilentJobsMax = 4096;

struct StreamRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool truncated = false;  // output over the limit was cut

  friend bool operator==(const StreamRange&, const StreamRange&) = default;
};

// Where an ended run's output is.
struct RunPlace {
  std::uint16_t slot = 0;
  std::uint32_t segment = 0;
  StreamRange output;
  StreamRange error;

  bool empty() const {
    return output.length == 0 && error.length == 0 && !output.truncated && !error.truncated;
  }
  friend bool operator==(const RunPlace&, const RunPlace&) = default;
};

// Index of DIR/spool, kept in memory and in DIR/spool/index.log. Runs without output are ranges: a
// million of them cost next to nothing. Output of a job that has not been released is never
// deleted; of released ones the oldest segments go when the spool is over its quota.
//
// Owns the log. Thread: any one; calls block on local files.
class SpoolIndex {
 public:
  // `directory` must exist.
  static Result<SpoolIndex> open(const std::string& directory);

  // Once per stage, before its first run; repeating it changes nothing.
  void add_stage(const StageRef& stage, const IndexList& indices);
  bool knows(const StageRef& stage) const { return stages_.contains(stage); }

  // Precondition: the stage is known. Runs that are not in it are ignored.
  void add(const RunId& run, const RunPlace& place);
  // Writes what was added. If refused, call again later.
  Result<Done> write();

  // Nothing if the run did not end here, or its output is gone.
  std::optional<RunPlace> find(const RunId& run) const;

  void release(JobId job);

  // Into which segment the next run of a slot writes.
  std::uint32_t segment_for(std::uint16_t slot) const;

  // Removes segments, oldest first, until the spool is within `quota` or nothing more may go.
  // Tells `reader` of each. At most kRemovalsMax in one call.
  void enforce_quota(std::uint64_t quota, SpoolReader& reader);
  static constexpr int kRemovalsMax = 16;

  // Rewrites the log if most of it is not needed any more.
  Result<Done> compact_if_large();

  // The files that outputs lie in, and how long they are as far as ended runs have written them.
  std::vector<std::pair<SegmentFile, std::uint64_t>> files() const;
  // Whether nothing is known of any run.
  bool empty() const;

  std::uint64_t total_bytes() const { return total_bytes_; }
  std::size_t entry_count() const { return entry_count_; }
  std::uint64_t dropped_bytes() const { return log_.dropped_bytes(); }

 private:
  struct Entry {
    std::uint64_t position = 0;
    Attempt attempt = 0;
    RunPlace place;
  };
  struct Stage {
    IndexList indices;
    std::map<std::uint64_t, std::vector<Entry>> blocks;  // position / kBlock -> sorted
    std::map<Attempt, IntervalSet> silent;               // positions of runs without output
  };
  using SegmentKey = std::pair<std::uint16_t, std::uint32_t>;  // slot, segment
  struct Segment {
    std::uint64_t number = 0;  // order of first use
    std::uint64_t output_bytes = 0;
    std::uint64_t error_bytes = 0;
    std::set<JobId> jobs;
    std::uint64_t bytes() const { return output_bytes + error_bytes; }
  };

  SpoolIndex(std::string directory, RecordLog log)
      : directory_(std::move(directory)), log_(std::move(log)) {}

  void append_new();
  void load(std::span<const std::byte> bytes);
  void insert(const StageRef& stage, const Entry& entry);
  void remove_segment(const SegmentKey& key);
  void remove_entries(JobId job, const SegmentKey& key);
  void forget_if_silent(JobId job);
  std::vector<std::string> all_records() const;

  static std::string stage_record(const StageRef& stage, const IndexList& indices);
  static std::string silent_record(const StageRef& stage, Attempt attempt,
                                   const IntervalSet& positions);

  std::string directory_;
  RecordLog log_;
  std::map<StageRef, Stage> stages_;
  std::map<SegmentKey, Segment> segments_;
  std::map<std::uint16_t, std::uint32_t> current_;  // the newest segment of each slot
  std::set<JobId> released_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t segments_seen_ = 0;
  std::size_t entry_count_ = 0;
  std::map<std::pair<StageRef, Attempt>, IntervalSet> new_silent_;  // added since write()
  std::map<StageRef, std::vector<Entry>> new_entries_;
};

}  // namespace leat::spool
