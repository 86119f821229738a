#include "definitions/document.h"

#include <gtest/gtest.h>

#include <array>

#include "definitions/table_reader.h"

namespace leat::definitions {
namespace {

TEST(Document, KeepsTheOrderOfTheFileAndThePlaceOfEverything) {
  const Result<Table> table = parse_document("b = 1\na = ['x', 2.5]\n[t]\nc = true\n", "f.toml");
  ASSERT_TRUE(table.ok()) << table.refusal().message;
  ASSERT_EQ(table.value().size(), 3u);
  EXPECT_EQ(table.value()[0].key, "b");
  EXPECT_EQ(std::get<std::int64_t>(table.value()[0].item.value), 1);
  const Entry& list = table.value()[1];
  EXPECT_EQ(list.at.line, 2u);
  EXPECT_EQ(list.item.at.column, 5u);
  const Items& items = std::get<Items>(list.item.value);
  EXPECT_EQ(std::get<std::string>(items[0].value), "x");
  EXPECT_EQ(items[1].at.column, 11u);
  const Table& inner = std::get<Table>(table.value()[2].item.value);
  EXPECT_TRUE(std::get<bool>(inner[0].item.value));
  EXPECT_EQ(inner[0].at.line, 4u);
}

TEST(Document, NamesThePlaceOfASyntaxError) {
  const Result<Table> table = parse_document("a = 1\nb = = 2\n", "f.toml");
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.refusal().message.rfind("f.toml:2:5: ", 0), 0u) << table.refusal().message;
  EXPECT_FALSE(parse_document("a = 1\na = 2\n", "f.toml").ok());
}

TEST(Document, IsNotReadFromWhatIsNoFile) {
  EXPECT_EQ(read_definition("/nonexistent/f.toml").refusal().message,
            "/nonexistent/f.toml: No such file or directory");
  EXPECT_FALSE(read_definition("/").ok());
}

TEST(TableReader, KeepsTheFirstThingThatIsWrong) {
  const Result<Table> table = parse_document("a = 'x'\nb = 3\n", "f.toml");
  const std::string file = "f.toml";
  TableReader reader(table.value(), file);
  EXPECT_EQ(reader.number("b", 1, 3), 3u);
  EXPECT_EQ(reader.number("missing", 1, 3), std::nullopt);
  EXPECT_FALSE(reader.refusal());
  EXPECT_EQ(reader.truth("a"), std::nullopt);
  EXPECT_EQ(reader.text("b"), std::nullopt);
  ASSERT_TRUE(reader.refusal());
  EXPECT_EQ(reader.refusal()->message, "f.toml:1:5: a wants true or false");
}

TEST(TableReader, NamesAnUnknownKeyInFull) {
  const Result<Table> table = parse_document("a = 1\nb = 2\n", "f.toml");
  const std::string file = "f.toml";
  TableReader reader(table.value(), file, "outer.");
  constexpr std::array<std::string_view, 2> kKeys{"a", "c"};
  reader.expect_keys(kKeys, "a thing has");
  EXPECT_EQ(reader.refusal()->message, "f.toml:2:1: unknown key \"outer.b\": a thing has a, c");
}

}  // namespace
}  // namespace leat::definitions
