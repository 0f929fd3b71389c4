// SPDX-License-Identifier: Apache-2.0
// Expected values are those of Python 3.11.
#include "models/text/python_text.hpp"

#include <gtest/gtest.h>

#include "models/text/unicode.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::text {
namespace {

std::string utf8(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

std::string of(std::initializer_list<char32_t> text) {
  return utf8({text.begin(), text.size()});
}

TEST(StripTest, IsThatOfPython) {
  for (const char32_t c :
       U"\t\n\v\f\r\x1C\x1D\x1E\x1F \x85\xA0\u1680\u2000\u200A\u2028\u2029\u202F"
       U"\u205F\u3000") {
    if (c == 0) continue;
    EXPECT_EQ(stripped(of({c}) + "a" + of({c, c})), "a") << static_cast<unsigned>(c);
  }
  for (const char32_t c : U"\u200B\u180E\uFEFF\x1B\u2060") {
    if (c == 0) continue;
    EXPECT_EQ(stripped(of({c}) + "a"), of({c, U'a'})) << static_cast<unsigned>(c);
  }
  EXPECT_EQ(stripped(""), "");
  EXPECT_EQ(stripped(" \n "), "");
  EXPECT_EQ(stripped(" \xFF\x80 "), "\xFF\x80");
  EXPECT_EQ(stripped("\xE2\x80 "), "\xE2\x80");
}

TEST(LowerCaseTest, IsThatOfPython) {
  EXPECT_EQ(lower_case("ABC \xC3\x89"), "abc \xC3\xA9");
  EXPECT_EQ(lower_case("A\xFF"), "a\xEF\xBF\xBD");
  EXPECT_EQ(lower_case(utf8(U"\u0130")), utf8(U"i\u0307"));
}

TEST(LowerCaseTest, ASigmaThatEndsAWordIsTheFinalOne) {
  const auto lower = [](std::u32string_view text) { return lower_case(utf8(text)); };
  EXPECT_EQ(lower(U"\u03A3"), utf8(U"\u03C3")) << "it begins the word too";
  EXPECT_EQ(lower(U"\u039F\u0394\u039F\u03A3 \u03A3\u0391\u03A3"),
            utf8(U"\u03BF\u03B4\u03BF\u03C2 \u03C3\u03B1\u03C2"));
  EXPECT_EQ(lower(U"A\u03A3b"), utf8(U"a\u03C3b"));
  EXPECT_EQ(lower(U"A'\u03A3"), utf8(U"a'\u03C2")) << "an apostrophe does not count";
  EXPECT_EQ(lower(U"A\u03A3'b"), utf8(U"a\u03C3'b"));
  EXPECT_EQ(lower(U"A\u03A3.\u00AD"), utf8(U"a\u03C2.\u00AD"));
  EXPECT_EQ(lower(U"1\u03A3"), utf8(U"1\u03C3"));
  EXPECT_EQ(lower(U"\u24B6\u03A3"), utf8(U"\u24D0\u03C2")) << "a circled letter has a case";
  EXPECT_EQ(lower(U"A\u03A3\u03A3"), utf8(U"a\u03C3\u03C2"));
}

}  // namespace
}  // namespace tessera::text
