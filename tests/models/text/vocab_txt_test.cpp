// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "tests/models/text/tokenizer_files.hpp"

namespace tessera::text {
namespace {

using Ids = std::vector<std::int32_t>;

class VocabTxtTest : public ::testing::Test {
 protected:
  VocabTxtTest() { directory.write("vocab.txt", kVocabTxt); }
  Tokenizer load() const { return Tokenizer::from_directory(directory.path()); }

  test::TemporaryDirectory directory;
};

TEST_F(VocabTxtTest, AloneItIsABertTokenizerThatLowercases) {
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("HELLO W\u00F6rld [MASK]").ids, (Ids{2, 5, 6, 4, 3}));
  EXPECT_EQ(t.encode_pair("foo", "foo").type_ids, (Ids{0, 0, 0, 1, 1}));
  EXPECT_EQ(t.info().file, "vocab.txt");
  EXPECT_EQ(t.max_length(), std::nullopt);
  EXPECT_EQ(t.mask_id(), 4);
}

// BertTokenizer lowercases unless it is told otherwise, whatever the tokens look like.
TEST_F(VocabTxtTest, AloneItLowercasesWhateverItsTokensAre) {
  for (const char* mark : {"", "\uFEFF"}) {
    directory.write("vocab.txt", std::string(mark) + "[PAD]\n[UNK]\n[CLS]\n[SEP]\nHello\nhello\n");
    EXPECT_EQ(load().encode("Hello hello HELLO").ids, (Ids{2, 5, 5, 5, 3})) << mark;
  }
  directory.write("tokenizer_config.json", "{}");
  EXPECT_EQ(load().encode("Hello hello HELLO").ids, (Ids{2, 5, 5, 5, 3}));
  directory.write("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_EQ(load().encode("Hello hello HELLO").ids, (Ids{2, 4, 5, 1, 3}));
}

TEST_F(VocabTxtTest, ConfigDecidesAboutCaseAccentsAndIdeographs) {
  directory.write("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_EQ(load().encode("hello Hello").ids, (Ids{2, 5, 1, 3}));
  directory.write("tokenizer_config.json", R"({"do_lower_case": true, "strip_accents": false})");
  EXPECT_EQ(load().encode("HELLO w\u00F6rld").ids, (Ids{2, 5, 1, 3}));
  directory.write("tokenizer_config.json",
                  R"({"tokenize_chinese_chars": false, "strip_accents": null})");
  EXPECT_EQ(load().encode("\u4E2D\u4E2D").ids, (Ids{2, 1, 3}));
}

TEST_F(VocabTxtTest, ModelMaxLengthIsReportedButCutsNothingByItself) {
  directory.write("tokenizer_config.json", R"({"model_max_length": 5})");
  EXPECT_EQ(load().max_length(), 5u);
  EXPECT_EQ(load().encode("foo foo foo foo foo").size(), 7u);
  EncodeOptions o;
  o.truncation = TruncationStrategy::longest_first;
  EXPECT_EQ(load().encode("foo foo foo foo foo", o).size(), 5u);
}

TEST_F(VocabTxtTest, TheUsualHugeModelMaxLengthMeansNone) {
  for (const char* huge : {"1000000000000000019884624838656", "1e30", "1000000000", "null", "0"}) {
    directory.write("tokenizer_config.json",
                    R"({"a": [1000000000000000019884624838656], "model_max_length": )" +
                        std::string(huge) + "}");
    EXPECT_EQ(load().max_length(), std::nullopt) << huge;
  }
}

TEST_F(VocabTxtTest, MpnetHasItsOwnTokensAndTemplate) {
  directory.write("vocab.txt", "<s>\n<pad>\n</s>\n<unk>\n[UNK]\nhello\nworld\n<mask>\n");
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "MPNetTokenizer"})");
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("Hello there").ids, (Ids{0, 5, 4, 2}));
  EXPECT_EQ(t.encode_pair("hello", "world").ids, (Ids{0, 5, 2, 2, 6, 2}));
  EXPECT_EQ(t.encode_pair("hello", "world").type_ids, Ids(6, 0));
  EXPECT_EQ(t.encode("hello <mask>").offsets[2], (std::array<std::uint32_t, 2>{5, 12}));
  EXPECT_EQ(t.pad_id(), 1);
  EXPECT_EQ(t.mask_id(), 7);
}

