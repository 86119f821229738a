#include "base/labels.h"

#include <gtest/gtest.h>

namespace leat {
namespace {

TEST(Labels, AreWordsPerhapsWithAValue) {
  for (const char* good : {"fast", "rack=7", "a-b_c.d/e", "leat:cgroup=unified", "7", "zone=eu/1"})
    EXPECT_TRUE(is_label(good)) << good;
  for (const std::string& bad :
       {std::string(), std::string("=x"), std::string("x="), std::string("a b"), std::string("!a"),
        std::string("a=b=c"), std::string("-a"), std::string("a\n"),
        std::string(kLabelBytesMax + 1, 'x')})
    EXPECT_FALSE(is_label(bad)) << bad;
}

TEST(Labels, OfAgentsAreNotForPeopleToGive) {
  for (const char* good : {"fast", "site/north", "zone=eu:1", "leatherette"})
    EXPECT_TRUE(is_given_label(good)) << good;
  for (const char* bad : {"leat:cgroup=unified", "leat:", "a b"})
    EXPECT_FALSE(is_given_label(bad)) << bad;
}

bool meets(const std::vector<std::string>& labels, std::string_view text) {
  const Result<Requirement> requirement = parse_requirement(text);
  EXPECT_TRUE(requirement.ok()) << text;
  return requirement.value().met_by(labels);
}

TEST(Labels, MeetWhatIsRequired) {
  const std::vector<std::string> labels{"fast", "rack=7", "rack=8", "faster"};
  for (const char* met : {"fast", "rack", "rack=7", "rack=8", "!slow", "!rack=9", "!ra"})
    EXPECT_TRUE(meets(labels, met)) << met;
  for (const char* missed : {"slow", "rack=9", "!fast", "!rack", "!rack=7", "fas", "fast=1"})
    EXPECT_FALSE(meets(labels, missed)) << missed;
  EXPECT_TRUE(all_met({}, labels));
  const std::vector<Requirement> both{{false, "fast"}, {true, "rack"}};
  EXPECT_FALSE(all_met(both, labels));
}

TEST(Labels, RefuseWhatIsNoRequirement) {
  for (const char* bad : {"", "!", "!!a", "a b", "=", "a,b"})
    EXPECT_FALSE(parse_requirement(bad).ok()) << bad;
  EXPECT_EQ(parse_requirement("!a=b").value().to_string(), "!a=b");
}

}  // namespace
}  // namespace leat
