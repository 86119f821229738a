#include "scheduler/store/recovery.h"

#include <gtest/gtest.h>

#include "scheduler/store/fact_codec.h"
#include "tests/scheduler/store/driver.h"
#include "tests/scheduler/store/memory_file.h"

namespace leat::store {
namespace {

// A store with turns after a snapshot.
MemoryFile filled() {
  MemoryFile file;
  Driver driver(std::move(recover(file, {1u << 20, 4000, 10})).value(), 1);
  bool sealed = false;
  for (int turn = 0; turn < 200 || !sealed || file.turn_count() < 5; ++turn) {
    const auto record = driver.random_turn();
    if (!record) continue;
    sealed = sealed || record->seal.has_value();
    file.append(*record);
  }
  return file;
}

std::string refusal_of(MemoryFile& file) {
  const auto recovered = recover(file);
  return recovered.ok() ? "" : recovered.refusal().message;
}

TEST(Recovery, MakesAnEmptyStateOfAnEmptyStore) {
  MemoryFile file;
  const auto recovered = recover(file);
  ASSERT_TRUE(recovered.ok());
  EXPECT_EQ(recovered.value().state->digest(), core::State().digest());
  EXPECT_EQ(recovered.value().recorder.next_sequence(), 1u);
  EXPECT_EQ(recovered.value().last, Time{});
}

TEST(Recovery, KnowsTheTimeOfTheLastTurn) {
  MemoryFile file;
  Driver driver(std::move(recover(file, {1u << 20, 1, 10})).value(), 1);
  for (int turn = 0; turn < 30; ++turn) {
    const auto record = driver.random_turn();
    if (!record) continue;
    file.append(*record);
    // A snapshot in every turn or two: also where no fact is left to say the time.
    EXPECT_EQ(recover(file).value().last, driver.now());
  }
}

TEST(Recovery, RefusesAGapAndNamesIt) {
  MemoryFile file = filled();
  const std::uint64_t last = file.turns().rbegin()->first;
  file.turns().erase(last - 2);
  EXPECT_EQ(refusal_of(file), "store: turn " + std::to_string(last - 1) + ": turn " +
                                  std::to_string(last - 2) +
                                  " before it is missing: put back a copy");
}

TEST(Recovery, RefusesADamagedTurnAndNamesIt) {
  MemoryFile file = filled();
  const auto& [sequence, bytes] = *file.turns().rbegin();
  const std::string good = bytes;
  file.turns()[sequence] = good.substr(0, good.size() - 8);
  const std::string name = "store: turn " + std::to_string(sequence) + ": ";
  EXPECT_EQ(refusal_of(file).rfind(name, 0), 0u) << refusal_of(file);
  file.turns()[sequence] = "";
  EXPECT_EQ(refusal_of(file), name + "turn: damaged: not a whole number of words");
}

TEST(Recovery, RefusesTimeThatRunsBackwards) {
  MemoryFile file = filled();
  const std::uint64_t next = file.turns().rbegin()->first + 1;
  file.turns()[next] = encode_turn({core::HeadStarted{}}, Time{Duration{1}}, HeadEpoch{1});
  EXPECT_EQ(refusal_of(file), "store: turn " + std::to_string(next) +
                                  ": damaged: it is earlier than the turn before");
}

TEST(Recovery, RefusesADamagedRowOfEachKindAndNamesIt) {
  for (const RowKind kind : {RowKind::kMeta, RowKind::kPool, RowKind::kNode, RowKind::kJob,
                             RowKind::kSpec, RowKind::kCells, RowKind::kKeys}) {
    MemoryFile file = filled();
    const Seal seal = file.seal().value();
    bool spoiled = false;
    for (auto& [key, versions] : file.rows()) {
      const auto after = versions.upper_bound(seal.sequence);
      if (key.kind != kind || after == versions.begin() || !std::prev(after)->second) continue;
      std::prev(after)->second = "nonsense";
      spoiled = true;
      break;
    }
    ASSERT_TRUE(spoiled) << static_cast<int>(kind);
    const std::string name = "store: snapshot row " + std::to_string(static_cast<int>(kind)) + "/";
    EXPECT_EQ(refusal_of(file).rfind(name, 0), 0u) << refusal_of(file);
  }
}

// A job in every turn, with a snapshot in every turn or two.
MemoryFile with_jobs(const core::Submit& seventieth, int jobs) {
  MemoryFile file;
  Driver driver(std::move(recover(file, {1u << 20, 1, 100})).value(), 1);
  driver.say(core::StartHead{1'000'000, "t"});
  driver.say(core::SetPool{"k", {}, core::PoolSpec{"p", "local", 4, {}, {}}});
  for (int n = 1; n <= jobs; ++n) {
    driver.say(n == 70 ? seventieth : core::Submit{"key" + std::to_string(n), {}, sweep_spec(10)});
    file.append(*driver.finish());
  }
  return file;
}

TEST(Recovery, RefusesKeysWithAGap) {
  MemoryFile file = with_jobs({"mine", {}, sweep_spec(10)}, 140);
  ASSERT_EQ(refusal_of(file), "");
  file.rows().erase({RowKind::kKeys, 1, 0});
  EXPECT_EQ(refusal_of(file), "store: snapshot row 7/2/0: keys before it are missing");
}

// A store that was written before keys had rows of their own.
TEST(Recovery, TakesTheKeysOfJobsFromTheirRowsAndWritesTheirOwn) {
  const core::Submit wish{"mine", {}, sweep_spec(10)};
  // Pages in the middle, too, which no later wish would write.
  MemoryFile file = with_jobs(wish, 260);
  ASSERT_GT(file.seal().value().sequence, 250u);
  std::erase_if(file.rows(), [](const auto& row) { return row.first.kind == RowKind::kKeys; });

  for (int life = 0; life < 2; ++life) {
    Driver after(std::move(recover(file, {1u << 20, 1, 100})).value(), 2);
    core::Facts facts;
    const auto again = core::decide(after.state(), wish, after.now(), facts);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(std::get<JobId>(again.value()), JobId{70});
    EXPECT_TRUE(facts.empty());
    // A whole snapshot: the next life finds rows.
    for (int turn = 0; turn < 5; ++turn) {
      after.say(core::StartHead{1'000'000, "t"});
      file.append(*after.finish());
    }
    EXPECT_EQ(recover(file).value().state->digest(), after.state().digest());
  }
  for (const std::uint64_t page : {0u, 1u, 2u, 3u})
    EXPECT_TRUE(file.rows().contains({RowKind::kKeys, page, 0})) << page;
}

TEST(Recovery, RefusesAnActiveJobWithoutItsSpec) {
  MemoryFile file = filled();
  std::erase_if(file.rows(), [](const auto& row) {
    return row.first.kind == RowKind::kSpec || row.first.kind == RowKind::kCells;
  });
  EXPECT_NE(refusal_of(file).find("has no spec: damaged"), std::string::npos) << refusal_of(file);
}

}  // namespace
}  // namespace leat::store