TEST_F(VocabTxtTest, TheModelTypeNamesTheTokenizerIfNothingElseDoes) {
  directory.write("vocab.txt", "<s>\n<pad>\n</s>\n[UNK]\nhello\n<mask>\n");
  directory.write("config.json", R"({"model_type": "mpnet"})");
  EXPECT_EQ(load().encode("hello").ids, (Ids{0, 4, 2}));
}

TEST_F(VocabTxtTest, SpecialTokensMayBeRenamed) {
  directory.write("vocab.txt", "<p>\n<u>\n<c>\n<s>\n<m>\nhello\n");
  directory.write(
      "special_tokens_map.json",
      R"({"unk_token": "<u>", "sep_token": {"content": "<s>", "lstrip": false}, "pad_token": "<x>"})");
  directory.write(
      "tokenizer_config.json",
      R"({"cls_token": "<c>", "pad_token": "<p>", "mask_token": {"content": "<m>", "lstrip": true}})");
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("hello x  <m>").ids, (Ids{2, 5, 1, 4, 3}));
  EXPECT_EQ(t.encode("hello x  <m>").offsets[3], (std::array<std::uint32_t, 2>{7, 12}));
  EXPECT_EQ(t.pad_id(), std::nullopt) << "special_tokens_map.json overrules an old config";
}

TEST_F(VocabTxtTest, AddedTokensGetTheNextIds) {
  directory.write("added_tokens.json", R"({"[B]": 15, "[A]": 14})");
  directory.write("tokenizer_config.json", R"({"additional_special_tokens": ["[A]", "foo"]})");
  const Tokenizer t = load();
  EXPECT_EQ(t.id("[A]"), 14);
  EXPECT_EQ(t.id("[B]"), 15);
  EXPECT_EQ(t.vocab_size(), 16u);
  EXPECT_EQ(t.encode("hello[A]xfoo").ids, (Ids{2, 5, 14, 1, 13, 3}));
}

TEST_F(VocabTxtTest, AddedTokensDecoderIsRead) {
  directory.write(
      "tokenizer_config.json",
      R"({"added_tokens_decoder": {"14": {"content": "<e1>", "special": true, "single_word": true},
                                               "4": {"content": "[MASK]", "special": true, "lstrip": true}}})");
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("a <e1> <e1>b  [MASK]").ids, (Ids{2, 1, 14, 1, 1, 1, 1, 4, 3}));
  EXPECT_TRUE(t.is_special(14));
}

TEST_F(VocabTxtTest, WindowsLineEndsAndAMissingLastNewlineDoNotMatter) {
  directory.write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nhello\r\nworld");
  EXPECT_EQ(load().encode("hello world").ids, (Ids{2, 4, 5, 3}));
}

TEST_F(VocabTxtTest, ASpecialTokenThatIsNowhereIsOrdinaryText) {
  directory.write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nhello\n");
  const Tokenizer t = load();
  EXPECT_EQ(t.mask_id(), std::nullopt);
  EXPECT_EQ(t.pad_id(), std::nullopt);
  EXPECT_EQ(t.encode("[MASK]").ids, (Ids{1, 0, 0, 0, 2}));
  EXPECT_EQ(t.vocab_size(), 4u);
}

TEST_F(VocabTxtTest, TokenizerJsonComesFirst) {
  JsonSections s;
  s.post_processor = "null";
  directory.write("tokenizer.json", s.text());
  directory.write("tokenizer_config.json", R"({"do_lower_case": false, "model_max_length": 77})");
  EXPECT_EQ(load().encode("HELLO hello").ids, (Ids{1, 5}));
  EXPECT_EQ(load().max_length(), 77u);
}

TEST_F(VocabTxtTest, BlanksBehindATokenArePartOfIt) {
  directory.write(
      "vocab.txt",
      "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nfoo\r\nbar\r\nfoo\u00A0\r\nbar \r\n");
  EXPECT_EQ(load().encode("foo bar").ids, (Ids{2, 5, 6, 3}));
  EXPECT_EQ(load().id("bar "), 8);
}

}  // namespace
}  // namespace tessera::text
