#pragma once

// memory_file.h - what a store keeps, in memory: as StoreFile does, without the disk.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "scheduler/store/store.h"

namespace leat::store {

class MemoryFile final : public Contents {
 public:
  void append(const TurnRecord& turn) {
    LEAT_CHECK(turn.sequence == newest_ + 1);
    newest_ = turn.sequence;
    sweep();
    turns_[turn.sequence] = turn.facts;
    for (const SnapshotRow& row : turn.rows)
      rows_[row.key][turn.round] = row.erased ? std::nullopt : std::optional(row.bytes);
    if (turn.seal) {
      seal_ = *turn.seal;
      turns_.erase(turns_.begin(), turns_.upper_bound(seal_.sequence));
    }
    for (const RowKey& key : turn.superseded) drop_old(key);
  }

  Result<Seal> seal() override { return seal_; }

  Result<Done> each_row(const VisitRow& visit) override {
    for (const auto& [key, versions] : rows_) {
      const auto after = versions.upper_bound(seal_.sequence);
      if (after == versions.begin() || !std::prev(after)->second) continue;
      Result<Done> done = visit(key, *std::prev(after)->second);
      if (!done.ok()) return done;
    }
    swept_ = false;
    return Done{};
  }

  Result<Done> each_turn(const VisitTurn& visit) override {
    for (const auto& [sequence, facts] : turns_) {
      if (sequence <= seal_.sequence) continue;
      Result<Done> done = visit(sequence, facts);
      if (!done.ok()) return done;
    }
    return Done{};
  }

  std::size_t turn_count() const { return turns_.size(); }
  std::size_t version_count() const {
    std::size_t count = 0;
    for (const auto& [key, versions] : rows_) count += versions.size();
    return count;
  }
  std::map<std::uint64_t, std::string>& turns() { return turns_; }
  std::map<RowKey, std::map<std::uint64_t, std::optional<std::string>>>& rows() { return rows_; }

 private:
  using Versions = std::map<std::uint64_t, std::optional<std::string>>;

  // The first turn after a start removes what an unfinished round has left.
  void sweep() {
    if (std::exchange(swept_, true)) return;
    for (auto& [key, versions] : rows_)
      versions.erase(versions.upper_bound(seal_.sequence), versions.end());
    std::erase_if(rows_, [](const auto& entry) { return entry.second.empty(); });
  }

  void drop_old(const RowKey& key) {
    Versions& versions = rows_[key];
    versions.erase(versions.begin(), versions.lower_bound(seal_.sequence));
    const auto at = versions.find(seal_.sequence);
    if (at != versions.end() && !at->second) versions.erase(at);
    if (versions.empty()) rows_.erase(key);
  }

  std::map<std::uint64_t, std::string> turns_;
  std::map<RowKey, Versions> rows_;
  Seal seal_;
  std::uint64_t newest_ = 0;
  bool swept_ = true;
};

}  // namespace leat::store
