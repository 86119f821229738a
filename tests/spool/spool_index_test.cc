#include "spool/spool_index.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "base/random.h"
#include "spool/spool_records.h"
#include "tests/spool/scratch_directory.h"

namespace leat::spool {
namespace {

constexpr StageRef kStage{JobId{5}, 0};

SpoolIndex open(const ScratchDirectory& dir) {
  Result<SpoolIndex> index = SpoolIndex::open(dir.root());
  EXPECT_TRUE(index.ok());
  return std::move(index).value();
}

RunId run(Index index, Attempt attempt = 1, JobId job = kStage.job) {
  return {job, 0, attempt, index};
}

RunPlace place(std::uint64_t offset, std::uint64_t length, std::uint32_t segment = 0) {
  return {2, segment, {offset, length, false}, {}};
}

TEST(SpoolIndex, FindsWhatEndedHereAlsoAfterARestart) {
  const ScratchDirectory dir;
  {
    SpoolIndex index = open(dir);
    index.add_stage(kStage, IndexList(Stride{10, 100, 10}));
    index.add(run(20), place(0, 7));
    index.add(run(20, 2), {3, 1, {9, 4, true}, {1, 2, true}});
    index.add(run(30), {});
    ASSERT_TRUE(index.write().ok());
  }
  const SpoolIndex index = open(dir);
  EXPECT_EQ(index.find(run(20)), place(0, 7));
  EXPECT_EQ(index.find(run(20, 2)), (RunPlace{3, 1, {9, 4, true}, {1, 2, true}}));
  EXPECT_EQ(index.find(run(30)), RunPlace{});
  EXPECT_FALSE(index.find(run(30, 2)));
  EXPECT_FALSE(index.find(run(40)));
  EXPECT_FALSE(index.find(run(21)));
  EXPECT_FALSE(index.find(run(20, 1, JobId{6})));
}

TEST(SpoolIndex, HoldsAMillionSilentRunsInOneRecord) {
  const ScratchDirectory dir;
  SpoolIndex index = open(dir);
  index.add_stage(kStage, IndexList(Stride{0, 1000000, 7}));
  for (Index i = 0; i < 1000000; ++i) index.add(run(i * 7), {});
  ASSERT_TRUE(index.write().ok());
  EXPECT_LT(std::filesystem::file_size(dir.path("index.log")), 200u);
  EXPECT_EQ(index.entry_count(), 0u);
  EXPECT_TRUE(open(dir).find(run(6999993)));
}

TEST(SpoolIndex, GoesOnToTheNextSegmentWhenOneIsFull) {
  const ScratchDirectory dir;
  SpoolIndex index = open(dir);
  index.add_stage(kStage, IndexList(Stride{0, 10, 1}));
  EXPECT_EQ(index.segment_for(2), 0u);
  index.add(run(0), place(0, kSegmentBytes - 1));
  EXPECT_EQ(index.segment_for(2), 0u);
  index.add(run(1), place(kSegmentBytes - 1, 1));
  EXPECT_EQ(index.segment_for(2), 1u);
  EXPECT_EQ(index.segment_for(3), 0u);
  ASSERT_TRUE(index.write().ok());
  EXPECT_EQ(open(dir).segment_for(2), 1u);
}

TEST(SpoolIndex, DeletesTheOldestReleasedSegmentsAndNoOthers) {
  const ScratchDirectory dir;
  SpoolReader reader(dir.root());
  SpoolIndex index = open(dir);
  const JobId other{6};
  index.add_stage(kStage, IndexList(Stride{0, 10, 1}));
  index.add_stage({other, 0}, IndexList(Stride{0, 10, 1}));
  for (std::uint32_t segment = 0; segment < 4; ++segment) {
    const SegmentFile file{2, segment, Stream::kOutput};
    put_content(dir.path(file_name(file)), "x");
    index.add(run(segment, 1, segment == 1 ? other : kStage.job), place(0, kSegmentBytes, segment));
  }
  index.enforce_quota(0, reader);
  EXPECT_EQ(index.total_bytes(), 4 * kSegmentBytes);  // nothing is released
  index.release(kStage.job);
  index.enforce_quota(3 * kSegmentBytes, reader);
  EXPECT_FALSE(std::filesystem::exists(dir.path("slot-2.0.out")));
  EXPECT_FALSE(index.find(run(0)));
  EXPECT_TRUE(index.find(run(2)));
  index.enforce_quota(0, reader);
  EXPECT_TRUE(index.find(run(1, 1, other)));  // not released
  EXPECT_FALSE(index.find(run(2)));
  EXPECT_EQ(index.total_bytes(), kSegmentBytes);
  ASSERT_TRUE(index.write().ok());
  const SpoolIndex again = open(dir);
  EXPECT_EQ(again.total_bytes(), kSegmentBytes);
  EXPECT_FALSE(again.find(run(0)));
}

TEST(SpoolIndex, IgnoresARunThatIsToldTwice) {
  const ScratchDirectory dir;
  SpoolIndex index = open(dir);
  index.add_stage(kStage, IndexList(Stride{0, 10, 1}));
  index.add(run(0), place(0, 5));
  index.add(run(0), place(0, 5));
  EXPECT_EQ(index.entry_count(), 1u);
  EXPECT_EQ(index.total_bytes(), 5u);
}

TEST(SpoolIndex, IsTheSameAfterItsLogWasRewritten) {
  const ScratchDirectory dir;
  {
    SpoolIndex index = open(dir);
    index.add_stage(kStage, IndexList(Stride{0, 400000, 1}));
    for (Index i = 0; i < 390000; ++i) index.add(run(i), {0, 0, {i, 1, false}, {}});
    index.add(run(399999), {});
    ASSERT_TRUE(index.write().ok());
    index.release(kStage.job);
    SpoolReader reader(dir.root());
    index.add(run(390000), {0, 0, {390000, kSegmentBytes, false}, {}});
    index.add(run(390001), {0, 1, {0, 3, false}, {}});
    index.enforce_quota(10, reader);
    ASSERT_EQ(index.entry_count(), 1u);
    ASSERT_TRUE(index.compact_if_large().ok());
  }
  EXPECT_LT(std::filesystem::file_size(dir.path("index.log")), 1000u);
  const SpoolIndex index = open(dir);
  EXPECT_EQ(index.segment_for(0), 1u);
  EXPECT_EQ(index.find(run(390001)), (RunPlace{0, 1, {0, 3, false}, {}}));
  EXPECT_TRUE(index.find(run(399999)));
  EXPECT_FALSE(index.find(run(7)));
}

TEST(SpoolRecords, NeverCrashOnNonsense) {
  IndexRecord record;
  record.kind = RecordKind::kEntries;
  record.entries = {{1, 1, place(1, 2)}, {2, 1, place(3, 4)}};
  const std::string good = encode_index_record(record);
  ASSERT_TRUE(decode_index_record(std::as_bytes(std::span(good))));
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(decode_index_record(std::as_bytes(std::span(good.data(), length))));
  Random random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string noise(random.below(64), '\0');
    for (char& c : noise) c = static_cast<char>(random.below(256));
    if (!noise.empty()) noise[0] = static_cast<char>(1 + random.below(6));
    decode_index_record(std::as_bytes(std::span(noise)));
  }
}

}  // namespace
}  // namespace leat::spool
