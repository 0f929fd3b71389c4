// SPDX-License-Identifier: Apache-2.0
// sentencepiece.bpe.model and spiece.model alone: pieces, normaliser, template and special tokens
// as convert_slow_tokenizer.py of transformers 4.57 has them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/models/text/small_charsmap.hpp"
#include "tests/models/text/small_sentencepiece.hpp"
#include "tests/models/text/tokenizer_files.hpp"

namespace tessera::text {
namespace {

using Ids = std::vector<std::int32_t>;

// What SentencePiece trains by default: <unk> <s> </s>, then pieces.
SmallSentencePiece default_model() {
  SmallSentencePiece m;
  m.pieces = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}, {"▁", -2},   {"▁a", -1},
              {"b", -1},       {"a", -3},     {"7,", -1},     {"7", -2},   {",", -2},
              {"A", -4},       {"\"", -2},    {"▁7", -2},     {"<pad>", 0}};
  return m;
}

Tokenizer load(const SmallSentencePiece& model, const std::string& file, const std::string& config,
               const std::string& config_json = "{}") {
  const test::TemporaryDirectory directory;
  directory.write(file, model.bytes());
  directory.write("tokenizer_config.json", config);
  directory.write("config.json", config_json);
  EXPECT_TRUE(directory_has_tokenizer(directory.path()));
  return Tokenizer::from_directory(directory.path());
}

TEST(SpieceModelTest, XlmRobertaShiftsThePiecesByOne) {
  for (const auto& [config, config_json] :
       {std::pair{R"({"tokenizer_class": "XLMRobertaTokenizer"})", "{}"},
        std::pair{R"({"tokenizer_class": "XLMRobertaTokenizerFast"})", "{}"},
        std::pair{"{}", R"({"model_type": "xlm-roberta"})"}}) {
    SmallSentencePiece m = default_model();
    m.pieces.pop_back();  // <pad>, which fairseq adds
    const Tokenizer t = load(m, "sentencepiece.bpe.model", config, config_json);
    EXPECT_EQ(t.info().file, "sentencepiece.bpe.model");
    EXPECT_EQ(t.info().model, "Unigram");
    EXPECT_EQ(t.vocab_size(), m.pieces.size() + 2);
    EXPECT_EQ(t.cls_id(), 0);
    EXPECT_EQ(t.pad_id(), 1);
    EXPECT_EQ(t.sep_id(), 2);
    EXPECT_EQ(t.unk_id(), 3);
    EXPECT_EQ(t.mask_id(), 14);
    EXPECT_EQ(t.id("▁a"), 5);
    EXPECT_EQ(t.encode("ab zz").ids, (Ids{0, 5, 6, 4, 3, 2}));
    EXPECT_EQ(t.encode("b <mask>").ids, (Ids{0, 4, 6, 14, 2}));  // <mask> takes the space
    EXPECT_EQ(t.encode("a  ").ids, (Ids{0, 5, 2}));              // stripped on the right
    const Encoding pair = t.encode_pair("a", "b");
    EXPECT_EQ(pair.ids, (Ids{0, 5, 2, 2, 4, 6, 2}));
    EXPECT_EQ(pair.type_ids, Ids(7, 0));
  }
}

// 5 * 10^9 comparisons where each is sought among all before it.
TEST(SpieceModelTest, AsManyExtraIdsAsThereMayBe) {
  const Tokenizer t = load(default_model(), "spiece.model",
                           R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 100000})");
  EXPECT_EQ(t.vocab_size(), 14u + 100'000u);
  EXPECT_TRUE(t.is_special(14));
}

// As AutoTokenizer does: a listed token keeps its flags where the configuration only names it.
TEST(SpieceModelTest, TheMaskIsAsTheFilesSay) {
  SmallSentencePiece m = default_model();
  m.pieces.pop_back();
  const auto begin_of_mask = [&](const std::string& keys) {
    const Encoding e = load(m, "sentencepiece.bpe.model",
                            R"({"tokenizer_class": "XLMRobertaTokenizer")" + keys + "}")
                           .encode("b <mask>");
    EXPECT_EQ(e.ids[e.size() - 2], 14);
    return e.offsets[e.size() - 2][0];
  };
  EXPECT_EQ(begin_of_mask(""), 1u);  // takes the space
  EXPECT_EQ(begin_of_mask(R"(, "mask_token": "<mask>")"), 1u);
  EXPECT_EQ(begin_of_mask(R"(, "mask_token": {"content": "<mask>", "lstrip": true})"), 1u);
  EXPECT_EQ(begin_of_mask(R"(, "mask_token": {"content": "<mask>", "lstrip": false})"), 2u);
  EXPECT_EQ(begin_of_mask(R"(, "mask_token": "<mask>", "added_tokens_decoder":
                             {"14": {"content": "<mask>", "special": true}})"),
            2u);
}

