// SPDX-License-Identifier: Apache-2.0
#include "models/text/tokenizer.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/models/text/tokenizer_files.hpp"

namespace tessera::text {
namespace {

using Ids = std::vector<std::int32_t>;
using Offsets = std::vector<std::array<std::uint32_t, 2>>;

Tokenizer bert() {
  return tokenizer_of({});
}

TEST(TokenizerTest, OneTextGetsClsAndSep) {
  const Encoding e = bert().encode("Hello, unaffable W\u00F6rld!");
  EXPECT_EQ(e.ids, (Ids{2, 5, 10, 7, 8, 9, 6, 11, 3}));
  EXPECT_EQ(e.type_ids, Ids(9, 0));
  EXPECT_EQ(
      e.offsets,
      (Offsets{{0, 0}, {0, 5}, {5, 6}, {7, 9}, {9, 12}, {12, 16}, {17, 22}, {22, 23}, {0, 0}}));
  EXPECT_EQ(e.special_mask, (std::vector<std::uint8_t>{1, 0, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(e.attention_mask, std::vector<std::uint8_t>(9, 1));
}

TEST(TokenizerTest, APairGetsItsTypesAndEachTextItsOwnOffsets) {
  const Encoding e = bert().encode_pair("hello", "x world");
  EXPECT_EQ(e.ids, (Ids{2, 5, 3, 1, 6, 3}));
  EXPECT_EQ(e.type_ids, (Ids{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 0}, {0, 5}, {0, 0}, {0, 1}, {2, 7}, {0, 0}}));
}

// Of two long texts the odd token goes by lengths, which a limit has cut already: the first text is
// limited in both ways alike.
TEST(TokenizerTest, APairInTwoStepsIsThePair) {
  const Tokenizer t = bert();
  const std::vector<std::string> texts = {"", "hello", "hello world foo foo",
                                          "x hello world, unaffable hello world foo hello world",
                                          "foo foo foo foo foo foo foo foo foo foo foo"};
  for (const auto strategy : {TruncationStrategy::longest_first, TruncationStrategy::only_second}) {
    for (const Side side : {Side::left, Side::right}) {
      for (const std::size_t limit : {8U, 9U, 10U, 11U, 40U}) {
        EncodeOptions o;
        o.max_length = limit;
        o.truncation = strategy;
        o.truncation_side = side;
        for (const std::string& a : texts) {
          for (const std::string& b : texts) {
            const bool fails = strategy == TruncationStrategy::only_second &&
                               t.encode(a).size() + t.encode(b).size() > limit;
            if (fails) continue;  // may be refused
            const Encoding whole = t.encode_pair(a, b, o);
            const Encoding steps = t.encode_pair(t.pair_start(a, o), b, o);
            EXPECT_EQ(steps.ids, whole.ids) << a << " | " << b;
            EXPECT_EQ(steps.type_ids, whole.type_ids);
            EXPECT_EQ(steps.offsets, whole.offsets);
            EXPECT_EQ(steps.is_cut, whole.is_cut);
          }
        }
      }
    }
  }
}

TEST(TokenizerTest, WithoutSpecialTokensOnlyTheTextsRemain) {
  EncodeOptions bare;
  bare.add_special_tokens = false;
  EXPECT_EQ(bert().encode("hello", bare).ids, Ids{5});
  const Encoding e = bert().encode_pair("hello", "world", bare);
  EXPECT_EQ(e.ids, (Ids{5, 6}));
  EXPECT_EQ(e.type_ids, (Ids{0, 1}));
  EXPECT_EQ(bert().encode("", bare).size(), 0u);
}

TEST(TokenizerTest, EmptyTextIsClsAndSep) {
  EXPECT_EQ(bert().encode("").ids, (Ids{2, 3}));
  EXPECT_EQ(bert().encode(" \n\x01 ").ids, (Ids{2, 3}));
  EXPECT_EQ(bert().encode_pair("", "").ids, (Ids{2, 3, 3}));
}

TEST(TokenizerTest, SpecialTokensWrittenInTheTextAreTokens) {
  const Encoding e = bert().encode("hello [MASK] [mask]");
  EXPECT_EQ(e.ids, (Ids{2, 5, 4, 1, 1, 1, 3}));
  EXPECT_EQ(e.offsets[2], (std::array<std::uint32_t, 2>{6, 12}));
  EXPECT_EQ(e.special_mask[2], 0);
}

TEST(TokenizerTest, RemovedCharactersStayInsideTheOffsets) {
  const Encoding e = bert().encode("he\u200Bllo\x01 wo\u0301rld");
  EXPECT_EQ(e.ids, (Ids{2, 5, 6, 3}));
  EXPECT_EQ(e.offsets[1], (std::array<std::uint32_t, 2>{0, 6}));
  EXPECT_EQ(e.offsets[2], (std::array<std::uint32_t, 2>{8, 14}));
}

TEST(TokenizerTest, InvalidUtf8IsReplacedAndThenRemoved) {
  const Encoding e = bert().encode("hel\xFFlo \xE2\x82 world");
  EXPECT_EQ(e.ids, (Ids{2, 5, 6, 3}));
  EXPECT_EQ(e.offsets[1], (std::array<std::uint32_t, 2>{0, 6}));
  EXPECT_EQ(e.offsets[2], (std::array<std::uint32_t, 2>{9, 14}));
}

TEST(TokenizerTest, IdeographsAreSplitOneByOne) {
  EXPECT_EQ(bert().encode("\u4E2D\u4E2Dhello").ids, (Ids{2, 12, 12, 5, 3}));
  EXPECT_EQ(bert().encode("\U00020000\U00020001").ids, (Ids{2, 1, 1, 3}));
}

TEST(TokenizerTest, MaxLengthCountsTheSpecialTokens) {
  EncodeOptions o;
  o.max_length = 4;
  EXPECT_EQ(bert().encode("hello world foo", o).ids, (Ids{2, 5, 6, 3}));
  o.truncation_side = Side::left;
  EXPECT_EQ(bert().encode("hello world foo", o).ids, (Ids{2, 6, 13, 3}));
  o.max_length = 5;
  EXPECT_EQ(bert().encode_pair("hello world foo", "foo foo", o).ids, (Ids{2, 13, 3, 13, 3}));
  o.max_length = 2;
  EXPECT_EQ(bert().encode("hello", o).ids, (Ids{2, 3}));
}

TEST(TokenizerTest, MaxLengthBelowTheSpecialTokensIsAnError) {
  EncodeOptions o;
  o.max_length = 2;
  try {
    bert().encode_pair("hello", "world", o);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(e.what(),
                 "tokenizer: max_length is 2, expected at least 3, the special tokens of a pair");
  }
}

TEST(TokenizerTest, DoNotTruncateOverridesEverything) {
  EncodeOptions o;
  o.max_length = 3;
  o.truncation = TruncationStrategy::do_not_truncate;
  EXPECT_EQ(bert().encode("hello world foo", o).size(), 5u);
}

TEST(TokenizerTest, TheFilesTruncationAndPaddingAreUsedUnlessOverridden) {
  JsonSections s;
  s.truncation =
      R"({"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0})";
  s.padding =
      R"({"strategy": {"Fixed": 6}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 0,
                  "pad_type_id": 0, "pad_token": "[PAD]"})";
  const Tokenizer t = tokenizer_of(s);
  EXPECT_EQ(t.max_length(), std::nullopt);  // left over: the reference puts its own in its place
  EXPECT_EQ(t.truncation_side(), Side::left);
  EXPECT_TRUE(t.info().pads);
  EXPECT_EQ(t.encode("hello world foo").ids, (Ids{2, 6, 13, 3}));
  EncodeOptions o;
  o.use_file_truncation = false;
  EXPECT_EQ(t.encode("hello world foo", o).ids, (Ids{2, 5, 6, 13, 3}));
  o.max_length = 3;
  EXPECT_EQ(t.encode("hello world foo", o).ids, (Ids{2, 5, 3}));
  EncodeOptions padded;
  padded.use_file_padding = true;
  const Encoding e = t.encode("hello", padded);
  EXPECT_EQ(e.ids, (Ids{0, 0, 0, 2, 5, 3}));
  EXPECT_EQ(e.attention_mask, (std::vector<std::uint8_t>{0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(e.special_mask, (std::vector<std::uint8_t>{1, 1, 1, 1, 0, 1}));
}

TEST(TokenizerTest, PaddingToAMultipleRoundsUp) {
  JsonSections s;
  s.padding =
      R"({"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": 8, "pad_id": 0,
                  "pad_type_id": 0, "pad_token": "[PAD]"})";
  EncodeOptions padded;
  padded.use_file_padding = true;
  EXPECT_EQ(tokenizer_of(s).encode("hello", padded).size(), 8u);
  EXPECT_EQ(tokenizer_of(s).encode("hello").size(), 3u);
}

TEST(TokenizerTest, TemplateIsAppliedAsWritten) {
  JsonSections s;
  s.post_processor = R"({"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "X", "type_id": 2}}, {"Sequence": {"id": "A", "type_id": 1}}],
    "pair": [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "X", "type_id": 0}},
             {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"X": {"id": "X", "ids": [2, 3], "tokens": ["[CLS]", "[SEP]"]}}})";
  const Tokenizer t = tokenizer_of(s);
  EXPECT_EQ(t.special_tokens_count(false), 2u);
  EXPECT_EQ(t.encode("hello").ids, (Ids{2, 3, 5}));
  EXPECT_EQ(t.encode("hello").type_ids, (Ids{2, 2, 1}));
  EXPECT_EQ(t.encode_pair("hello", "world").ids, (Ids{6, 2, 3, 5}));
  EXPECT_EQ(t.encode_pair("hello", "world").type_ids, (Ids{1, 0, 0, 0}));
}

