#include "tests/sim/disk.h"

namespace leat::sim {

kj::Promise<void> Disk::append(store::TurnRecord turn) {
  auto paf = kj::newPromiseAndFulfiller<void>();
  if (lies_) paf.fulfiller->fulfill();
  pending_.push_back({std::move(turn), kj::mv(paf.fulfiller)});
  const Duration delay(200 + static_cast<std::int64_t>(random_.below(lies_ ? 200'000 : 5'000)));
  events_.after(delay, [this, life = life_] { write_oldest(life); });
  return kj::mv(paf.promise);
}

void Disk::write_oldest(std::uint64_t life) {
  if (life != life_ || pending_.empty()) return;
  Pending oldest = std::move(pending_.front());
  pending_.erase(pending_.begin());
  write(std::move(oldest.turn));
  oldest.done->fulfill();
}

void Disk::write(store::TurnRecord turn) {
  newest_ = turn.sequence;
  facts_[turn.sequence] = std::move(turn.facts);
  for (store::SnapshotRow& row : turn.rows)
    rows_[row.key][turn.round] =
        row.erased ? std::nullopt : std::optional<std::string>(std::move(row.bytes));
  if (!turn.seal) return;
  ++seals_;
  seal_ = *turn.seal;
  facts_.erase(facts_.begin(), facts_.upper_bound(seal_.sequence));
}

void Disk::crash() {
  ++life_;
  const std::size_t survivors = lies_ ? 0 : random_.below(pending_.size() + 1);
  for (std::size_t n = 0; n < survivors; ++n) write(std::move(pending_[n].turn));
  pending_.clear();
}

Result<Done> Disk::each_row(const VisitRow& visit) {
  for (const auto& [key, versions] : rows_) {
    const auto after = versions.upper_bound(seal_.sequence);
    if (after == versions.begin()) continue;
    const std::optional<std::string>& bytes = std::prev(after)->second;
    if (!bytes) continue;
    Result<Done> done = visit(key, *bytes);
    if (!done.ok()) return done;
  }
  return Done{};
}

Result<Done> Disk::each_turn(const VisitTurn& visit) {
  for (const auto& [sequence, facts] : facts_) {
    Result<Done> done = visit(sequence, facts);
    if (!done.ok()) return done;
  }
  return Done{};
}

kj::Promise<std::optional<store::RunPlace>> Disk::find_run(StageRef, Index) {
  return std::optional<store::RunPlace>();
}

kj::Promise<std::optional<core::Job>> Disk::find_job(JobId) {
  return std::optional<core::Job>();
}

kj::Promise<std::vector<core::Job>> Disk::find_jobs(JobId, std::uint32_t) {
  return std::vector<core::Job>();
}

}  // namespace leat::sim
