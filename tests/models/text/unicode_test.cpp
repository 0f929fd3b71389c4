// SPDX-License-Identifier: Apache-2.0
#include "models/text/unicode.hpp"
#include "runtime/base/utf8.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tessera::text {
namespace {

using namespace std::string_literals;

std::u32string decomposed(char32_t c, bool compatibility = false) {
  CodePoints out;
  const std::size_t n = decompose(c, compatibility, out);
  return {out.data(), n};
}

std::u32string lowercase(char32_t c) {
  CodePoints out;
  const std::size_t n = to_lowercase(c, out);
  return {out.data(), n};
}

TEST(UnicodeTest, EveryScalarValueSurvivesEncodingAndDecoding) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string s;
    append_utf8(s, c);
    const Decoded forwards = decode_utf8(s.data());
    ASSERT_TRUE(forwards.c == c);
    ASSERT_EQ(forwards.length, s.size());
    ASSERT_TRUE(decode_utf8_before(s.data() + s.size()).c == c);
    ASSERT_TRUE(is_utf8(s));
    ASSERT_EQ(count_code_points(s), 1u);
  }
}

TEST(UnicodeTest, EveryMaximalInvalidPartBecomesOneReplacementCharacter) {
  const std::string r = "\xEF\xBF\xBD";  // U+FFFD
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"plain", "plain"},
      {"a\xFFz", "a" + r + "z"},
      {"\x80\x80", r + r},  // continuations without a start
      {"\xC0\xAF", r + r},  // overlong: never a start
      {"\xE2\x82", r},      // cut off: one part
      {"\xE2\x82z", r + "z"},
      {"\xF0\x9F\x98", r},
      {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
      {"\xED\xA0\x80", r + r + r},                          // a surrogate
      {"\xE0\x80\x80", r + r + r},                          // overlong
      {"\xF4\x90\x80\x80", r + r + r + r},                  // above U+10FFFF
      {"\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",  // the example of the standard, table
                                                            // 3-8
       r + r + r + "b" + r + "c" + r + r + "d"},
  };
  for (const auto& [input, expected] : cases) EXPECT_EQ(replace_invalid_utf8(input), expected);
}

TEST(UnicodeTest, WhiteSpaceIsThatOfUnicodeAndControlIsNot) {
  for (const char32_t c : U" \t\n\v\f\r\x85\xA0\u1680\u2003\u2028\u2029\u202F\u205F\u3000"s) {
    EXPECT_TRUE(is_whitespace(c)) << std::uint32_t(c);
  }
  for (const char32_t c : U"a\x1C\u200B\u2060\uFEFF"s)
    EXPECT_FALSE(is_whitespace(c)) << std::uint32_t(c);
}

TEST(UnicodeTest, AsciiSymbolsArePunctuationAndOtherSymbolsAreNot) {
  for (const char32_t c : U"$+<=>^`|~!_-\u00BF\u2014\u3001\uFF01"s) EXPECT_TRUE(is_punctuation(c));
  for (const char32_t c : U"a0 \u20AC\u00D7\u2192"s) EXPECT_FALSE(is_punctuation(c));
}

TEST(UnicodeTest, CategoriesAreThoseOfTheReferenceNotOfTheNewestUnicode) {
  EXPECT_TRUE(is_nonspacing_mark(0x301));
  EXPECT_FALSE(is_nonspacing_mark(0x1ABF));  // Mn since Unicode 13
  EXPECT_TRUE(is_nonspacing_mark(0x1734));   // Mc since Unicode 14
  EXPECT_FALSE(is_punctuation(0x2E52));      // Ps since Unicode 14
  EXPECT_TRUE(is_punctuation(0x166D));       // So since Unicode 12
  EXPECT_FALSE(is_other(0x8E2));             // Cf since Unicode 9
  EXPECT_TRUE(is_other(0xAD));
  EXPECT_TRUE(is_other(0xE000));
  EXPECT_FALSE(is_other(0x378));  // unassigned
  EXPECT_EQ(combining_class(0x1ABF), 0);
  EXPECT_EQ(combining_class(0x316), 220);
}

TEST(UnicodeTest, IdeographsOfSupplementaryPlanesAreIdeographs) {
  for (const char32_t c : {0x4E00u, 0x9FFFu, 0x3400u, 0xF900u, 0x20000u, 0x2A700u, 0x2F800u}) {
    EXPECT_TRUE(is_cjk_ideograph(c)) << std::uint32_t{c};
  }
  for (const char32_t c : {0x3042u, 0xAC00u, 0x3007u, 0x2B820u, 0x30000u}) {
    EXPECT_FALSE(is_cjk_ideograph(c)) << std::uint32_t{c};
  }
}

TEST(UnicodeTest, DecompositionsAreFullAndOfUnicode9) {
  EXPECT_TRUE(decomposed(0xE9) == U"e\u0301");
  EXPECT_TRUE(decomposed(0x1E69) == U"s\u0323\u0307");
  EXPECT_TRUE(decomposed(0xAC01) == U"\u1100\u1161\u11A8");
  EXPECT_TRUE(decomposed(0xFB01) == U"\uFB01");
  EXPECT_TRUE(decomposed(0xFB01, true) == U"fi");
  EXPECT_EQ(decomposed(0xFDFA, true).size(), 18u);
  EXPECT_TRUE(decomposed(0x11938) == U"\U00011938");   // Unicode 13
  EXPECT_TRUE(decomposed(0x32FF, true) == U"\u32FF");  // Unicode 12.1
}

TEST(UnicodeTest, CompositionInvertsDecompositionExceptWhereExcluded) {
  EXPECT_TRUE(compose(U'e', 0x301) == char32_t{0xE9});
  EXPECT_TRUE(compose(0x1100, 0x1161) == char32_t{0xAC00});
  EXPECT_TRUE(compose(0xAC00, 0x11A8) == char32_t{0xAC01});
  EXPECT_FALSE(compose(0x915, 0x93C));  // U+0958 is excluded
  EXPECT_FALSE(compose(U'e', U'a'));
}

TEST(UnicodeTest, InertCharactersNeitherChangeNorComposeInNfc) {
  CodePoints parts;
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const auto code = static_cast<unsigned>(c);
    const std::size_t n = decompose(c, false, parts);
    // What composes with the character before it is the end of some decomposition.
    for (std::size_t i = 1; i < n; ++i) EXPECT_FALSE(is_inert_in_nfc(parts[i])) << std::hex << code;
    if (!is_inert_in_nfc(c)) continue;
    EXPECT_EQ(combining_class(c), 0) << std::hex << code;
    std::optional<char32_t> whole = parts[0];
    for (std::size_t i = 1; i < n && whole; ++i) whole = compose(*whole, parts[i]);
    EXPECT_TRUE(whole == c) << std::hex << code;
  }
}

TEST(UnicodeTest, LowercaseHasNoContext) {
  EXPECT_TRUE(lowercase(U'A') == U"a");
  EXPECT_TRUE(lowercase(0x130) == U"i\u0307");
  EXPECT_TRUE(lowercase(0x3A3) == U"\u03C3");  // never a final sigma
  EXPECT_TRUE(lowercase(0xDF) == U"\u00DF");
  EXPECT_TRUE(lowercase(0x1E9E) == U"\u00DF");
  EXPECT_TRUE(lowercase(0x16EA0) == U"\U00016EBB");  // Unicode 17
}

}  // namespace
}  // namespace tessera::text
