// SPDX-License-Identifier: Apache-2.0
#include "models/text/wordpiece.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

WordPiece model(const std::vector<std::string>& tokens, WordPieceConfig config = {}) {
  Vocabulary vocabulary;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    vocabulary.add(tokens[i], static_cast<std::int32_t>(i));
  vocabulary.finish();
  return WordPiece(std::move(vocabulary), std::move(config));
}

std::string numbered(std::int32_t i) {
  return std::string("t").append(std::to_string(i));
}

// "un0-2 ##aff2-5": tokens with their bytes.
std::string split(const WordPiece& wordpiece, const std::string& word) {
  WordPiece::Scratch scratch;
  wordpiece.tokenize(word, count_code_points(word), scratch);
  std::string out;
  for (const WordToken& t : scratch.tokens) {
    out += std::string(*wordpiece.vocabulary().token(t.id)) + std::to_string(t.begin) + "-" +
           std::to_string(t.end) + " ";
  }
  return out;
}

TEST(WordPieceTest, TakesTheLongestTokenFirst) {
  const WordPiece m = model({"[UNK]", "un", "u", "##aff", "##a", "##able", "unaff"});
  EXPECT_EQ(split(m, "unaffable"), "unaff0-5 ##able5-9 ");
  EXPECT_EQ(split(m, "unable"), "un0-2 ##able2-6 ");
}

TEST(WordPieceTest, AWordThatCannotBeCoveredIsUnknownAsAWhole) {
  const WordPiece m = model({"[UNK]", "un", "##a"});
  EXPECT_EQ(split(m, "unax"), "[UNK]0-4 ");
  EXPECT_EQ(split(m, "x"), "[UNK]0-1 ");
}

TEST(WordPieceTest, GreedyDoesNotGoBack) {
  const WordPiece m = model({"[UNK]", "ab", "a", "##bc"});
  EXPECT_EQ(split(m, "abc"), "[UNK]0-3 ");  // a ##bc would do, but ab comes first
}

TEST(WordPieceTest, LongWordsAreUnknownByCodePointsNotBytes) {
  const WordPiece m = model({"[UNK]", "\u00E9", "##\u00E9"}, {.max_input_chars_per_word = 3});
  EXPECT_EQ(split(m, "\u00E9\u00E9\u00E9"), "\u00E90-2 ##\u00E92-4 ##\u00E94-6 ");
  EXPECT_EQ(split(m, "\u00E9\u00E9\u00E9\u00E9"), "[UNK]0-8 ");
}

TEST(WordPieceTest, AnyPrefixAndAnyUnknownTokenWillDo) {
  const WordPiece m =
      model({"<u>", "a", "@b"}, {.unk_token = "<u>", .continuing_subword_prefix = "@"});
  EXPECT_EQ(split(m, "ab"), "a0-1 @b1-2 ");
  EXPECT_EQ(split(m, "b"), "<u>0-1 ");
  const WordPiece none =
      model({"<u>", "a", "b"}, {.unk_token = "<u>", .continuing_subword_prefix = ""});
  EXPECT_EQ(split(none, "ba"), "b0-1 a1-2 ");
}

TEST(WordPieceTest, ATokenListedTwiceHasItsLastId) {
  const WordPiece m = model({"[UNK]", "a", "##a", "a", "##a"});
  WordPiece::Scratch scratch;
  m.tokenize("aa", 2, scratch);
  ASSERT_EQ(scratch.tokens.size(), 2u);
  EXPECT_EQ(scratch.tokens[0].id, 3);
  EXPECT_EQ(scratch.tokens[1].id, 4);
  EXPECT_EQ(m.vocabulary().size(), 3u);
  EXPECT_EQ(m.vocabulary().id_count(), 5u);
}

TEST(VocabularyTest, FindsEveryOfManyTokensByNameAndById) {
  Vocabulary vocabulary;
  for (std::int32_t i = 0; i < 20000; ++i) vocabulary.add(numbered(i), 2 * i);
  vocabulary.finish();
  for (std::int32_t i = 0; i < 20000; ++i) {
    ASSERT_EQ(vocabulary.id(numbered(i)), 2 * i);
    ASSERT_EQ(vocabulary.token(2 * i), numbered(i));
    ASSERT_EQ(vocabulary.token(2 * i + 1), std::nullopt);
  }
  EXPECT_EQ(vocabulary.id("t20000"), std::nullopt);
  EXPECT_EQ(vocabulary.id(""), std::nullopt);
  EXPECT_EQ(vocabulary.token(-1), std::nullopt);
}

TEST(VocabularyTest, EmptyVocabularyHasNothing) {
  Vocabulary vocabulary;
  vocabulary.finish();
  EXPECT_EQ(vocabulary.id("a"), std::nullopt);
  EXPECT_EQ(vocabulary.token(0), std::nullopt);
  EXPECT_EQ(vocabulary.id_count(), 0u);
}

}  // namespace
}  // namespace tessera::text