TEST(SpieceModelTest, CamembertKeepsItsUnusedTokens) {
  SmallSentencePiece m = default_model();
  m.pieces.pop_back();
  const Tokenizer t =
      load(m, "sentencepiece.bpe.model", R"({"tokenizer_class": "CamembertTokenizer"})");
  EXPECT_EQ(t.token(0), "<s>NOTUSED");
  EXPECT_EQ(t.token(4), "<unk>NOTUSED");
  EXPECT_EQ(t.pad_id(), 1);
  EXPECT_EQ(t.unk_id(), 3);
  EXPECT_EQ(t.cls_id(), 5);
  EXPECT_EQ(t.sep_id(), 6);
  EXPECT_EQ(t.mask_id(), 17);
  EXPECT_EQ(t.encode("ab z").ids, (Ids{5, 8, 9, 7, 3, 6}));
  EXPECT_TRUE(t.is_special(0));
}

SmallSentencePiece albert_model() {
  SmallSentencePiece m = default_model();
  m.pieces[0] = {"<pad>", 0, 3};
  m.pieces[1] = {"<unk>", 0, 2};
  m.pieces[2] = {"[CLS]", 0, 3};
  m.pieces.back() = {"[SEP]", 0, 3};
  m.pieces.push_back({"[MASK]", 0, 4});
  m.unk_id = 1;
  return m;
}

TEST(SpieceModelTest, AlbertLowercasesAndStripsAccents) {
  const Tokenizer t =
      load(albert_model(), "spiece.model", R"({"tokenizer_class": "AlbertTokenizer"})");
  EXPECT_TRUE(t.info().lowercase);
  EXPECT_EQ(t.encode("\u00C0b").ids, (Ids{2, 4, 5, 13}));
  EXPECT_EQ(t.encode("b``''").ids, (Ids{2, 3, 5, 11, 11, 13}));
  EXPECT_EQ(t.encode("7,").ids, (Ids{2, 12, 9, 13}));  // "7," is a piece, but a hundred worse
  EXPECT_EQ(t.encode("b [MASK]").ids, (Ids{2, 3, 5, 14, 13}));
  const Encoding pair = t.encode_pair("a", "b");
  EXPECT_EQ(pair.ids, (Ids{2, 4, 13, 3, 5, 13}));
  EXPECT_EQ(pair.type_ids, (Ids{0, 0, 0, 1, 1, 1}));
}

TEST(SpieceModelTest, AlbertKeepsWhatItsConfigurationKeeps) {
  const Tokenizer t = load(
      albert_model(), "spiece.model",
      R"({"tokenizer_class": "AlbertTokenizer", "do_lower_case": false, "keep_accents": true})");
  EXPECT_EQ(t.encode("A").ids, (Ids{2, 3, 10, 13}));
  EXPECT_EQ(t.encode("\u00C0").ids, (Ids{2, 3, 1, 13}));
}

SmallSentencePiece t5_model() {
  SmallSentencePiece m = default_model();
  m.pieces[0] = {"<pad>", 0, 3};
  m.pieces[1] = {"</s>", 0, 3};
  m.pieces[2] = {"<unk>", 0, 2};
  m.pieces.pop_back();
  m.unk_id = 2;
  return m;
}

