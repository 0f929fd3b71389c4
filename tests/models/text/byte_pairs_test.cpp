// SPDX-License-Identifier: Apache-2.0
// BPE on vocabularies small enough to merge by hand, in the forms of GPT-2 and CLIP.
#include "models/text/byte_pairs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "models/text/byte_alphabet.hpp"
#include "tests/models/text/tokenizer_files.hpp"

namespace tessera::text {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<std::int32_t>;

std::vector<std::string> tokens_of(const BytePairs& model, std::string_view word) {
  BytePairs::Scratch scratch;
  model.tokenize(word, scratch);
  std::vector<std::string> out;
  for (const WordToken& t : scratch.tokens) {
    out.emplace_back(model.vocabulary().token(t.id).value());
  }
  return out;
}

BytePairs model_of(const std::vector<std::string>& tokens,
                   const std::vector<BytePairs::Merge>& merges, BytePairsConfig config = {}) {
  Vocabulary vocabulary;
  for (const std::string& token : tokens) {
    vocabulary.add(token, static_cast<std::int32_t>(vocabulary.size()));
  }
  vocabulary.finish();
  return BytePairs(std::move(vocabulary), merges, std::move(config), "merges");
}

TEST(BytePairsTest, EveryByteHasItsOwnPrintableCharacter) {
  std::set<char32_t> seen;
  for (unsigned b = 0; b < 256; ++b) seen.insert(character_of_byte(static_cast<unsigned char>(b)));
  EXPECT_EQ(seen.size(), 256U);
  EXPECT_EQ(character_of_byte('A'), U'A');
  EXPECT_EQ(character_of_byte(0), U'\u0100');
  EXPECT_EQ(character_of_byte(' '), U'\u0120');
  EXPECT_EQ(character_of_byte('\n'), U'\u010A');
  EXPECT_EQ(character_of_byte(0x7F), U'\u0121');
  EXPECT_EQ(character_of_byte(0xA0), U'\u0142');
  EXPECT_EQ(character_of_byte(0xAD), U'\u0143');
  EXPECT_EQ(character_of_byte(0xFF), U'\u00FF');
}

TEST(BytePairsTest, TheEarliestMergeGoesFirstWhereverItIs) {
  // abc: b c comes before a b in the list, so a is left alone.
  const BytePairs model = model_of({"a", "b", "c", "ab", "bc"}, {{"b", "c"}, {"a", "b"}});
  EXPECT_THAT(tokens_of(model, "abc"), ElementsAre("a", "bc"));
  EXPECT_THAT(tokens_of(model, "aba"), ElementsAre("ab", "a"));
}

TEST(BytePairsTest, OfEqualMergesTheLeftmostGoesFirst) {
  const BytePairs model = model_of({"a", "aa", "aaaa"}, {{"a", "a"}, {"aa", "aa"}});
  EXPECT_THAT(tokens_of(model, "aaa"), ElementsAre("aa", "a"));
  EXPECT_THAT(tokens_of(model, "aaaaa"), ElementsAre("aaaa", "a"));
  EXPECT_EQ(tokens_of(model, std::string(4000, 'a')).size(), 1000U);
}

TEST(BytePairsTest, AMergeThatLostOneOfItsPartsIsForgotten) {
  // abcd: bc (rank 0) takes b from a b (rank 1) and c from c d (rank 2); then a bc (rank 3).
  const BytePairs model = model_of({"a", "b", "c", "d", "ab", "bc", "cd", "abc"},
                                   {{"b", "c"}, {"a", "b"}, {"c", "d"}, {"a", "bc"}});
  EXPECT_THAT(tokens_of(model, "abcd"), ElementsAre("abc", "d"));
}

TEST(BytePairsTest, IgnoreMergesIsAboutWholeWordsNotAboutPiecesOfOne) {
  // No merge leads to abc: a b goes first. As a word it is a token all the same; before x it is not.
  BytePairsConfig config;
  config.ignore_merges = true;
  const BytePairs model = model_of({"a", "b", "c", "x", "ab", "bc", "abc"},
                                   {{"a", "b"}, {"b", "c"}, {"a", "bc"}}, config);
  EXPECT_THAT(tokens_of(model, "abc"), ElementsAre("abc"));
  EXPECT_THAT(tokens_of(model, "abcx"), ElementsAre("ab", "c", "x"));
  EXPECT_THAT(tokens_of(model, "xabc"), ElementsAre("x", "ab", "c"));
}

TEST(BytePairsTest, UnknownBytesAreDroppedOrUnknownOrFused) {
  EXPECT_THAT(tokens_of(model_of({"a", "?"}, {}), "xaxx"), ElementsAre("a"));
  BytePairsConfig config;
  config.unk_token = "?";
  EXPECT_THAT(tokens_of(model_of({"a", "?"}, {}, config), "xaxx"), ElementsAre("?", "a", "?", "?"));
  config.fuse_unk = true;
  EXPECT_THAT(tokens_of(model_of({"a", "?"}, {}, config), "xaxx"), ElementsAre("?", "a", "?"));
}

// ids of tokenizers 0.23.2 for the same model
TEST(BytePairsTest, ByteFallbackIsForCharactersOfWhichEveryByteIsATokenTheOthersAreUnknown) {
  BytePairsConfig config;
  config.byte_level = false;
  config.byte_fallback = true;
  const BytePairs model = model_of({"a", "b", "ab", "<0xC3>", "<0xA9>"}, {{"a", "b"}}, config);
  EXPECT_THAT(tokens_of(model, "a\u00E9b"), ElementsAre("a", "<0xC3>", "<0xA9>", "b"));
  EXPECT_THAT(tokens_of(model, "a\u00E8b"), ElementsAre("ab"));
  EXPECT_THAT(tokens_of(model, "x"), ElementsAre());
}

// "\u0120" spells a space. Spelled itself, byte by byte, it must not be taken for the word of the
// bytes C4 A0, whose token is "\u00C4\u0142".
TEST(BytePairsTest, TheSpellingOfAWordIsNoWord) {
  const BytePairs model = model_of({"\u00C4", "\u0142", "\u00C4\u0142", "\u0120", "a", "a\u0120"},
                                   {{"\u00C4", "\u0142"}, {"a", "\u0120"}});
  EXPECT_THAT(tokens_of(model, "\xC4\xA0"), ElementsAre("\u00C4\u0142"));
  EXPECT_THAT(tokens_of(model, "x a "), ElementsAre("\u0120", "a\u0120"));
}

TEST(BytePairsTest, MergesMustBeInTheVocabulary) {
  EXPECT_THROW(model_of({"a", "b"}, {{"a", "b"}}), Error);
  EXPECT_THROW(model_of({"a", "ab"}, {{"a", "b"}}), Error);
}

TEST(BytePairsTest, AnUnknownTokenMustBeInTheVocabularyWhereItIsNeeded) {
  BytePairsConfig config;
  config.unk_token = "?";
  const BytePairs model = model_of({"a"}, {}, config);
  EXPECT_THAT(tokens_of(model, "aa"), ElementsAre("a", "a"));
  try {
    tokens_of(model, "ab");
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
    EXPECT_THAT(e.what(),
                testing::HasSubstr("has no token \"?\", expected the unk_token, which the "
                                   "text's \"b\" needs"));
  }
}

TEST(BytePairsTest, OfAPairThatIsListedTwiceTheLastPlaceCounts) {
  const std::vector<std::string> tokens = {"a", "b", "c", "ab", "bc"};
  EXPECT_THAT(tokens_of(model_of(tokens, {{"a", "b"}, {"b", "c"}}), "abc"), ElementsAre("ab", "c"));
  EXPECT_THAT(tokens_of(model_of(tokens, {{"a", "b"}, {"b", "c"}, {"a", "b"}}), "abc"),
              ElementsAre("a", "bc"));
}

// --- through a tokenizer.json -------------------------------------------------------------------

JsonSections gpt2_sections() {
  JsonSections s;
  s.added_tokens = "[]";
  s.normalizer = "null";
  s.pre_tokenizer = R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true})";
  s.post_processor = "null";
  // "\u0120" is the space. Merges: h i → hi, \u0120 hi.
  s.model = R"({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                "end_of_word_suffix": "", "fuse_unk": false,
                "vocab": {"h": 0, "i": 1, "\u0120": 2, "hi": 3, "\u0120hi": 4, "'": 5, "s": 6, "'s": 7,
                          "1": 8, "2": 9, "!": 10, "\u010a": 11, "\u00c3": 12, "\u00a9": 13},
                "merges": ["h i", "\u0120 hi", "' s"]})";
  return s;
}

