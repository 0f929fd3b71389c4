// SPDX-License-Identifier: Apache-2.0
#include "models/text/aligned_text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "models/text/normalizer.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

AlignedText text_of(std::string_view utf8, std::uint32_t first = 0) {
  AlignedText text;
  text.assign(utf8, first);
  return text;
}

// "e[0,1) ́[0,1)" without the brackets: every character with the stretch it stands for.
std::string show(const AlignedText& text) {
  std::string out;
  for (const AlignedChar& x : text.chars) {
    append_utf8(out, x.c);
    out += std::to_string(x.begin) + "-" + std::to_string(x.end) + " ";
  }
  return out;
}

std::string normalized(std::string_view utf8, NormalizerStep step) {
  AlignedText text = text_of(utf8);
  Normalizer{{std::move(step)}}.apply(text);
  return show(text);
}

TEST(AlignedTextTest, CountsCodePointsFromTheGivenStart) {
  EXPECT_EQ(show(text_of("a\u00E9\U0001F600", 7)), "a7-8 \u00E98-9 \U0001F6009-10 ");
}

TEST(AlignedTextTest, DecompositionKeepsThePlaceOfTheWhole) {
  EXPECT_EQ(normalized("\u00E9x", UnicodeForm::nfd), "e0-1 \u03010-1 x1-2 ");
  EXPECT_EQ(normalized("\uAC01", UnicodeForm::nfd), "\u11000-1 \u11610-1 \u11A80-1 ");
}

TEST(AlignedTextTest, MarksAreSortedAndTakeThePlacesInTheirNewOrder) {
  // U+0316 (class 220) goes before the grave accent (230) that comes out of the letter.
  EXPECT_EQ(normalized("\u00E0\u0316", UnicodeForm::nfd), "a0-1 \u03161-2 \u03001-2 ");
}

TEST(AlignedTextTest, CompositionSwallowsThePlaces) {
  EXPECT_EQ(normalized("e\u0301x", UnicodeForm::nfc), "\u00E90-1 x2-3 ");
  EXPECT_EQ(normalized("\u1100\u1161\u11A8x", UnicodeForm::nfc), "\uAC010-1 x3-4 ");
  EXPECT_EQ(normalized("\uFB01", UnicodeForm::nfkc), "f0-1 i0-1 ");
}

TEST(AlignedTextTest, ReplacementTakesThePlaceOfTheLastReplacedCharacter) {
  EXPECT_EQ(normalized("abab", ReplaceNormalizer{U"ab", U"xyz"}), "x1-2 y1-2 z1-2 x3-4 y3-4 z3-4 ");
  EXPECT_EQ(normalized("abc", ReplaceNormalizer{U"b", U""}), "a0-1 c2-3 ");
}

TEST(AlignedTextTest, StripAndPrepend) {
  EXPECT_EQ(normalized("\u3000 a ", (StripNormalizer{true, false})), "a2-3  3-4 ");
  EXPECT_EQ(normalized(" a \u00A0", (StripNormalizer{true, true})), "a1-2 ");
  EXPECT_EQ(normalized("  ", (StripNormalizer{true, true})), "");
  EXPECT_EQ(normalized("ab", PrependNormalizer{U"_"}), "_0-1 a0-1 b1-2 ");
  EXPECT_EQ(normalized("", PrependNormalizer{U"_"}), "");
}

TEST(AlignedTextTest, BertNormalizerCleansSplitsStripsAndLowers) {
  EXPECT_EQ(normalized("A\x01\u200B\uFFFD\tB", BertNormalizer{}), "a0-1  4-5 b5-6 ");
  EXPECT_EQ(normalized("a\u4E2Db", BertNormalizer{}), "a0-1  1-2 \u4E2D1-2  1-2 b2-3 ");
  EXPECT_EQ(normalized("\u00C9", BertNormalizer{}), "e0-1 ");
  EXPECT_EQ(normalized("\u0130", BertNormalizer{}), "i0-1 ");
  EXPECT_EQ(normalized("\u00C9", (BertNormalizer{.strip_accents = false})), "\u00E90-1 ");
  EXPECT_EQ(normalized("\u0130", (BertNormalizer{.strip_accents = false})), "i0-1 \u03070-1 ");
  EXPECT_EQ(
      normalized("\u00C9", (BertNormalizer{.strip_accents = std::nullopt, .lowercase = false})),
      "\u00C90-1 ");
  EXPECT_EQ(normalized("\u00C9", (BertNormalizer{.strip_accents = true, .lowercase = false})),
            "E0-1 ");
}

}  // namespace
}  // namespace tessera::text
