// SPDX-License-Identifier: Apache-2.0
#include "models/text/added_tokens.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tessera::text {
namespace {

AddedToken token(std::string content) {
  AddedToken t;
  t.content = std::move(content);
  return t;
}

// The stretches of `text`: {added} and (between).
std::string split(const std::vector<AddedToken>& tokens, std::string_view text) {
  AddedTokens added;
  added.add(tokens, Vocabulary{}, Normalizer{});
  std::vector<AddedSplit> splits;
  added.split(text, false, splits);
  std::string out;
  for (const AddedSplit& s : splits) {
    const bool is_text = s.token == AddedSplit::kText;
    out.append(is_text ? "(" : "{").append(text.substr(s.begin, s.end - s.begin));
    out.append(is_text ? ")" : "}");
  }
  return out;
}

TEST(AddedTokensTest, CutsTokensOutOfTheText) {
  EXPECT_EQ(split({token("[M]")}, "a[M][M] b[M"), "(a){[M]}{[M]}( b[M)");
  EXPECT_EQ(split({token("[M]")}, ""), "");
  EXPECT_EQ(split({}, "abc"), "(abc)");
}

TEST(AddedTokensTest, TheLeftmostAndThenTheLongestWins) {
  EXPECT_EQ(split({token("ab"), token("abc"), token("bcd")}, "abcd"), "{abc}(d)");
  EXPECT_EQ(split({token("abc"), token("bc")}, "abd bc"), "(abd ){bc}");
}

// Quadratic where each token looks at all the white space around it: 4 * 10^10 steps.
TEST(AddedTokensTest, WhiteSpaceIsLookedAtOnce) {
  const std::string spaces(300'000, ' ');
  AddedToken left = token(" ");
  left.lstrip = true;
  EXPECT_EQ(split({left}, spaces).size(), 3 * spaces.size());  // {} around each
  left.single_word = true;
  EXPECT_EQ(split({left}, "x" + spaces).size(), 3 + 3 * (spaces.size() - 1) + 1);
}

TEST(AddedTokensTest, StripsTakeTheSpaceBesideThem) {
  AddedToken left = token("<m>");
  left.lstrip = true;
  EXPECT_EQ(split({left}, "a \u3000<m> b"), "(a){ \u3000<m>}( b)");
  AddedToken both = left;
  both.rstrip = true;
  EXPECT_EQ(split({both}, "a <m> <m> b"), "(a){ <m> }{<m> }(b)");
}

TEST(AddedTokensTest, ASingleWordIsNotPartOfAnother) {
  AddedToken word = token("cat");
  word.single_word = true;
  EXPECT_EQ(split({word}, "cat scat cats cat. \u00E9cat cat_"),
            "{cat}( scat cats ){cat}(. \u00E9cat cat_)");
}

TEST(AddedTokensTest, IdsAreThoseOfTheVocabularyOrTheNextFreeOnes) {
  Vocabulary vocabulary;
  vocabulary.add("a", 0);
  vocabulary.add("[M]", 1);
  vocabulary.finish();
  AddedTokens added;
  added.add({token("new"), token("[M]"), token(""), token("newer"), token("new")}, vocabulary,
            Normalizer{});
  EXPECT_EQ(added.id("[M]"), 1);
  EXPECT_EQ(added.id("new"), 2);
  EXPECT_EQ(added.id("newer"), 3);
  EXPECT_EQ(added.id("a"), std::nullopt);
  EXPECT_EQ(added.token(3), "newer");
  EXPECT_EQ(added.token(0), std::nullopt);
  EXPECT_EQ(added.id_count(), 4u);
  EXPECT_EQ(added.new_count(), 2u);
  EXPECT_TRUE(added.is_special(1));
}

TEST(AddedTokensTest, NormalizedTokensAreSoughtByTheirNormalizedForm) {
  AddedToken t = token("\u00C9t\u00E9");
  t.normalized = true;
  AddedTokens added;
  added.add({t}, Vocabulary{}, Normalizer{{BertNormalizer{}}});
  EXPECT_TRUE(added.any_normalized());
  std::vector<AddedSplit> splits;
  added.split("un ete", true, splits);
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_EQ(splits[1].begin, 3u);
  added.split("\u00C9t\u00E9", false, splits);
  ASSERT_EQ(splits.size(), 1u);
  EXPECT_EQ(splits[0].token, AddedSplit::kText);
}

}  // namespace
}  // namespace tessera::text