TEST(ByteLevelTest, WordsOfGpt2) {
  const Tokenizer t = tokenizer_of(gpt2_sections());
  EXPECT_EQ(t.info().model, "byte-level BPE");
  // "hi" " hi" "'s" " " " hi" "!!" "12"
  const Encoding e = t.encode("hi hi's  hi!!12");
  EXPECT_EQ(e.ids, (Ids{3, 4, 7, 2, 4, 10, 10, 8, 9}));
  EXPECT_THAT(e.offsets,
              ElementsAre(std::array{0U, 2U}, std::array{2U, 5U}, std::array{5U, 7U},
                          std::array{7U, 8U}, std::array{8U, 11U}, std::array{11U, 12U},
                          std::array{12U, 13U}, std::array{13U, 14U}, std::array{14U, 15U}));
}

TEST(ByteLevelTest, SpaceAtTheEndStaysTogether) {
  const Tokenizer t = tokenizer_of(gpt2_sections());
  EXPECT_EQ(t.encode("hi  ").ids, (Ids{3, 2, 2}));
  EXPECT_EQ(t.encode(" \n hi").ids, (Ids{2, 11, 4}));
  EXPECT_TRUE(t.encode("").ids.empty());
}

TEST(ByteLevelTest, BytesOfOneCharacterShareItsPlace) {
  const Encoding e = tokenizer_of(gpt2_sections()).encode("h\u00E9i");  // é is C3 A9
  EXPECT_EQ(e.ids, (Ids{0, 12, 13, 1}));
  EXPECT_THAT(e.offsets, ElementsAre(std::array{0U, 1U}, std::array{1U, 2U}, std::array{1U, 2U},
                                     std::array{2U, 3U}));
}

