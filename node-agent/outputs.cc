#include "node-agent/outputs.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

namespace leat::agent {
namespace {

// How often a live file is looked at while somebody waits for it. Kernels tell nobody when
// splice(2) has made a file longer, so inotify is of no use here.
constexpr kj::Duration kLookAgain = 100 * kj::MILLISECONDS;

Refusal no_output(const RunId& run) {
  return {Reason::kNotFound, "no output of " + std::to_string(run.job.value) + "." +
                                 std::to_string(run.stage) + "." + std::to_string(run.index) +
                                 " (attempt " + std::to_string(run.attempt) + ") on this node"};
}

const spool::StreamRange& range_of(const spool::RunPlace& place, spool::Stream stream) {
  return stream == spool::Stream::kOutput ? place.output : place.error;
}

// Appends exactly `length` bytes to `out`, or says what is wrong.
Result<Done> append(spool::SpoolReader& reader, const spool::SegmentFile& file,
                    std::uint64_t offset, std::uint64_t length, std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + length);
  const Result<std::size_t> n =
      reader.read(file, offset, std::as_writable_bytes(std::span(out).subspan(before)));
  if (!n.ok()) return n.refusal();
  if (n.value() != length)
    return Refusal{Reason::kNotFound, spool::file_name(file) + ": is shorter than its index says"};
  return Done{};
}

}  // namespace

void Outputs::launched(const RunId& run) {
  live_.try_emplace(run);
}

void Outputs::live(const RunId& run, const spool::RunPlace& start) {
  live_[run] = Live{true, start};
}

void Outputs::ended(const RunId& run, const spool::RunPlace& place) {
  index_.add(run, place);
  live_.erase(run);
}

Result<Outputs::Piece> Outputs::read(const RunId& run, spool::Stream stream, std::uint64_t offset,
                                     std::uint64_t length) {
  Piece piece;
  spool::RunPlace place;
  spool::StreamRange range;
  if (const std::optional<spool::RunPlace> found = index_.find(run)) {
    place = *found;
    range = range_of(place, stream);
    piece.finished = true;
  } else {
    const auto live = live_.find(run);
    if (live == live_.end()) return no_output(run);
    if (!live->second.started) return piece;
    place = live->second.start;
    range = range_of(place, stream);
    const Result<std::uint64_t> size = reader_.size({place.slot, place.segment, stream});
    if (!size.ok()) return size.refusal();
    range.length = std::max(size.value(), range.offset) - range.offset;
  }
  piece.total = range.length;
  piece.truncated = range.truncated;
  if (offset >= range.length) return piece;
  const std::uint64_t wanted = std::min({length, kReadBytesMax, range.length - offset});
  const Result<Done> done = append(reader_, {place.slot, place.segment, stream},
                                   range.offset + offset, wanted, piece.data);
  if (!done.ok()) return done.refusal();
  return piece;
}

kj::Promise<void> Outputs::wait(const RunId& run, spool::Stream stream, std::uint64_t offset,
                                std::uint64_t length) {
  if (length == 0) return kj::READY_NOW;
  return wait_until(run, stream, offset, timer_.now() + kLiveWait);
}

kj::Promise<void> Outputs::wait_until(RunId run, spool::Stream stream, std::uint64_t offset,
                                      kj::TimePoint deadline) {
  const Result<Piece> there = read(run, stream, offset, 0);
  const bool waits = there.ok() && !there.value().finished && there.value().total <= offset;
  if (!waits || timer_.now() >= deadline) return kj::READY_NOW;
  return timer_.afterDelay(kLookAgain).then([this, run, stream, offset, deadline]() {
    return wait_until(run, stream, offset, deadline);
  });
}

Result<Outputs::SetPiece> Outputs::read_set(const RunSet& runs, std::uint64_t position,
                                            std::uint64_t offset, std::uint64_t length) {
  SetPiece piece;
  piece.position = position;
  piece.offset = offset;
  const std::uint64_t wanted = std::min(length, kReadBytesMax);
  for (std::uint64_t looked_at = 0; looked_at < kRunsPerRead; ++looked_at) {
    if (piece.position >= runs.indices.size()) {
      piece.finished = true;
      return piece;
    }
    const RunId run = run_id(runs.stage, runs.attempt, runs.indices.at(piece.position));
    const std::optional<spool::RunPlace> place = index_.find(run);
    if (!place) return no_output(run);
    const std::uint64_t left = place->output.length - std::min(place->output.length, piece.offset);
    const std::uint64_t take = std::min(left, wanted - piece.data.size());
    if (take > 0) {
      const Result<Done> done =
          append(reader_, {place->slot, place->segment, spool::Stream::kOutput},
                 place->output.offset + piece.offset, take, piece.data);
      if (!done.ok()) return done.refusal();
    }
    if (take < left) {
      piece.offset += take;
      return piece;
    }
    ++piece.position;
    piece.offset = 0;
  }
  return piece;
}

}  // namespace leat::agent
