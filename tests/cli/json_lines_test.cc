#include "cli/json_lines.h"

#include <gtest/gtest.h>

namespace leat::cli {
namespace {

struct Read {
  std::vector<std::uint64_t> offsets;
  std::string refusal;
};

// Feeds `text` in pieces of `piece` bytes.
Read read(std::string_view text, const std::vector<std::string>& argv, std::size_t piece) {
  Read read;
  JsonLines lines(argv, [&read](std::uint64_t offset) { read.offsets.push_back(offset); });
  Result<Done> done = Done{};
  for (std::size_t at = 0; done.ok() && at < text.size(); at += piece)
    done = lines.feed(text.substr(at, piece));
  if (done.ok()) done = lines.finish();
  if (!done.ok()) read.refusal = done.refusal().message;
  return read;
}

TEST(JsonLines, TellWhereEachObjectBegins) {
  for (const std::size_t piece : {1, 4, 1000}) {
    EXPECT_EQ(read("{}\n{\"a\":1}\n", {"p"}, piece).offsets,
              (std::vector<std::uint64_t>{0, 3, 11}));
    // Blank lines belong to nobody's beginning.
    EXPECT_EQ(read("\n {}\n\n \t\n{}", {"p"}, piece).offsets,
              (std::vector<std::uint64_t>{1, 9, 11}));
  }
}

TEST(JsonLines, AreRefusedWithTheNumberOfTheLine) {
  struct Case {
    std::string_view text;
    std::string_view refusal;
  };
  const Case cases[] = {
      {"", "empty: one task per JSON object is made"},
      {"\n\n", "empty: one task per JSON object is made"},
      {"{}\n{\"a\":}\n", "line 2: is not JSON, at its byte 6"},
      {"{}\n\n{} {}\n", "line 3: is not JSON, at its byte 4"},
      {"{}\nhello", "line 2: is not JSON, at its byte 1"},
      {"[1]\n", "line 1: is not a JSON object: write one like {\"n\": 5}"},
      {"{\"a\": 1e999}\n", "line 1: holds a number that is out of range"},
      {"{\"a\": \"\xff\"}\n", "line 1: is not JSON, at its byte 8"},
      {"{\"n\":1}\n{\"n\":2}\n{\"m\":3}\n",
       "line 3: has no field \"n\", which stands as {n} in the arguments and which line 1 has"},
      {"{\"m\":1}\n{\"n\":2}\n",
       "line 1: has no field \"n\", which stands as {n} in the arguments and which line 2 has"},
      {"{\"n\":\"a\\u0000b\"}\n",
       "line 1: field \"n\" holds a zero character, which no argument can"},
  };
  for (const Case& c : cases)
    for (const std::size_t piece : {1, 1000})
      EXPECT_EQ(read(c.text, {"p", "x={n}", "{print}"}, piece).refusal, c.refusal) << c.text;
}

TEST(JsonLines, LeaveAloneWhatIsNoFieldOfAny) {
  EXPECT_EQ(read("{\"a\":1}\n{\"b\":1}\n", {"{a}", "{print $1}", "{c}"}, 100).refusal, "");
}

TEST(JsonLines, HaveABound) {
  const std::string text = "{\"a\":\"" + std::string(kJsonLineBytesMax, 'x') + "\"}";
  EXPECT_EQ(read(text, {"p"}, 1u << 20).refusal, "line 1: longer than 16 MiB");
}

}  // namespace
}  // namespace leat::cli