TEST(TokenizerTest, RobertaTemplateHasTwoSeparatorsAndOneType) {
  JsonSections s;
  s.post_processor = R"({"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2],
                         "trim_offsets": true, "add_prefix_space": false})";
  s.added_tokens =
      R"([{"id": 4, "content": "[MASK]", "lstrip": true, "special": true, "normalized": false}])";
  const Tokenizer t = tokenizer_of(s);
  const Encoding e = t.encode_pair("hello  [MASK]", "world");
  EXPECT_EQ(e.ids, (Ids{2, 5, 4, 3, 3, 6, 3}));
  EXPECT_EQ(e.type_ids, Ids(7, 0));
  EXPECT_EQ(e.offsets[2], (std::array<std::uint32_t, 2>{7, 13}));  // without the space it took
  EXPECT_EQ(t.special_tokens_count(true), 4u);
}

TEST(TokenizerTest, NoPostProcessorMeansNoSpecialTokens) {
  JsonSections s;
  s.post_processor = "null";
  const Tokenizer t = tokenizer_of(s);
  EXPECT_EQ(t.encode("hello").ids, Ids{5});
  EXPECT_EQ(t.encode_pair("hello", "world").type_ids, (Ids{0, 1}));
  EXPECT_EQ(t.special_tokens_count(true), 0u);
}

