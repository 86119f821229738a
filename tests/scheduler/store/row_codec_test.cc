#include "scheduler/store/row_codec.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "scheduler/store/keys_codec.h"
#include "scheduler/store/message_bytes.h"
#include "tests/scheduler/store/samples.h"
#include "tests/scheduler/store/samples_gangs.h"
#include "tests/scheduler/store/specs.h"

namespace leat::store {
namespace {

TEST(RowCodec, GivesBackEveryField) {
  // Encoding again shows what decoding dropped; fixtures_test compares field by field.
  EXPECT_EQ(decode_meta(bytes_of(encode_meta(sample_meta()))).value(), sample_meta());
  const std::string pool = encode_pool(sample_pool());
  EXPECT_EQ(encode_pool(decode_pool(bytes_of(pool)).value()), pool);
  const std::string node = encode_node(sample_node());
  EXPECT_EQ(encode_node(decode_node(bytes_of(node)).value()), node);
  const std::string gang = encode_gang(sample_gang());
  EXPECT_EQ(encode_gang(decode_gang(bytes_of(gang)).value()), gang);
  const std::string job = encode_job(sample_job());
  EXPECT_EQ(encode_job(decode_job(bytes_of(job)).value()), job);
  const std::string waiting = encode_job(sample_waiting_job());
  EXPECT_EQ(encode_job(decode_job(bytes_of(waiting)).value()), waiting);
}

core::Stage random_stage(const core::StageSpec& spec, std::uint64_t size, Random& random) {
  core::Stage stage;
  stage.spec = &spec;
  stage.cells = IntervalMap<core::TaskCell>(size, core::TaskCell{});
  for (int n = 0; n < 60; ++n) {
    const std::uint64_t first = random.below(size);
    const std::uint64_t last = std::min(first + random.below(size / 10 + 1), size - 1);
    core::TaskCell cell;
    cell.state = static_cast<core::TaskState>(random.below(core::kTaskStateCount));
    if (random.chance(50)) cell.attempt = static_cast<Attempt>(random.below(5));
    if (random.chance(30)) cell.failures = static_cast<std::uint16_t>(random.below(9));
    if (random.chance(30)) cell.losses = static_cast<std::uint16_t>(random.below(3));
    if (random.chance(50))
      cell.node = {NodeId{static_cast<std::uint32_t>(random.below(9))}, NodeEpoch{random.next()}};
    if (cell.state == core::TaskState::kDelayed)
      cell.due = Time{Duration{static_cast<std::int64_t>(random.below(1u << 30))}};
    stage.cells.assign({first, last}, cell);
  }
  return stage;
}

TEST(RowCodec, GivesBackCellsWhereverTheyAreCut) {
  const core::StageSpec spec;
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t size = 1 + random.below(5000);
    const core::Stage stage = random_stage(spec, size, random);
    core::Stage copy = random_stage(spec, size, random);
    for (std::uint64_t at = 0; at < size;) {
      const std::uint64_t last = std::min(at + random.below(1000), size - 1);
      ASSERT_TRUE(decode_cells(bytes_of(encode_cells(stage, {at, last})), copy).ok());
      at = last + 1;
    }
    for (std::uint64_t p = 0; p < size; ++p) ASSERT_EQ(copy.cells.at(p), stage.cells.at(p)) << p;
    ASSERT_EQ(copy.cells.entry_count(), stage.cells.entry_count());
  }
}

TEST(RowCodec, GivesBackKeysPageByPage) {
  core::GrantedWishes wishes;
  for (std::uint64_t n = 0; n < 150; ++n)
    ASSERT_TRUE(wishes.restore(
        100 + n, {core::WishKind::kCancel, "key-" + std::to_string(n), Time{}, Done{}}));
  core::GrantedWishes copy;
  for (std::uint64_t page = 1; page <= 3; ++page) {
    KeysPage read = decode_keys(bytes_of(encode_keys(wishes, page))).value();
    for (core::Granted& wish : read.wishes)
      ASSERT_TRUE(copy.restore(read.first++, std::move(wish))) << page;
  }
  ASSERT_EQ(copy.first(), 100u);
  ASSERT_EQ(copy.next(), 250u);
  for (std::uint64_t n = 100; n < 250; ++n) EXPECT_EQ(copy.at(n), wishes.at(n));
}

TEST(RowCodec, RefusesASubmitThatWasNotAnsweredWithAJob) {
  core::GrantedWishes wishes;
  ASSERT_TRUE(wishes.restore(0, {core::WishKind::kSubmit, "key", Time{}, Done{}}));
  EXPECT_FALSE(decode_keys(bytes_of(encode_keys(wishes, 0))).ok());
}

TEST(RowCodec, RefusesCellsBeyondTheStage) {
  const core::StageSpec spec;
  Random random(2);
  const core::Stage wide = random_stage(spec, 100, random);
  core::Stage narrow = random_stage(spec, 99, random);
  EXPECT_FALSE(decode_cells(bytes_of(encode_cells(wide, {0, 99})), narrow).ok());
  EXPECT_TRUE(decode_cells(bytes_of(encode_cells(wide, {0, 98})), narrow).ok());
}

// Spoils `bytes` in every way a test has time for.
template <typename Decode>
void spoil(std::string bytes, Decode decode) {
  for (std::size_t length = 0; length < bytes.size(); ++length)
    decode(std::as_bytes(std::span(bytes.data(), length)));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    decode(bytes_of(bytes));
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }
}

TEST(RowCodec, SurvivesTruncationAndFlippedBits) {
  spoil(encode_meta(sample_meta()), [](auto bytes) { (void)decode_meta(bytes); });
  spoil(encode_pool(sample_pool()), [](auto bytes) { (void)decode_pool(bytes); });
  spoil(encode_node(sample_node()), [](auto bytes) { (void)decode_node(bytes); });
  spoil(encode_job(sample_job()), [](auto bytes) { (void)decode_job(bytes); });
  spoil(encode_job(sample_past_job()), [](auto bytes) { (void)decode_job(bytes); });
  core::GrantedWishes wishes;
  fill(wishes);
  spoil(encode_keys(wishes, 1), [](auto bytes) { (void)decode_keys(bytes); });
  const core::StageSpec spec;
  core::Stage stage = sample_stage(spec);
  spoil(encode_cells(stage, {0, 9}), [&stage](auto bytes) { (void)decode_cells(bytes, stage); });
  spoil(*sweep_spec(100, 10).encoded, [](auto bytes) {
    (void)restore_job_spec(
        std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  });
}

}  // namespace
}  // namespace leat::store
