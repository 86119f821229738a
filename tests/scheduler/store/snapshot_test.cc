#include "scheduler/store/snapshot.h"

#include <gtest/gtest.h>

#include "scheduler/store/recovery.h"
#include "tests/scheduler/store/driver.h"
#include "tests/scheduler/store/memory_file.h"

namespace leat::store {
namespace {

Driver start(Contents& file, SnapshotLimits limits, std::uint64_t seed) {
  Result<Recovered> recovered = recover(file, limits);
  EXPECT_TRUE(recovered.ok()) << (recovered.ok() ? "" : recovered.refusal().message);
  return Driver(std::move(recovered).value(), seed);
}

// Many rounds, from one to very many turns each.
SnapshotLimits small_limits(std::uint64_t seed) {
  return {std::size_t{200} << (seed % 8), 6000, 5 + 20 * (seed % 3)};
}

TEST(Snapshot, RecoversTheLastCommittedTurnWhereverTheHeadDies) {
  int rounds = 0;
  int half_rounds = 0;
  std::set<std::size_t> kinds;
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    MemoryFile file;
    Random random(seed * 77);
    const SnapshotLimits limits = small_limits(seed);
    Driver driver = start(file, limits, seed);
    for (int turn = 0; turn < 500; ++turn) {
      const auto record = driver.random_turn();
      if (!record) continue;
      file.append(*record);
      rounds += record->seal.has_value();
      for (const core::Fact& fact : driver.last_facts()) kinds.insert(fact.index());
      if (!random.chance(10)) continue;
      half_rounds += record->round != 0 && !record->seal;
      // The head dies here, and nothing of it is left but the file.
      const std::uint64_t digest = driver.state().digest();
      const auto before = dump(driver.state());
      driver = start(file, limits, random.next());
      ASSERT_EQ(driver.state().digest(), digest) << "seed " << seed << " turn " << turn;
      ASSERT_EQ(dump(driver.state()), before) << "seed " << seed << " turn " << turn;
      driver.state().check_invariants();
    }
  }
  // The property is about rounds and all kinds of facts: there must have been some.
  EXPECT_GT(rounds, 100);
  EXPECT_GT(half_rounds, 50);
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Fact>; ++kind)
    EXPECT_TRUE(kinds.contains(kind)) << "no fact of kind " << kind;
}

TEST(Snapshot, LosesATurnThatWasNotCommittedAndNothingElse) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    MemoryFile file;
    Random random(seed);
    const SnapshotLimits limits = small_limits(seed);
    Driver driver = start(file, limits, seed);
    std::uint64_t digest = driver.state().digest();
    for (int turn = 0; turn < 300; ++turn) {
      const auto record = driver.random_turn();
      if (!record) continue;
      if (random.chance(10)) {
        driver = start(file, limits, random.next());
        ASSERT_EQ(driver.state().digest(), digest) << "seed " << seed << " turn " << turn;
        continue;
      }
      file.append(*record);
      digest = driver.state().digest();
    }
  }
}

// Many jobs, all active, so that a round has much to write.
std::vector<TurnRecord> busy_turns(Driver& driver, int jobs, int turns) {
  driver.say(core::StartHead{1, "t"});
  driver.say(core::SetPool{"k", {}, core::PoolSpec{"p", "local", 4, {}, {}}});
  for (int n = 0; n < jobs; ++n)
    driver.say(core::Submit{"key" + std::to_string(n), {}, sweep_spec(10)});
  std::vector<TurnRecord> records;
  records.push_back(*driver.finish());
  for (int n = 0; n < turns; ++n) {
    driver.say(core::Submit{"more" + std::to_string(n), {}, sweep_spec(10)});
    records.push_back(*driver.finish());
  }
  return records;
}

TEST(Snapshot, WritesABoundedNumberOfBytesPerTurn) {
  MemoryFile file;
  const SnapshotLimits limits{10'000, 50'000, 20};
  Driver driver = start(file, limits, 1);
  std::size_t largest_row = 0;
  std::size_t most = 0;
  std::size_t seals = 0;
  for (const TurnRecord& turn : busy_turns(driver, 2000, 400)) {
    std::size_t bytes = 0;
    for (const SnapshotRow& row : turn.rows) {
      bytes += row.bytes.size();
      largest_row = std::max(largest_row, row.bytes.size());
    }
    most = std::max(most, bytes);
    seals += turn.seal.has_value();
    EXPECT_LE(turn.superseded.size(), limits.superseded_per_turn);
    file.append(turn);
  }
  EXPECT_GE(seals, 1u);
  EXPECT_LE(most, limits.bytes_per_turn + largest_row);
  EXPECT_LT(largest_row, 8000u);
}