TEST(TokenizerTest, TokensOfTheNormalizedTextAreFoundThere) {
  JsonSections s;
  s.added_tokens =
      R"([{"id": 14, "content": "H\u00E9llo W", "special": false, "normalized": true}])";
  const Tokenizer t = tokenizer_of(s);
  const Encoding e = t.encode("foo H\u00C9LLO World");
  EXPECT_EQ(e.ids, (Ids{2, 13, 14, 1, 3}));
  EXPECT_EQ(e.offsets[2], (std::array<std::uint32_t, 2>{4, 11}));
  EXPECT_EQ(t.vocab_size(), 15u);
  EXPECT_FALSE(t.is_special(14));
}

TEST(TokenizerTest, AnOddTokenGoesToTheSequenceThatIsLongerWhereTokenisingStopped) {
  // Limit 8, 5 tokens to share. Tokenising stops at 8 tokens: after the 8 words of the first text,
  // but after 9 tokens of the second, whose words have 3 each. So the second counts as the longer
  // one, and a first text of 100 words changes nothing.
  std::string first;
  for (int i = 0; i < 100; ++i) first += "hello ";
  EncodeOptions o;
  o.max_length = 8;
  EXPECT_EQ(bert().encode_pair(first, "unaffable unaffable unaffable", o).ids,
            (Ids{2, 5, 5, 3, 7, 8, 9, 3}));
  o.truncation_side = Side::left;
  EXPECT_EQ(bert().encode_pair(first, "unaffable unaffable unaffable", o).ids,
            (Ids{2, 5, 5, 3, 7, 8, 9, 3}));
}

TEST(TokenizerTest, TokensAndIdsAreFoundByEachOther) {
  const Tokenizer t = bert();
  EXPECT_EQ(t.vocab_size(), 14u);
  EXPECT_EQ(t.token(5), "hello");
  EXPECT_EQ(t.id("hello"), 5);
  EXPECT_EQ(t.token(99), "");
  EXPECT_EQ(t.id("nothing"), std::nullopt);
  EXPECT_EQ(t.pad_id(), 0);
  EXPECT_EQ(t.unk_id(), 1);
  EXPECT_EQ(t.cls_id(), 2);
  EXPECT_EQ(t.sep_id(), 3);
  EXPECT_EQ(t.mask_id(), 4);
  EXPECT_TRUE(t.is_special(4));
  EXPECT_EQ(t.max_length(), std::nullopt);
  EXPECT_EQ(t.info().file, "tokenizer.json");
  EXPECT_EQ(t.info().normalizer, "lowercase, strips accents");
  EXPECT_TRUE(t.info().lowercase);
}

TEST(TokenizerTest, ManyThreadsMayShareOne) {
  const Tokenizer t = bert();
  const Encoding expected = t.encode("Hello, unaffable W\u00F6rld!");
  std::vector<std::thread> threads;
  std::vector<int> same(4, 0);
  for (std::size_t i = 0; i < same.size(); ++i) {
    threads.emplace_back([&, copy = t, i] {
      for (int k = 0; k < 200; ++k) {
        same[i] += copy.encode("Hello, unaffable W\u00F6rld!").ids == expected.ids;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<int>(4, 200));
}

}  // namespace
}  // namespace tessera::text
