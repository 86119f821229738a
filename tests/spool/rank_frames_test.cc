#include "spool/rank_frames.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/random.h"

namespace leat::spool {
namespace {

using Records = std::vector<std::pair<std::uint32_t, std::string>>;

struct Taken {
  Records records;
  std::uint64_t skipped = 0;
};

// Feeds `stream` in pieces of `step` bytes.
Taken take(const std::string& stream, std::size_t step) {
  Taken taken;
  RankFrameReader reader([&](std::uint32_t rank, std::string_view content) {
    taken.records.emplace_back(rank, content);
  });
  for (std::size_t at = 0; at < stream.size(); at += step)
    reader.feed(std::string_view(stream).substr(at, step));
  reader.finish();
  taken.skipped = reader.skipped_bytes();
  return taken;
}

std::string stream_of(const Records& records) {
  std::string stream;
  for (const auto& [rank, content] : records) append_rank_frame(stream, rank, content);
  return stream;
}

const Records kThree{{0, "one\n"}, {70'000, ""}, {kNoRank, "LRK1 is no header here"}};

TEST(RankFrames, ComeBackHoweverTheStreamIsCut) {
  const std::string stream = stream_of(kThree);
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    const Taken taken = take(stream, step);
    EXPECT_EQ(taken.records, kThree) << step;
    EXPECT_EQ(taken.skipped, 0u) << step;
  }
}

TEST(RankFrames, CarryTheLargestContent) {
  const Records large{{3, std::string(kRankFrameContentMax, 'L')}};
  EXPECT_EQ(take(stream_of(large), 1000).records, large);
}

TEST(RankFrames, OfACutStreamTheWholeRecordsAreRead) {
  const std::string stream = stream_of(kThree);
  const std::size_t first = stream_of({kThree[0]}).size();
  for (std::size_t length = first; length < stream_of({kThree[0], kThree[1]}).size(); ++length) {
    const Taken taken = take(stream.substr(0, length), 7);
    EXPECT_EQ(taken.records, Records{kThree[0]});
    EXPECT_EQ(taken.skipped, length - first);
  }
}

TEST(RankFrames, ATurnedBitCostsOneRecordAndNoMore) {
  const std::string good = stream_of(kThree);
  const std::size_t first = stream_of({kThree[0]}).size();
  for (std::size_t bit = 0; bit < 8 * first; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const Taken taken = take(bad, 5);
    EXPECT_EQ(taken.records, (Records{kThree[1], kThree[2]})) << bit;
    EXPECT_EQ(taken.skipped, first) << bit;
  }
}

TEST(RankFrames, AreFoundAmongForeignBytes) {
  const std::string stream =
      "LRK" + stream_of({kThree[0]}) + "LRK1 and text" + stream_of({kThree[2]}) + "LR";
  const Taken taken = take(stream, 3);
  EXPECT_EQ(taken.records, (Records{kThree[0], kThree[2]}));
  EXPECT_EQ(taken.skipped, 3u + 13u + 2u);
}

TEST(RankFrames, AnythingAtAllIsReadWithoutHarm) {
  Random random(17);
  for (int round = 0; round < 200; ++round) {
    std::string noise;
    for (int i = 0; i < 400; ++i) noise.push_back("LRK1\0\x01z"[random.below(7)]);
    const Taken taken = take(noise, 1 + random.below(50));
    std::size_t whole = 0;
    for (const auto& [rank, content] : taken.records)
      whole += kRankFrameHeaderBytes + content.size();
    EXPECT_EQ(whole + taken.skipped, noise.size());
  }
}

}  // namespace
}  // namespace leat::spool
