#include "scheduler/store/snapshot.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "base/check.h"
#include "scheduler/store/fact_codec.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/row_codec.h"

namespace leat::store {
namespace {

constexpr unsigned kStageShift = 48;
constexpr std::uint64_t kFirstMask = (std::uint64_t{1} << kStageShift) - 1;

std::uint64_t cells_per_row(std::uint64_t size) {
  return std::max(kCellsPerRow, (size - 1) / kCellRowsPerStage + 1);
}

StageId stage_of(const RowKey& key) {
  return static_cast<StageId>(key.part >> kStageShift);
}

// The bytes of a row; nothing if the state has no such thing.
std::optional<std::string> bytes_of_row(const RowKey& key, const core::State& state) {
  if (key.kind == RowKind::kMeta) return encode_meta(state.meta());
  if (key.kind == RowKind::kPool) {
    const core::Pool* pool = state.pool(PoolId{static_cast<std::uint32_t>(key.id)});
    return pool == nullptr ? std::nullopt : std::optional(encode_pool(*pool));
  }
  if (key.kind == RowKind::kNode) {
    const core::Node* node = state.node(NodeId{static_cast<std::uint32_t>(key.id)});
    return node == nullptr ? std::nullopt : std::optional(encode_node(*node));
  }
  if (key.kind == RowKind::kKeys) {
    constexpr std::uint64_t kPerPage = core::GrantedWishes::kPerPage;
    const core::GrantedWishes& granted = state.granted();
    const bool there =
        (key.id + 1) * kPerPage > granted.first() && key.id * kPerPage < granted.next();
    return there ? std::optional(encode_keys(granted, key.id)) : std::nullopt;
  }
  const core::Job* job = state.job(JobId{key.id});
  if (job == nullptr) return std::nullopt;
  if (key.kind == RowKind::kJob) return encode_job(*job);
  if (!job->active()) return std::nullopt;
  if (key.kind == RowKind::kSpec) return *job->spec->encoded;
  if (key.kind == RowKind::kGang) {
    const core::Gang* gang = state.gang({job->id, stage_of(key)}, key.part & kFirstMask);
    return gang == nullptr ? std::nullopt : std::optional(encode_gang(*gang));
  }
  const core::Stage& stage = job->stages.at(stage_of(key));
  return encode_cells(stage, cells_covered(key, stage.cells.size()));
}

}  // namespace

RowKey gang_key(const core::GangRef& gang) {
  return {RowKind::kGang, gang.first.job.value,
          (std::uint64_t{gang.first.stage} << kStageShift) | gang.second};
}

core::GangRef gang_of(const RowKey& key) {
  return {{JobId{key.id}, stage_of(key)}, key.part & kFirstMask};
}

RowKey cells_key(StageRef stage, std::uint64_t size, std::uint64_t position) {
  const std::uint64_t span = cells_per_row(size);
  return {RowKind::kCells, stage.job.value,
          (std::uint64_t{stage.stage} << kStageShift) | (position / span * span)};
}

Interval cells_covered(const RowKey& key, std::uint64_t size) {
  const std::uint64_t first = key.part & kFirstMask;
  return {first, std::min(first + cells_per_row(size), size) - 1};
}

void Snapshotter::encode(const RowKey& key, const core::State& state) {
  pending_.erase(key);
  std::optional<std::string> bytes = bytes_of_row(key, state);
  // What is neither there nor on disk needs no word.
  if (!bytes && !stored_.contains(key)) return;
  SnapshotRow row{key, {}, !bytes};
  if (bytes) row.bytes = std::move(*bytes);
  row.erased ? void(stored_.erase(key)) : void(stored_.insert(key));
  encoded_bytes_ += row.bytes.size();
  encoded_.push_back(std::move(row));
  round_.push_back(key);
}

void Snapshotter::touch(const RowKey& key, const core::State& state) {
  if (pending_.contains(key)) encode(key, state);
  dirty_.insert(key);
}

void Snapshotter::touch_cells_of(JobId job, const core::State& state) {
  const RowKey begin{RowKind::kCells, job.value, 0};
  const RowKey end{RowKind::kCells, job.value, std::numeric_limits<std::uint64_t>::max()};
  while (true) {
    const auto at = pending_.lower_bound(begin);
    if (at == pending_.end() || *at > end) break;
    encode(RowKey(*at), state);
  }
  dirty_.erase(dirty_.lower_bound(begin), dirty_.upper_bound(end));
  dirty_.insert(stored_.lower_bound(begin), stored_.upper_bound(end));
}

void Snapshotter::before(const core::Fact& fact, const core::State& state) {
  const Touched touched = rows_of(fact, state);
  for (const RowKey& key : touched.rows) touch(key, state);
  if (touched.cells_of) touch_cells_of(*touched.cells_of, state);
}

void Snapshotter::after_turn(const core::State& state, Time at, TurnRecord& turn) {
  fact_bytes_ += turn.facts.size();
  const bool idle = !boundary_ && superseded_.empty();
  if (idle && fact_bytes_ >= limits_.fact_bytes_per_round) {
    boundary_ = Seal{turn.sequence, at};
    LEAT_CHECK(pending_.empty() && round_.empty());
    pending_.swap(dirty_);
    fact_bytes_ = 0;
  }
  if (boundary_) {
    while (!pending_.empty() && encoded_bytes_ < limits_.bytes_per_turn)
      encode(RowKey(*pending_.begin()), state);
    turn.round = boundary_->sequence;
    turn.rows = std::exchange(encoded_, {});
    encoded_bytes_ = 0;
    if (pending_.empty()) {
      turn.seal = std::exchange(boundary_, std::nullopt);
      superseded_ = std::exchange(round_, {});
    }
    return;
  }
  const std::size_t count = std::min(superseded_.size(), limits_.superseded_per_turn);
  const auto from = superseded_.end() - static_cast<std::ptrdiff_t>(count);
  turn.superseded.assign(from, superseded_.end());
  superseded_.erase(from, superseded_.end());
}

void Recorder::before(const core::Fact& fact, const core::State& state, Time at) {
  snapshotter_.before(fact, state);
  // Its tasks are forgotten as the fact is applied.
  if (const auto* ended = std::get_if<core::JobEnded>(&fact))
    ending_ = std::make_shared<const core::PastTasks>(core::past_tasks(*state.job(ended->job)));
  if (const auto* gone = std::get_if<core::NodeGone>(&fact))
    history_.uses.push_back(use_row(*gone, state, at));
}

void Recorder::after(const core::Fact& fact, const core::State& state, Time at) {
  history_of(fact, state, at, history_);
  const auto* ended = std::get_if<core::JobEnded>(&fact);
  if (ended == nullptr) return;
  core::Job job = *state.job(ended->job);
  job.past = std::exchange(ending_, nullptr);
  history_.jobs.back().summary = encode_job(job);
}

TurnRecord Recorder::finish(const core::Facts& facts, const core::State& state, Time at) {
  LEAT_CHECK(!facts.empty());
  TurnRecord turn;
  turn.sequence = next_sequence_++;
  turn.facts = encode_turn(facts, at, state.meta().epoch);
  turn.history = std::exchange(history_, {});
  snapshotter_.after_turn(state, at, turn);
  return turn;
}

}  // namespace leat::store
