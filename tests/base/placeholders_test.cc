#include "base/placeholders.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace leat {
namespace {

std::string fill(std::string_view text) {
  static const std::map<std::string, std::string, std::less<>> kValues{
      {"", "FILE"}, {"a", "{b}"}, {"b", ""}, {"long.name-1_x", "yes"}};
  return fill_placeholders(text, [](std::string_view name) -> std::optional<std::string> {
    const auto found = kValues.find(name);
    return found == kValues.end() ? std::nullopt : std::optional<std::string>(found->second);
  });
}

TEST(Placeholders, AreReplacedWhereTheyMeanSomething) {
  struct Case {
    std::string_view text;
    std::string_view filled;
  };
  for (const Case& c : std::vector<Case>{{"", ""},
                                         {"plain", "plain"},
                                         {"{}", "FILE"},
                                         {"in={}.png", "in=FILE.png"},
                                         {"{a}{b}{}", "{b}FILE"},  // once: what came in stays
                                         {"{long.name-1_x}", "yes"},
                                         {"{unknown}", "{unknown}"},
                                         {"{print $1}", "{print $1}"},
                                         {"{", "{"},
                                         {"{{a}}", "{{b}}"},
                                         {"${a", "${a"},
                                         {"{a b}", "{a b}"}})
    EXPECT_EQ(fill(c.text), c.filled) << c.text;
}

TEST(Placeholders, HaveNamesOfBoundedLength) {
  const auto always = [](std::string_view) { return std::optional<std::string>("x"); };
  const std::string longest(kPlaceholderNameMax, 'n');
  EXPECT_EQ(fill_placeholders("{" + longest + "}", always), "x");
  EXPECT_EQ(fill_placeholders("{" + longest + "n}", always), "{" + longest + "n}");
}

}  // namespace
}  // namespace leat