// Every few days a wish, and now and then many: pages fill, empty from the front, and go.
TEST(Snapshot, HoldsTheKeysOfTheLastDays) {
  MemoryFile file;
  const SnapshotLimits limits{1u << 20, 500, 1000};
  Driver driver = start(file, limits, 1);
  driver.say(core::StartHead{1, "t"});
  driver.say(core::SetPool{"k", {}, core::PoolSpec{"p", "local", 4, {}, {}}});
  driver.say(core::Submit{"key", {}, sweep_spec(10)});
  for (int n = 0; n < 400; ++n) {
    if (n > 150) driver.advance(std::chrono::hours(3));
    const std::string key = "key-" + std::to_string(n);
    n % 2 == 0 ? driver.say(core::HoldJob{key, {}, JobId{1}})
               : driver.say(core::ReleaseJob{key, {}, JobId{1}});
    file.append(*driver.finish());
    if (n % 7 == 0) {
      const auto before = dump(driver.state());
      driver = start(file, limits, 1);
      ASSERT_TRUE(dump(driver.state()) == before) << n;
    }
  }
  EXPECT_LT(driver.state().granted().size(), 70u);
  // Rows of pages that are gone, go.
  const auto pages = std::count_if(file.rows().begin(), file.rows().end(), [](const auto& row) {
    return row.first.kind == RowKind::kKeys;
  });
  EXPECT_LE(pages, 4);
}

TEST(Snapshot, KeepsNeitherOldFactsNorOldVersions) {
  MemoryFile file;
  const SnapshotLimits limits{1u << 20, 3000, 1000};
  Driver driver = start(file, limits, 5);
  std::size_t most_turns = 0;
  for (int turn = 0; turn < 2000; ++turn) {
    const auto record = driver.random_turn();
    if (!record) continue;
    file.append(*record);
    most_turns = std::max(most_turns, file.turn_count());
  }
  // A round begins every 3000 bytes of facts and is written in one turn.
  EXPECT_LT(most_turns, 200u);
  const std::size_t rows = dump(driver.state()).size();
  EXPECT_LT(file.version_count(), 3 * rows + 200);
}

TEST(Snapshot, CutsCellsIntoRowsThatCoverTheStageOnce) {
  for (const std::uint64_t size :
       {1ull, 4096ull, 4097ull, 1'000'000ull, 16'777'217ull, 1ull << 32}) {
    std::uint64_t rows = 0;
    for (std::uint64_t at = 0; at < size; ++rows) {
      const RowKey key = cells_key({JobId{9}, 3}, size, at);
      const Interval covered = cells_covered(key, size);
      ASSERT_EQ(covered.first, at);
      ASSERT_LT(covered.last, size);
      ASSERT_EQ(cells_key({JobId{9}, 3}, size, covered.last), key);
      at = covered.last + 1;
    }
    EXPECT_LE(rows, kCellRowsPerStage) << size;
  }
}

TEST(Snapshot, WritesOneRowForAJobThatHasNotBegunWhateverItsSize) {
  MemoryFile file;
  Driver driver = start(file, {1u << 20, 1, 100}, 1);
  driver.say(core::StartHead{1, "t"});
  driver.say(core::SetPool{"k", {}, core::PoolSpec{"p", "local", 4, {}, {}}});
  driver.say(core::Submit{"key", {}, sweep_spec(1ull << 32)});
  const TurnRecord turn = *driver.finish();
  ASSERT_TRUE(turn.seal.has_value());
  std::size_t bytes = 0;
  for (const SnapshotRow& row : turn.rows) {
    EXPECT_NE(row.key.kind, RowKind::kCells);
    bytes += row.bytes.size();
  }
  EXPECT_LT(bytes, 2000u);
}

}  // namespace
}  // namespace leat::store
