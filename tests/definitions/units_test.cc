#include "definitions/units.h"

#include <gtest/gtest.h>

namespace leat::definitions {
namespace {

TEST(Size, ReadsWhatPeopleWrite) {
  const std::pair<const char*, std::uint64_t> cases[] = {
      {"0", 0},
      {"512", 512},
      {"512B", 512},
      {"1K", 1024},
      {"1k", 1024},
      {"1kib", 1024},
      {"1KB", 1000},
      {"512MiB", 512ull << 20},
      {"2G", 2ull << 30},
      {"1.5G", 3ull << 29},
      {"0.001K", 1},
      {"3T", 3ull << 40},
      {"200MB", 200'000'000},
      {"4096P", 1ull << 62},
  };
  for (const auto& [text, bytes] : cases) {
    const Result<std::uint64_t> parsed = parse_size(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed.value(), bytes) << text;
  }
}

TEST(Size, RefusesEverythingElseByName) {
  for (const char* text : {"", "G", "-1", "+1", "1 G", " 1G", "1GG", "1X", "1.G", "1.2345G", ".5G",
                           "1e3", "0x10", "2Gi", "1GBs", "18446744073709551616", "4097P"}) {
    const Result<std::uint64_t> parsed = parse_size(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.refusal().reason, Reason::kInvalid);
    EXPECT_EQ(parsed.refusal().message.rfind('"' + std::string(text) + '"', 0), 0u) << text;
  }
}

TEST(DurationText, ReadsWhatPeopleWrite) {
  const std::pair<const char*, std::int64_t> cases[] = {
      {"0", 0},
      {"90", 90'000'000},
      {"1.5", 1'500'000},
      {"250ms", 250'000},
      {"2.5s", 2'500'000},
      {"1h30m", 5'400'000'000},
      {"1d2h3m4s5ms", 93'784'005'000},
      {"2d", 172'800'000'000},
      {"01:30:00", 5'400'000'000},
      {"100:00:59", 360'059'000'000},
      {"0:00:01", 1'000'000},
  };
  for (const auto& [text, us] : cases) {
    const Result<Duration> parsed = parse_duration(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed.value().count(), us) << text;
  }
}

TEST(DurationText, RefusesEverythingElseByName) {
  for (const char* text : {"", "h", "1x", "1m1h", "1h30", "1h1h", "-5", "1:30", "1:60:00",
                           "1:00:60", "1:1:1", "01:30:00s", "1 h", "1hm", "101d:00:00", "36501d",
                           "99999999999999999999s", "9999999:00:00"}) {
    const Result<Duration> parsed = parse_duration(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.refusal().message.rfind('"' + std::string(text) + '"', 0), 0u) << text;
  }
}

TEST(Cores, AreThousandths) {
  EXPECT_EQ(parse_millicores("1").value(), 1000u);
  EXPECT_EQ(parse_millicores("0.5").value(), 500u);
  EXPECT_EQ(parse_millicores("12.125").value(), 12125u);
  for (const char* text : {"", "0", "0.000", "0.0001", "-1", "two", "1000001", "1c", "1."})
    EXPECT_FALSE(parse_millicores(text).ok()) << text;
}

TEST(Number, HasNoSignBlankOrTail) {
  EXPECT_EQ(parse_number("0", 0, 3).value(), 0u);
  EXPECT_EQ(parse_number("3", 1, 3).value(), 3u);
  for (const char* text : {"", "4", "-1", "+1", " 1", "1 ", "1.0", "99999999999999999999999"})
    EXPECT_FALSE(parse_number(text, 0, 3).ok()) << text;
}

TEST(Shown, SizesAndTimesAreShort) {
  EXPECT_EQ(show_size(17), "17");
  EXPECT_EQ(show_size(1023), "1023");
  EXPECT_EQ(show_size(1024), "1K");
  EXPECT_EQ(show_size(3ull << 29), "1.5G");
  EXPECT_EQ(show_size((1ull << 30) - 1), "1023.9M");
  EXPECT_EQ(show_duration(Duration(0)), "0ms");
  EXPECT_EQ(show_duration(Duration(250'000)), "250ms");
  EXPECT_EQ(show_duration(Duration(12'340'000)), "12.3s");
  EXPECT_EQ(show_duration(Duration(192'000'000)), "3m12s");
  EXPECT_EQ(show_duration(Duration(5'400'000'000)), "1h30m");
  EXPECT_EQ(show_duration(Duration(97'200'000'000)), "1d3h");
  EXPECT_EQ(show_duration(Duration(-5)), "0ms");
  EXPECT_EQ(show_millicores(2000), "2");
  EXPECT_EQ(show_millicores(500), "0.5");
}

}  // namespace
}  // namespace leat::definitions