TEST(ByteLevelTest, PrefixSpaceAndTrimmedOffsets) {
  JsonSections s = gpt2_sections();
  s.pre_tokenizer = R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true})";
  s.post_processor = R"({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true})";
  const Tokenizer t = tokenizer_of(s);
  const Encoding e = t.encode("hi hi");
  EXPECT_EQ(e.ids, (Ids{4, 4}));
  EXPECT_THAT(e.offsets, ElementsAre(std::array{0U, 2U}, std::array{3U, 5U}));
  EXPECT_EQ(t.encode(" hi").ids, (Ids{4}));
}

TEST(ByteLevelTest, MergesAsPairs) {
  JsonSections s = gpt2_sections();
  const std::string list = R"(["h i", "\u0120 hi", "' s"])";
  s.model.replace(s.model.find(list), list.size(), R"([["h", "i"], ["\u0120", "hi"], ["'", "s"]])");
  EXPECT_EQ(tokenizer_of(s).encode("hi hi").ids, (Ids{3, 4}));
}

TEST(ByteLevelTest, WhatIsNotUnderstoodIsNamed) {
  const auto error = [](const JsonSections& s) {
    const test::TemporaryDirectory directory;
    directory.write("tokenizer.json", s.text());
    return error_of(directory);
  };
  JsonSections s = gpt2_sections();
  s.model.replace(s.model.find("null"), 4, "0.1");  // dropout
  EXPECT_EQ(error(s).code(), ErrorCode::unsupported_model);
  EXPECT_THAT(error(s).what(), testing::HasSubstr("model.dropout is \"0.1\""));
  s = gpt2_sections();
  s.model.replace(s.model.find("h i"), 3, "h q");
  EXPECT_EQ(error(s).code(), ErrorCode::corrupt_file);
  EXPECT_THAT(error(s).what(), testing::HasSubstr("merges[0]"));
}

// --- CLIP ---------------------------------------------------------------------------------------

constexpr std::string_view kClipVocab =
    R"({"a": 0, "c": 1, "t": 2, "s": 3, "'": 4, "1": 5, "a</w>": 6, "t</w>": 7, "s</w>": 8,
        "1</w>": 9, "2</w>": 10, "!</w>": 11, "!": 12, "at</w>": 13, "ca": 14, "cat</w>": 15,
        "'s</w>": 16, "<|startoftext|>": 17, "<|endoftext|>": 18})";

