// SPDX-License-Identifier: Apache-2.0
// What a model gets of a text: stripped, lowered, padded, with types or without.
#include "tessera/pipeline/text_inputs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/checkpoint_copy.hpp"
#include "tests/models/text/json_sections.hpp"
#include "tests/tessera/tiny_directory.hpp"

namespace tessera::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

TextOptions with_prompt(const std::string& prompt) {
  TextOptions options;
  options.prompt = prompt;
  return options;
}
TextOptions limited_to(Index tokens) {
  TextOptions options;
  options.max_length = tokens;
  return options;
}

/// tests/golden/data/siglip-full: 16 positions.
class PaddedTextTest : public testing::Test {
 protected:
  void SetUp() override {
    copy.write(directory.path());
    directory.write("tokenizer.json", text::JsonSections{}.text());
  }
  void config(const std::string& members) {
    directory.write("tokenizer_config.json", "{" + members + "}");
  }
  models::Package open() const {
    return models::open_package(directory.path(),
                                {.tower = models::Tower::text, .architecture = {}});
  }
  Ids ids(const std::string& text, const TextOptions& options = {}) const {
    const models::Package package = open();
    return TextInputs(package, options).encode(text).ids;
  }
  static Ids padded(Ids ids, std::int32_t pad, std::size_t size = 16) {
    ids.resize(size, pad);
    return ids;
  }

  CheckpointCopy copy{"siglip-full"};
  TemporaryDirectory directory;
};

TEST_F(PaddedTextTest, SiglipReadsPaddingUpToTheLimit) {
  EXPECT_EQ(ids("hello world"), padded({2, 5, 6, 3}, 1)) << "pad_token_id of SiglipTextConfig";
  config(R"("pad_token": "[PAD]")");
  EXPECT_EQ(ids("hello world"), padded({2, 5, 6, 3}, 0));
  config(R"("pad_token": "[PAD]", "model_max_length": 6)");
  EXPECT_EQ(ids("hello"), padded({2, 5, 3}, 0, 6));
  EXPECT_EQ(ids("hello world hello world hello"), (Ids{2, 5, 6, 5, 6, 3}));
  EXPECT_EQ(ids("hello", limited_to(5)), padded({2, 5, 3}, 0, 5));
  config(R"("pad_token": "[PAD]", "model_max_length": 5, "padding_side": "left")");
  EXPECT_EQ(ids("hello"), (Ids{0, 0, 2, 5, 3}));
}

TEST_F(PaddedTextTest, AClassWithoutTheOtherTowerIsPaddedToo) {
  copy.config["architectures"] = R"(["SiglipTextModel"])";
  copy.write(directory.path());
  EXPECT_EQ(ids("hello"), padded({2, 5, 3}, 1));
}

TEST_F(PaddedTextTest, PaddingUnderAMaskIsRefusedByName) {
  config(R"("model_input_names": ["input_ids", "attention_mask"])");
  EXPECT_THAT(error_of([&] { ids("hello"); }),
              AllOf(HasSubstr("model_input_names"), HasSubstr("attention_mask")));
  config(R"("model_input_names": ["input_ids"])");
  EXPECT_EQ(ids("hello"), padded({2, 5, 3}, 1));
}

class SentenceTextTest : public testing::Test {
 protected:
  models::Package open() const { return models::open_package(directory.path()); }
  Ids ids(const std::string& text, const TextOptions& options = {}) const {
    const models::Package package = open();
    return TextInputs(package, options).encode(text).ids;
  }
  /// Every code point is a token.
  void write_characters(bool has_sentence_files) {
    write_model(directory.path(), {.has_sentence_files = has_sentence_files});
    text::JsonSections s;
    s.normalizer = "null";
    s.pre_tokenizer = R"({"type": "Split", "pattern": {"Regex": "[\\s\\S]"},
                          "behavior": "Isolated", "invert": false})";
    s.model = R"({"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1,
        "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5, " ": 6, "\u3000": 7, "\u001c": 8, "b": 9,
        "\u03c3": 10, "\u03c2": 11}})";
    directory.write("tokenizer.json", s.text());
    directory.write("tokenizer_config.json", R"({"tokenizer_class": "PreTrainedTokenizerFast"})");
  }

  TemporaryDirectory directory;
};

