#include "cli/console.h"

#include <gtest/gtest.h>

namespace leat::cli {
namespace {

TEST(Printable, KeepsWhatAPersonCanRead) {
  EXPECT_EQ(printable("plain text, 1-2:3"), "plain text, 1-2:3");
  EXPECT_EQ(printable("Zürich, 水, 🦀"), "Zürich, 水, 🦀");
}

TEST(Printable, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\033[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(printable("a\nb\rc\td"), "a\\x0ab\\x0dc\\x09d");
  EXPECT_EQ(printable(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
  EXPECT_EQ(printable("\u009b2J"), "\\xc2\\x9b2J");         // control sequence introducer
  EXPECT_EQ(printable("\u202eexe"), "\\xe2\\x80\\xaeexe");  // right-to-left override
}

TEST(Printable, ShowsBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("\xc3"), "\\xc3");                    // cut
  EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");           // over-long
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

}  // namespace
}  // namespace leat::cli
