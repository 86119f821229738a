#include "spool/rank_places.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace leat::spool {
namespace {

std::string record(std::uint32_t rank, std::string_view content) {
  std::string bytes;
  append_rank_frame(bytes, rank, content);
  return bytes;
}

std::vector<RankPlace> many(std::uint32_t count) {
  std::vector<RankPlace> places;
  for (std::uint32_t rank = 0; rank < count; ++rank)
    places.push_back({rank, rank + 1000, {4095, 4096}, "node" + std::to_string(rank)});
  return places;
}

TEST(RankPlaces, AreLinesThatComeBack) {
  const RankPlace bound{3, 4711, {0, 1, 17}, "node1"};
  EXPECT_EQ(rank_place_line(bound), "rank 3 pid 4711 cpus 0,1,17 host node1\n");
  EXPECT_EQ(parse_rank_place("rank 3 pid 4711 cpus 0,1,17 host node1"), bound);
  const RankPlace free{0, 1, {}, "n"};
  EXPECT_EQ(rank_place_line(free), "rank 0 pid 1 cpus - host n\n");
  EXPECT_EQ(parse_rank_place("rank 0 pid 1 cpus - host n"), free);
  EXPECT_EQ(parse_rank_place("rank 0 pid 1 cpus - host n numa 3"), free);
}

TEST(RankPlaces, AreNothingElse) {
  for (const char* const line :
       {"", "rank", "rank 0 pid 1 cpus -", "rank 0 pid 1 cpus - host ",
        "rank x pid 1 cpus - host n", "rank 0 pid 1 cpus 0, host n",
        "rank 0 pid 1 cpus 70000 host n", "rank 0 pid -1 cpus 0 host n",
        "rank 4294967296 pid 1 cpus - host n", "oops: rank 0 pid 1 cpus - host n"})
    EXPECT_FALSE(parse_rank_place(line)) << line;
}

TEST(RankPlaces, OfManyRanksFillSeveralRecords) {
  const std::vector<RankPlace> places = many(5000);
  std::string lines;
  for (const RankPlace& place : places) lines += rank_place_line(place);
  ASSERT_GT(lines.size(), 2 * kRankFrameContentMax);
  std::string stream;
  append_about_ranks(stream, lines);
  for (const std::size_t step : {std::size_t{7}, stream.size()}) {
    RankPlaceReader reader;
    for (std::size_t at = 0; at < stream.size(); at += step)
      reader.feed(std::string_view(stream).substr(at, step));
    EXPECT_EQ(reader.places(), places);
    EXPECT_FALSE(reader.is_complete());
    reader.feed(record(0, "x"));
    EXPECT_TRUE(reader.is_complete());
  }
}

TEST(RankPlaces, LeaveOutALineThatNoRecordHolds) {
  const std::string line = rank_place_line({1, 2, {3}, "n"});
  std::string stream;
  append_about_ranks(stream, std::string(kRankFrameContentMax, 'x') + "y\n" + line + "and rest");
  RankPlaceReader reader;
  reader.feed(stream);
  EXPECT_EQ(reader.places(), (std::vector<RankPlace>{{1, 2, {3}, "n"}}));
}

TEST(RankPlaces, AreFoundBehindWhatCameBeforeAndEndAtWhatComesNext) {
  const std::string line = rank_place_line({1, 2, {3}, "n"});
  RankPlaceReader reader;
  reader.feed(record(kNoRank, "coordination says: " + line) + "junk");
  EXPECT_TRUE(reader.places().empty());
  EXPECT_FALSE(reader.is_complete());
  reader.feed(record(kAboutRanks, line) + record(kNoRank, "warning") + record(kAboutRanks, line));
  EXPECT_TRUE(reader.is_complete());
  EXPECT_EQ(reader.places().size(), 1u);
}

}  // namespace
}  // namespace leat::spool
