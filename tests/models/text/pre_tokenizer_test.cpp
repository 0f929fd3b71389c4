// SPDX-License-Identifier: Apache-2.0
#include "models/text/pre_tokenizer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

// The words of `utf8`, with | between them.
std::string split(const PreTokenizer& pre_tokenizer, std::string_view utf8) {
  AlignedText text;
  text.assign(utf8, 0);
  std::vector<WordRange> words = {{0, static_cast<std::uint32_t>(text.chars.size())}};
  pre_tokenizer.split(text.chars, words);
  std::string out;
  for (const WordRange& word : words) {
    if (!out.empty()) out += '|';
    for (std::uint32_t i = word.begin; i < word.end; ++i) append_utf8(out, text.chars[i].c);
  }
  return out;
}

TEST(PreTokenizerTest, BertRemovesSpaceAndIsolatesPunctuation) {
  EXPECT_EQ(split(PreTokenizer::bert(), "  Hey, friend!\u3000What's $5?! "),
            "Hey|,|friend|!|What|'|s|$|5|?|!");
  EXPECT_EQ(split(PreTokenizer::bert(), " \t "), "");
  EXPECT_TRUE(PreTokenizer::bert().is_bert());
}

TEST(PreTokenizerTest, NoRulesLeaveOneWord) {
  EXPECT_EQ(split({}, "a b"), "a b");
}

TEST(PreTokenizerTest, EveryBehaviorTreatsTheDelimiterItsWay) {
  const auto at_dash = [](SplitBehavior behavior) {
    return split({{{SplitAt::punctuation, behavior}}}, "the-final--countdown");
  };
  EXPECT_EQ(at_dash(SplitBehavior::removed), "the|final|countdown");
  EXPECT_EQ(at_dash(SplitBehavior::isolated), "the|-|final|-|-|countdown");
  EXPECT_EQ(at_dash(SplitBehavior::merged_with_previous), "the-|final-|-|countdown");
  EXPECT_EQ(at_dash(SplitBehavior::merged_with_next), "the|-final|-|-countdown");
  EXPECT_EQ(at_dash(SplitBehavior::contiguous), "the|-|final|--|countdown");
}

TEST(PreTokenizerTest, WordChangeSplitsWordsFromSymbols) {
  const PreTokenizer whitespace{{{SplitAt::word_change, SplitBehavior::removed}}};
  EXPECT_EQ(split(whitespace, "Hey man! _x1 $$ e\u0301t\u00E9"), "Hey|man|!|_x1|$$|e\u0301t\u00E9");
}

TEST(PreTokenizerTest, RulesSplitTheWordsOfTheRuleBefore) {
  const PreTokenizer digits{{{SplitAt::whitespace, SplitBehavior::removed},
                             {SplitAt::numeric, SplitBehavior::contiguous}}};
  EXPECT_EQ(split(digits, "a12 3b"), "a|12|3|b");
}

}  // namespace
}  // namespace tessera::text
