#include "node-agent/run_log.h"

#include <map>
#include <memory>
#include <span>
#include <tuple>

#include "node-agent/agent_codec.h"
#include "node-agent/report_queue.h"
#include "spool/record_codec.h"

namespace leat::agent {
namespace {

// Numbers on disk: never changed, never reused.
enum class LogKind : std::uint8_t {
  kStage = 1,         // encoded StartSet
  kEnded = 2,         // runs with their columns
  kAcknowledged = 3,  // runs
  kJoined = 4,        // head epoch, clock
  kForgotten = 5,     // job
  kOutputPlace = 6,   // address, server name, ticket
};

void put_kind(spool::RecordWriter& out, LogKind kind) {
  out.put(static_cast<std::uint8_t>(kind));
}

void put_runs(spool::RecordWriter& out, const RunSet& runs) {
  out.put(runs.stage.job.value);
  out.put(runs.stage.stage);
  out.put(runs.attempt);
  out.put_list(runs.indices);
}

RunSet take_runs(spool::RecordReader& in) {
  RunSet runs;
  runs.stage.job.value = in.take<std::uint64_t>();
  runs.stage.stage = in.take<std::uint16_t>();
  runs.attempt = in.take<std::uint32_t>();
  runs.indices = in.take_list();
  return runs;
}

template <typename T>
void put_column(spool::RecordWriter& out, const Column<T>& column) {
  out.put(static_cast<std::uint32_t>(column.values().size()));
  for (const T value : column.values()) out.put_signed(static_cast<std::int64_t>(value));
}

template <typename T>
Column<T> take_column(spool::RecordReader& in) {
  const std::size_t count = in.take<std::uint32_t>();
  if (count > in.left() / sizeof(std::int64_t)) {
    in.fail();
    return {};
  }
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(in.take_signed());
  return Column<T>(std::move(values));
}

void put_ended(spool::RecordWriter& out, const Ended& ended) {
  put_runs(out, ended.runs);
  put_column(out, ended.columns.outcome);
  put_column(out, ended.columns.code);
  put_column(out, ended.columns.start_us);
  put_column(out, ended.columns.duration_us);
  put_column(out, ended.columns.cpu_us);
  put_column(out, ended.columns.peak_kib);
  put_column(out, ended.columns.output_bytes);
  put_column(out, ended.columns.flags);
  out.put(static_cast<std::uint8_t>(ended.result ? 1 : 0));
  if (!ended.result) return;
  for (const std::byte b : ended.result->hash) out.put(std::to_integer<std::uint8_t>(b));
  out.put(ended.result->length);
}

Ended take_ended(spool::RecordReader& in) {
  Ended ended;
  ended.runs = take_runs(in);
  ended.columns.outcome = take_column<Outcome>(in);
  ended.columns.code = take_column<std::int32_t>(in);
  ended.columns.start_us = take_column<std::int64_t>(in);
  ended.columns.duration_us = take_column<std::int64_t>(in);
  ended.columns.cpu_us = take_column<std::int64_t>(in);
  ended.columns.peak_kib = take_column<std::int64_t>(in);
  ended.columns.output_bytes = take_column<std::int64_t>(in);
  ended.columns.flags = take_column<std::uint32_t>(in);
  if (!ended.columns.fit(ended.runs.indices.size())) in.fail();
  if (in.take<std::uint8_t>() == 0) return ended;
  BlobRef blob;
  for (std::byte& b : blob.hash) b = std::byte{in.take<std::uint8_t>()};
  blob.length = in.take<std::uint64_t>();
  ended.result = blob;
  return ended;
}

// Plays the records back.
class Recovery {
 public:
  void load(std::span<const std::byte> record) {
    spool::RecordReader in(record);
    const LogKind kind{in.take<std::uint8_t>()};
    switch (kind) {
      case LogKind::kStage: {
        const std::span<const std::byte> raw = in.take_bytes(in.left());
        Result<StartSet> set = stage_from_bytes(
            std::string_view(reinterpret_cast<const char*>(raw.data()), raw.size()));
        if (set.ok() && set.value().spec != nullptr)
          stages_[set.value().runs.stage] = std::move(set).value();
        break;
      }
      case LogKind::kEnded: {
        const Ended ended = take_ended(in);
        if (in.done()) load_ended(ended);
        break;
      }
      case LogKind::kAcknowledged: {
        const RunSet runs = take_runs(in);
        if (!in.done()) break;
        runs.indices.for_each(
            [this, &runs](Index index) { ended_.erase(run_id(runs.stage, runs.attempt, index)); });
        break;
      }
      case LogKind::kJoined:
        out_.head_epoch.value = in.take<std::uint64_t>();
        out_.head_clock_us = in.take_signed();
        break;
      case LogKind::kOutputPlace: {
        OutputPlace place{in.take_text(), in.take_text(), in.take_text()};
        if (in.done()) out_.output_place = std::move(place);
        break;
      }
      case LogKind::kForgotten: {
        const JobId job{in.take<std::uint64_t>()};
        stages_.erase(stages_.lower_bound(StageRef{job, 0}),
                      stages_.upper_bound(StageRef{job, 0xffff}));
        break;
      }
    }
  }