TEST(SpieceModelTest, T5ClosesTextsAndHasExtraTokensInReverse) {
  const Tokenizer t = load(t5_model(), "spiece.model", R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_EQ(t.vocab_size(), 13u + 100);
  EXPECT_EQ(t.id("<extra_id_99>"), 13);
  EXPECT_EQ(t.id("<extra_id_0>"), 112);
  EXPECT_EQ(t.encode("ab z").ids, (Ids{4, 5, 3, 2, 1}));
  EXPECT_EQ(t.encode("a<extra_id_0>b").ids, (Ids{4, 112, 3, 5, 1}));
  const Encoding pair = t.encode_pair("a", "b");
  EXPECT_EQ(pair.ids, (Ids{4, 1, 3, 5, 1}));
  EXPECT_EQ(pair.type_ids, Ids(5, 0));
}

TEST(SpieceModelTest, T5KnowsItsNewerKeys) {
  const Tokenizer first =
      load(t5_model(), "spiece.model",
           R"({"tokenizer_class": "T5Tokenizer", "legacy": false, "extra_ids": 2})");
  EXPECT_EQ(first.vocab_size(), 13u + 2);
  EXPECT_EQ(first.encode("b<extra_id_0>b").ids, (Ids{3, 5, 14, 5, 1}));
  const Tokenizer never =
      load(t5_model(), "spiece.model",
           R"({"tokenizer_class": "T5Tokenizer", "add_prefix_space": false, "extra_ids": 0})");
  EXPECT_EQ(never.encode("b").ids, (Ids{5, 1}));
}

TEST(SpieceModelTest, TheCharacterMapComesFirst) {
  SmallSentencePiece m = t5_model();
  m.charsmap = small_charsmap({{'x', "a"}, {'\t', " "}});
  const Tokenizer t = load(m, "spiece.model", R"({"tokenizer_class": "T5Tokenizer"})");
  EXPECT_EQ(t.encode("xb\t").ids, (Ids{4, 5, 1}));
}

::testing::AssertionResult complains(const SmallSentencePiece& model, const std::string& config,
                                     ErrorCode code, const std::vector<std::string>& parts) {
  const test::TemporaryDirectory directory;
  directory.write("spiece.model", model.bytes());
  directory.write("tokenizer_config.json", config);
  const Error e = error_of(directory);
  if (e.code() != code) return ::testing::AssertionFailure() << e.what();
  for (const std::string& part : parts) {
    if (std::string_view(e.what()).find(part) == std::string_view::npos) {
      return ::testing::AssertionFailure() << "no \"" << part << "\" in: " << e.what();
    }
  }
  return ::testing::AssertionSuccess();
}

TEST(SpieceModelTest, WhatItCannotBeIsNamed) {
  constexpr const char* kT5 = R"({"tokenizer_class": "T5Tokenizer"})";
  EXPECT_TRUE(complains(
      t5_model(), R"({"tokenizer_class": "PegasusTokenizer"})", ErrorCode::unsupported_model,
      {"PegasusTokenizer", "spiece.model", "XLMRobertaTokenizer", "token ids can be given"}));
  EXPECT_TRUE(
      complains(t5_model(), "{}", ErrorCode::unsupported_model, {"tokenizer_class is \"\""}));
  SmallSentencePiece m = t5_model();
  m.model_type = 2;
  EXPECT_TRUE(complains(m, kT5, ErrorCode::unsupported_model,
                        {"spiece.model", "model_type is 2", "expected 1"}));
  m = t5_model();
  m.unk_id = ~std::uint64_t{0};
  EXPECT_TRUE(complains(m, kT5, ErrorCode::corrupt_file, {"spiece.model", "unk_id is -1"}));
  m.unk_id = 13;
  EXPECT_TRUE(complains(m, kT5, ErrorCode::corrupt_file, {"unk_id is 13", "one of its 13 pieces"}));
  m = t5_model();
  m.pieces[1].piece = "</S>";
  EXPECT_TRUE(complains(m, kT5, ErrorCode::corrupt_file, {"no piece \"</s>\""}));
  m = t5_model();
  m.charsmap = "abc";
  EXPECT_TRUE(complains(m, kT5, ErrorCode::corrupt_file,
                        {"spiece.model: normalizer_spec.precompiled_charsmap has 3 bytes"}));
  m.pieces.resize(2);
  EXPECT_TRUE(complains(m, R"({"tokenizer_class": "XLMRobertaTokenizer"})", ErrorCode::corrupt_file,
                        {"has 2 pieces", "at least 3"}));
  m.pieces.clear();
  m.charsmap.clear();
  EXPECT_TRUE(complains(m, kT5, ErrorCode::corrupt_file, {"unk_id", "0 pieces"}));
  EXPECT_TRUE(complains(t5_model(), R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 1e12})",
                        ErrorCode::corrupt_file, {"extra_ids", "100000"}));
}

}  // namespace
}  // namespace tessera::text