std::string clip_json() {
  JsonSections s;
  s.added_tokens = R"([
    {"id": 17, "content": "<|startoftext|>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": true},
    {"id": 18, "content": "<|endoftext|>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": true}])";
  s.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"},
    {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]})";
  s.pre_tokenizer = R"({"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"},
     "behavior": "Removed", "invert": true},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]})";
  s.post_processor = R"({"type": "RobertaProcessing", "sep": ["<|endoftext|>", 18],
    "cls": ["<|startoftext|>", 17], "trim_offsets": false, "add_prefix_space": false})";
  s.model =
      R"({"type": "BPE", "dropout": null, "unk_token": "<|endoftext|>", "continuing_subword_prefix": "",
          "end_of_word_suffix": "</w>", "fuse_unk": false, "vocab": )" +
      std::string(kClipVocab) + R"(, "merges": ["a t</w>", "c a", "c at</w>", "' s</w>"]})";
  return s.text();
}

// cat: "a t</w>" is the first merge, then "c at</w>" (there is no "ca t</w>"); digits are words of
// their own; é is no byte of the vocabulary: two unknown tokens.
void expect_clip(const Tokenizer& t) {
  const Encoding e = t.encode("A  CAT's\t12!! \u00C9");
  EXPECT_EQ(e.ids, (Ids{17, 6, 15, 16, 9, 10, 12, 11, 18, 18, 18}));
  ASSERT_EQ(e.offsets.size(), 11U);
  EXPECT_EQ(e.offsets[1], (std::array{0U, 1U}));
  EXPECT_EQ(e.offsets[2], (std::array{3U, 6U}));
  EXPECT_EQ(e.offsets[3], (std::array{6U, 8U}));
  EXPECT_EQ(e.offsets[4], (std::array{9U, 10U}));
  EXPECT_EQ(e.offsets[9], (std::array{14U, 15U}));
  EXPECT_EQ(t.encode("cats").ids, (Ids{17, 14, 2, 8, 18}));
  EXPECT_EQ(t.encode("").ids, (Ids{17, 18}));
  EXPECT_EQ(t.encode("a <|endoftext|> a").ids, (Ids{17, 6, 18, 6, 18}));
  EncodeOptions three;
  three.max_length = 3;
  EXPECT_EQ(t.encode("a cat a", three).ids, (Ids{17, 6, 18}));
}

TEST(ClipTokenizerTest, FromTokenizerJson) {
  const test::TemporaryDirectory directory;
  directory.write("tokenizer.json", clip_json());
  expect_clip(Tokenizer::from_directory(directory.path()));
}

TEST(ClipTokenizerTest, FromVocabJsonAndMergesTxt) {
  const test::TemporaryDirectory directory;
  directory.write("vocab.json", std::string(kClipVocab));
  directory.write("merges.txt", "#version: 0.2\na t</w>\nc a\nc at</w>\n' s</w>\n");
  directory.write("tokenizer_config.json",
                  R"({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77})");
  const Tokenizer t = Tokenizer::from_directory(directory.path());
  expect_clip(t);
  EXPECT_EQ(t.max_length(), 77U);
  EXPECT_EQ(t.info().file, "vocab.json");
}

TEST(VocabJsonTest, BadFilesAreNamed) {
  const test::TemporaryDirectory directory;
  directory.write("vocab.json", R"({"a": 0})");
  directory.write("merges.txt", "#version: 0.2\na\n");
  EXPECT_THAT(error_of(directory).what(),
              testing::HasSubstr("expected the token that opens or closes a text"));
  directory.write("vocab.json", R"({"a": 0, "<s>": 1, "</s>": 2})");
  EXPECT_THAT(error_of(directory).what(), testing::HasSubstr("merges.txt: line 2"));
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_EQ(error_of(directory).code(), ErrorCode::unsupported_model);
  EXPECT_THAT(error_of(directory).what(), testing::HasSubstr("GPT2Tokenizer"));
}

}  // namespace
}  // namespace tessera::text