  RecoveredLog finish() {
    for (auto& [stage, set] : stages_) out_.stages.push_back(std::move(set));
    std::vector<std::pair<RunId, RunResult>> plain;
    for (auto& [run, what] : ended_) {
      if (!what.second) {
        plain.emplace_back(run, what.first);
        continue;
      }
      out_.ended.push_back(std::move(fold({{run, what.first}}).front()));
      out_.ended.back().result = what.second;
    }
    for (Ended& ended : fold(std::move(plain))) out_.ended.push_back(std::move(ended));
    return std::move(out_);
  }

 private:
  void load_ended(const Ended& ended) {
    std::size_t n = 0;
    ended.runs.indices.for_each([this, &ended, &n](Index index) {
      ended_[run_id(ended.runs.stage, ended.runs.attempt, index)] = {row_of(ended.columns, n++),
                                                                     ended.result};
    });
  }

  RecoveredLog out_;
  std::map<StageRef, StartSet> stages_;
  std::map<RunId, std::pair<RunResult, std::optional<BlobRef>>> ended_;
};

std::string stage_record(const StartSet& set) {
  spool::RecordWriter out;
  put_kind(out, LogKind::kStage);
  return out.text() + stage_to_bytes(set);
}

std::string ended_record(const Ended& ended) {
  spool::RecordWriter out;
  put_kind(out, LogKind::kEnded);
  put_ended(out, ended);
  return out.text();
}

std::string joined_record(HeadEpoch head_epoch, std::int64_t head_clock_us) {
  spool::RecordWriter out;
  put_kind(out, LogKind::kJoined);
  out.put(head_epoch.value);
  out.put_signed(head_clock_us);
  return out.text();
}

std::string place_record(const OutputPlace& place) {
  spool::RecordWriter out;
  put_kind(out, LogKind::kOutputPlace);
  out.put_text(place.address);
  out.put_text(place.server_name);
  out.put_text(place.ticket);
  return out.text();
}

}  // namespace

Result<std::pair<RunLog, RecoveredLog>> RunLog::open(const std::string& path) {
  Recovery recovery;
  Result<spool::RecordLog> log = spool::RecordLog::open(
      path, [&recovery](std::span<const std::byte> record) { recovery.load(record); });
  if (!log.ok()) return log.refusal();
  RecoveredLog found = recovery.finish();
  found.dropped_bytes = log.value().dropped_bytes();
  return std::pair<RunLog, RecoveredLog>(RunLog(std::move(log).value()), std::move(found));
}

void RunLog::stage(const StartSet& set) {
  log_.append(stage_record(set));
}

void RunLog::ended(const std::vector<Ended>& ended) {
  for (const Ended& e : ended) log_.append(ended_record(e));
}

void RunLog::acknowledged(const std::vector<Ended>& ended) {
  for (const Ended& e : ended) {
    spool::RecordWriter out;
    put_kind(out, LogKind::kAcknowledged);
    put_runs(out, e.runs);
    log_.append(out.text());
  }
}

void RunLog::joined(HeadEpoch head_epoch, std::int64_t head_clock_us) {
  log_.append(joined_record(head_epoch, head_clock_us));
}

void RunLog::output_place(const OutputPlace& place) {
  log_.append(place_record(place));
}

void RunLog::forgotten(JobId job) {
  spool::RecordWriter out;
  put_kind(out, LogKind::kForgotten);
  out.put(job.value);
  log_.append(out.text());
}

Result<Done> RunLog::rewrite(const RecoveredLog& content) {
  std::vector<std::string> records;
  records.push_back(joined_record(content.head_epoch, content.head_clock_us));
  records.push_back(place_record(content.output_place));
  for (const StartSet& set : content.stages) records.push_back(stage_record(set));
  for (const Ended& ended : content.ended) records.push_back(ended_record(ended));
  // What is not written yet is part of `content`.
  if (Result<Done> written = log_.write(); !written.ok()) return written;
  Result<Done> done = log_.rewrite(records);
  rewritten_ = log_.bytes();
  return done;
}

}  // namespace leat::agent