TEST_F(SentenceTextTest, SentenceTransformersStripsAsPythonDoes) {
  write_characters(true);
  EXPECT_EQ(ids("a b"), (Ids{2, 5, 6, 9, 3}));
  EXPECT_EQ(ids(" \t\na b \xE3\x80\x80\x1C\r\n"), (Ids{2, 5, 6, 9, 3}));
  EXPECT_EQ(ids("   "), (Ids{2, 3}));
  EXPECT_EQ(ids(" a ", with_prompt(" b ")), (Ids{2, 9, 6, 6, 5, 3})) << "after the prompt is there";
  EXPECT_EQ(ids("", with_prompt("b ")), (Ids{2, 9, 3}));
  const models::Package package = open();
  EXPECT_EQ(TextInputs(package, {}).encode(" a ", " b ").ids, (Ids{2, 5, 3, 9, 3}));
}

TEST_F(SentenceTextTest, OthersAreNotStripped) {
  write_characters(false);
  EXPECT_EQ(ids(" a "), (Ids{2, 6, 5, 6, 3}));
}

TEST_F(SentenceTextTest, LowerCaseIsThatOfPythonsWholeString) {
  write_characters(true);
  directory.write("sentence_bert_config.json", R"({"do_lower_case": true})");
  EXPECT_EQ(ids("A\xCE\xA3 \xCE\xA3"), (Ids{2, 5, 11, 6, 10, 3}));
}

TEST_F(SentenceTextTest, TokensOfAPromptThatThePoolingLeavesOutAreCounted) {
  write_characters(true);
  directory.write("1_Pooling/config.json",
                  R"({"word_embedding_dimension": 16, "include_prompt": false})");
  const models::Package package = models::open_package(directory.path());
  const auto pooled_from = [&](std::string_view text, const TextOptions& options) {
    return TextInputs(package, options).encode(text).pool_from;
  };
  EXPECT_EQ(ids("a", with_prompt("a a")), (Ids{2, 5, 6, 5, 5, 3}));
  EXPECT_EQ(pooled_from("a", with_prompt("a a ")),
            4);  // [CLS] a, blank, a; the [SEP] is not the prompt's
  EXPECT_EQ(pooled_from("a", with_prompt("")), 0);
  EXPECT_EQ(pooled_from("a", {}), 0);
  TextOptions cut = with_prompt("a a a a");
  cut.max_length = 4;  // the prompt is cut like a text
  EXPECT_EQ(pooled_from("a", cut), 3);
}

TEST(TypeIdsTest, ModelInputNamesOrTheClassDecideWhetherTheyAreGiven) {
  TemporaryDirectory directory;
  write_model(directory.path(), {.has_sentence_files = false});
  directory.write("tokenizer.json", text::JsonSections{}.text());
  const auto types = [&](const std::string& config) {
    directory.write("tokenizer_config.json", config);
    const models::Package package = models::open_package(directory.path());
    return TextInputs(package, {}).encode("hello", "world").type_ids;
  };
  const auto with = ElementsAre(0, 0, 0, 1, 1), without = ElementsAre(0, 0, 0, 0, 0);
  EXPECT_THAT(types("{}"), with);
  EXPECT_THAT(types(R"({"tokenizer_class": "BertTokenizer"})"), with);
  EXPECT_THAT(types(R"({"tokenizer_class": "ElectraTokenizerFast"})"), with);
  EXPECT_THAT(types(R"({"tokenizer_class": "PreTrainedTokenizerFast"})"), with);
  for (const char* name : {"DistilBertTokenizer", "DistilBertTokenizerFast", "MPNetTokenizer",
                           "RobertaTokenizerFast", "XLMRobertaTokenizer"}) {
    EXPECT_THAT(types(fmt::format("{{\"tokenizer_class\": \"{}\"}}", name)), without) << name;
  }
  EXPECT_THAT(types(R"({"tokenizer_class": "BertTokenizer",
                        "model_input_names": ["input_ids", "attention_mask"]})"),
              without);
  EXPECT_THAT(types(R"({"tokenizer_class": "DistilBertTokenizer",
                "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]})"),
              with);
}

}  // namespace
}  // namespace tessera::test
