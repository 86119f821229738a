// utf8_test.cc - which bytes are characters.

#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace leat {
namespace {

TEST(Utf8, KnowsTheFirstAndTheLastCharacterOfEveryLength) {
  const struct {
    std::string bytes;
    std::uint32_t number;
  } characters[] = {
      {std::string(1, '\0'), 0},
      {"\x7f", 0x7f},
      {"\xc2\x80", 0x80},
      {"\xdf\xbf", 0x7ff},
      {"\xe0\xa0\x80", 0x800},
      {"\xed\x9f\xbf", 0xd7ff},
      {"\xee\x80\x80", 0xe000},
      {"\xef\xbf\xbf", 0xffff},
      {"\xf0\x90\x80\x80", 0x10000},
      {"\xf4\x8f\xbf\xbf", 0x10ffff},
  };
  for (const auto& character : characters) {
    const Utf8Character found = decode_utf8(character.bytes + "x");
    EXPECT_EQ(found.length, character.bytes.size()) << character.number;
    EXPECT_EQ(found.number, character.number);
    EXPECT_TRUE(is_utf8("a" + character.bytes + "b"));
    // Cut short, it is none.
    if (character.bytes.size() > 1) {
      EXPECT_FALSE(is_utf8(character.bytes.substr(0, character.bytes.size() - 1)));
    }
  }
  EXPECT_TRUE(is_utf8(""));
}

TEST(Utf8, TakesNothingElse) {
  for (const char* bytes : {
           "\x80", "\xbf", "\xff", "\xfe",                     // no lead
           "\xc0\x80", "\xc1\xbf",                             // more bytes than needed
           "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",                 //
           "\xed\xa0\x80", "\xed\xbf\xbf",                     // halves of surrogate pairs
           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",             // beyond U+10FFFF
           "\xc2x", "\xe2\x82x", "\xf0\x9f\x98x", "\xc2\xc2",  // no continuation
       }) {
    EXPECT_EQ(decode_utf8(bytes).length, 0u) << bytes;
    EXPECT_FALSE(is_utf8(bytes)) << bytes;
  }
}

}  // namespace
}  // namespace leat
