// SPDX-License-Identifier: Apache-2.0
// docs/SOURCES.md, tokenizers: a test per row of the table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/models/text/tokenizer_files.hpp"

namespace tessera::text {
namespace {

using Ids = std::vector<std::int32_t>;
using testing::HasSubstr;

/// A directory of a tokenizer.json and what stands beside it.
class SettingsTest : public ::testing::Test {
 protected:
  void write_json(const JsonSections& sections = {}) {
    directory.write("tokenizer.json", sections.text());
  }
  void config(const std::string& members, const std::string& tokenizer_class = "BertTokenizer") {
    directory.write("tokenizer_config.json", "{\"tokenizer_class\": \"" + tokenizer_class + "\"" +
                                                 (members.empty() ? "" : ", " + members) + "}");
  }
  Tokenizer load() const { return Tokenizer::from_directory(directory.path()); }
  Ids ids(const std::string& text) const { return load().encode(text).ids; }

  test::TemporaryDirectory directory;
};

const std::string kCased =
    R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": false, "strip_accents": false, "lowercase": false})";

TEST_F(SettingsTest, WithoutAConfigTheTokenizerJsonStands) {
  JsonSections s;
  s.normalizer = kCased;
  write_json(s);
  EXPECT_EQ(ids("Hello hello"), (Ids{2, 1, 5, 3}));
  EXPECT_EQ(load().info().settings, "");
}

TEST_F(SettingsTest, DoLowerCaseWinsOverTokenizerJson) {
  write_json();
  for (const char* name : {"BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer",
                           "ElectraTokenizerFast", "MPNetTokenizer", ""}) {
    config(R"("do_lower_case": false)", name);
    EXPECT_EQ(ids("Hello hello"), (Ids{2, 1, 5, 3})) << name;
    EXPECT_EQ(load().info().settings, "tokenizer_config.json: do_lower_case") << name;
    EXPECT_FALSE(load().info().lowercase);
  }
  // A class that takes the file as it is.
  config(R"("do_lower_case": false)", "PreTrainedTokenizerFast");
  EXPECT_EQ(ids("Hello hello"), (Ids{2, 5, 5, 3}));
}

TEST_F(SettingsTest, BertsClassesHaveDefaultsOfTheirOwn) {
  JsonSections s;
  s.normalizer = kCased;
  write_json(s);
  config("");
  EXPECT_EQ(ids("Hello HELLO \u4E2D\u4E2D"), (Ids{2, 5, 5, 12, 12, 3}));
  EXPECT_EQ(load().info().settings,
            "tokenizer_config.json: do_lower_case, strip_accents, tokenize_chinese_chars");
  config("", "MPNetTokenizer");  // has no tokenize_chinese_chars
  EXPECT_EQ(ids("HELLO \u4E2D\u4E2D"), (Ids{2, 5, 1, 3}));
  config("", "");  // a class that nobody names has none
  EXPECT_EQ(ids("Hello hello"), (Ids{2, 1, 5, 3}));
}

TEST_F(SettingsTest, ABertNormalizerInASequenceIsLeftAsItIs) {
  JsonSections s;
  s.normalizer = R"({"type": "Sequence", "normalizers": [)" + kCased + "]}";
  write_json(s);
  config(R"("do_lower_case": true)");
  EXPECT_EQ(ids("Hello hello"), (Ids{2, 1, 5, 3}));
}

TEST_F(SettingsTest, StripAccentsAndIdeographsWinOverTokenizerJson) {
  write_json();
  config(R"("strip_accents": false)");
  EXPECT_EQ(ids("w\u00F6rld world"), (Ids{2, 1, 6, 3}));
  config(R"("strip_accents": true, "do_lower_case": false)");
  EXPECT_EQ(ids("w\u00F6rld World"), (Ids{2, 6, 1, 3}));
  config(R"("strip_accents": null)");
  EXPECT_EQ(ids("w\u00F6rld"), (Ids{2, 6, 3}));
  config(R"("tokenize_chinese_chars": false)");
  EXPECT_EQ(ids("\u4E2D\u4E2D"), (Ids{2, 1, 3}));
}

TEST_F(SettingsTest, TheClassIsThatOfTheConfigThenOfTheModel) {
  write_json();
  directory.write("config.json", R"({"model_type": "bert"})");
  directory.write("tokenizer_config.json", R"({"model_max_length": 9})");
  JsonSections s;
  s.normalizer = kCased;
  write_json(s);
  EXPECT_EQ(ids("Hello"), (Ids{2, 5, 3})) << "model_type bert: BertTokenizer's defaults";
  directory.write("config.json",
                  R"({"model_type": "bert", "tokenizer_class": "PreTrainedTokenizerFast"})");
  EXPECT_EQ(ids("Hello"), (Ids{2, 1, 3})) << "config.json names another class";
  config("", "BertTokenizer");
  EXPECT_EQ(ids("Hello"), (Ids{2, 5, 3})) << "tokenizer_config.json comes first";
}

TEST_F(SettingsTest, AddedTokensOfTheConfigAreTokens) {
  write_json();
  EXPECT_EQ(ids("foo,foo"), (Ids{2, 13, 10, 13, 3}));
  config(R"("added_tokens_decoder": {"7": {"content": "foo,foo", "special": true},
                                     "99": {"content": "<new>", "special": false}})");
  EXPECT_EQ(ids("foo,foo"), (Ids{2, 14, 3})) << "what the vocabulary lacks gets the next id";
  EXPECT_EQ(ids("<new>"), (Ids{2, 15, 3})) << "whatever id the file gives it";
  EXPECT_TRUE(load().is_special(14));
  EXPECT_FALSE(load().is_special(15));
}

TEST_F(SettingsTest, FlagsOfTheConfigTakeThePlaceOfThoseOfTokenizerJson) {
  write_json();
  EXPECT_EQ(load().encode("foo [MASK]").offsets[2], (std::array<std::uint32_t, 2>{4, 10}));
  config(
      R"("added_tokens_decoder": {"4": {"content": "[MASK]", "lstrip": true, "special": true}})");
  EXPECT_EQ(load().encode("foo [MASK]").offsets[2], (std::array<std::uint32_t, 2>{3, 10}));
}

TEST_F(SettingsTest, ATokenThatIsNamedIsSpecialWhateverItsFlagsSay) {
  write_json();
  config(R"("mask_token": "foo", "added_tokens_decoder": {"13": {"content": "foo"}})");
  EXPECT_TRUE(load().is_special(13));
  config(R"("added_tokens_decoder": {"13": {"content": "foo"}})");
  EXPECT_FALSE(load().is_special(13));
}

TEST_F(SettingsTest, APrefixSpaceIsPutOrNotAsTheConfigSays) {
  const auto write = [&](const std::string& pre_tokenizer) {
    JsonSections s;
    s.added_tokens = "[]";
    s.normalizer = "null";
    s.pre_tokenizer = pre_tokenizer;
    s.post_processor = "null";
    s.model = R"({"type": "BPE", "vocab": {"a": 0, "\u0120": 1, "\u0120a": 2},
                  "merges": ["\u0120 a"]})";
    write_json(s);
  };
  for (const bool of_file : {false, true}) {
    const std::string step = std::string(R"({"type": "ByteLevel", "add_prefix_space": )") +
                             (of_file ? "true}" : "false}");
    write(step);
    std::filesystem::remove(directory.path() / "tokenizer_config.json");
    EXPECT_EQ(ids("a"), Ids{of_file ? 2 : 0});
    config(R"("add_prefix_space": true)", "RobertaTokenizer");
    EXPECT_EQ(ids("a"), Ids{2});
    EXPECT_EQ(load().info().settings, of_file ? "" : "tokenizer_config.json: add_prefix_space");
    config(R"("add_prefix_space": false)", "RobertaTokenizer");
    EXPECT_EQ(ids("a"), Ids{0});
    config("", "PreTrainedTokenizerFast");
    EXPECT_EQ(ids("a"), Ids{0}) << "unless said";
    // In a Sequence the reference leaves it as it is.
    for (const char* before : {R"({"type": "Digits"}, )", ""}) {
      write(R"({"type": "Sequence", "pretokenizers": [)" + std::string(before) + step + "]}");
      config(of_file ? R"("add_prefix_space": false)" : R"("add_prefix_space": true)",
             "RobertaTokenizer");
      EXPECT_EQ(ids("a"), Ids{of_file ? 2 : 0}) << before;
    }
  }
}

TEST_F(SettingsTest, NamedAndAdditionalTokensAreAddedWhereTheFileLacksThem) {
  JsonSections s;
  s.added_tokens = "[]";
  write_json(s);
  EXPECT_EQ(ids("[MASK]"), (Ids{2, 1, 1, 1, 3}));
  config(R"("mask_token": "[MASK]", "additional_special_tokens": ["hello world"])");
  EXPECT_EQ(ids("[MASK]hello world"), (Ids{2, 4, 14, 3}));
  config(R"("mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": true})");
  EXPECT_EQ(load().encode("foo [MASK]").offsets[2], (std::array<std::uint32_t, 2>{3, 10}));
}

TEST_F(SettingsTest, EveryRoleIsAddedInTheOrderOfTheReference) {
  JsonSections s;
  s.added_tokens = "[]";
  write_json(s);
  config(R"("eos_token": "<e>", "bos_token": "<b>", "additional_special_tokens": ["<a>"],
            "extra_special_tokens": {"image_token": "<x>"}, "mask_token": "<m>")");
  EXPECT_EQ(ids("<b><e><m><a><x>"), (Ids{2, 14, 15, 16, 17, 18, 3}));
  EXPECT_EQ(ids("[SEP]"), (Ids{2, 3, 3})) << "the class's own, where the vocabulary has it";
  config("", "PreTrainedTokenizerFast");
  EXPECT_EQ(ids("[SEP]"), (Ids{2, 1, 1, 1, 3})) << "a class without any";
}

TEST_F(SettingsTest, AnAdditionalTokenThatTheFileListsKeepsTheFilesFlags) {
  JsonSections s;
  s.added_tokens =
      R"([{"id": 13, "content": "foo", "special": false, "lstrip": true, "normalized": false}])";
  write_json(s);
  config(R"("additional_special_tokens": ["foo"])");
  EXPECT_EQ(load().encode("hello foo").offsets[2], (std::array<std::uint32_t, 2>{5, 9}));
  EXPECT_TRUE(load().is_special(13));
}

TEST_F(SettingsTest, TokensOfBothOlderFilesCount) {
  write_json();
  config(R"("additional_special_tokens": ["<a>"])");
  directory.write("special_tokens_map.json", R"({"additional_special_tokens": ["<b>", "<a>"]})");
  directory.write("added_tokens.json", R"({"<A>": 14, "<b>": 15})");
  EXPECT_EQ(ids("<A><b><a>"), (Ids{2, 14, 15, 16, 3}));
  EXPECT_TRUE(load().is_special(15)) << "it is among the additional ones";
}

TEST_F(SettingsTest, OlderFilesAreReadWhereTheConfigListsNoAddedTokens) {
  write_json();
  config(R"("mask_token": "[MASK]")");
  directory.write("special_tokens_map.json", R"({"mask_token": "foo"})");
  directory.write("added_tokens.json", R"({"hello world": 14})");
  EXPECT_EQ(load().mask_id(), 13) << "special_tokens_map.json overrules an old config";
  EXPECT_EQ(ids("hello world"), (Ids{2, 14, 3}));
  config(R"("mask_token": "[MASK]", "added_tokens_decoder": {})");
  EXPECT_EQ(load().mask_id(), 4) << "a newer one is all that is read";
  EXPECT_EQ(ids("hello world"), (Ids{2, 5, 6, 3}));
}

TEST_F(SettingsTest, ModelMaxLengthCountsAndALeftOverTruncationDoesNot) {
  JsonSections s;
  s.truncation =
      R"({"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 0})";
  write_json(s);
  config(R"("model_max_length": 4)");
  EXPECT_EQ(load().max_length(), 4U);
  EXPECT_EQ(load().truncation_side(), Side::left);
  EncodeOptions o;
  o.truncation = TruncationStrategy::longest_first;
  EXPECT_EQ(load().encode("hello world foo", o).ids, (Ids{2, 6, 13, 3}));
  config(R"("max_len": 4)");  // its older name
  EXPECT_EQ(load().max_length(), 4u);
  config(R"("max_len": 4, "model_max_length": 5)");
  EXPECT_EQ(load().max_length(), 5u);
  config(R"("model_max_length": 1e30, "max_len": 4)");
  EXPECT_EQ(load().max_length(), std::nullopt);
  config(R"("model_max_length": 4, "truncation_side": "right", "padding_side": "left")");
  EXPECT_EQ(load().truncation_side(), Side::right);
  EXPECT_EQ(load().encode("hello world foo", o).ids, (Ids{2, 5, 6, 3}));
  config(R"("truncation_side": "middle")");
  EXPECT_THAT(error_of(directory).what(), HasSubstr("truncation_side is \"middle\""));
}

TEST_F(SettingsTest, WhatIsCutIsMarked) {
  write_json();
  EncodeOptions o;
  o.max_length = 4;
  EXPECT_FALSE(load().encode("hello world", o).is_cut);
  EXPECT_TRUE(load().encode("hello world foo", o).is_cut);
  EXPECT_TRUE(load().encode_pair("hello", "world foo", o).is_cut);
  o.add_special_tokens = false;
  EXPECT_FALSE(load().encode("hello world foo !", o).is_cut);
  EXPECT_TRUE(load().encode("hello world foo ! foo", o).is_cut);
  EXPECT_EQ(load().encode("hello world foo ! foo", o).ids, (Ids{5, 6, 13, 11}));
  o.truncation = TruncationStrategy::do_not_truncate;
  EXPECT_FALSE(load().encode("hello world foo ! foo", o).is_cut);
}

TEST_F(SettingsTest, WhatChangesIdsAndIsNotComputedIsRefusedByName) {
  write_json();
  const auto message = [&] { return std::string(error_of(directory).what()); };
  config(R"("split_special_tokens": true)");
  EXPECT_THAT(message(), HasSubstr("split_special_tokens is true"));
  config(R"("auto_map": {"AutoTokenizer": ["tokenization_x.XTokenizer", null]})");
  EXPECT_THAT(message(), HasSubstr("tokenization_x.XTokenizer"));
  config("", "BertJapaneseTokenizer");
  EXPECT_THAT(message(), HasSubstr("BertJapaneseTokenizer"));
}

TEST_F(SettingsTest, CodeNamedInConfigJsonCountsWhereTheTokenizersConfigNamesNoClass) {
  write_json();
  directory.write("config.json", R"({"model_type": "bert",
                                     "auto_map": {"AutoTokenizer": ["tokenization_x.X", null]}})");
  EXPECT_THAT(std::string(error_of(directory).what()), HasSubstr("tokenization_x.X"));
  directory.write("tokenizer_config.json", R"({"do_lower_case": true})");
  EXPECT_THAT(std::string(error_of(directory).what()), HasSubstr("tokenization_x.X"));
  config("");
  EXPECT_EQ(ids("hello"), (Ids{2, 5, 3}));
  directory.write("config.json", R"({"auto_map": {"AutoModel": "modeling_x.X"}})");
  directory.write("tokenizer_config.json", "{}");
  EXPECT_EQ(ids("hello"), (Ids{2, 5, 3})) << "that is for open_package()";
}

TEST_F(SettingsTest, WhatIsNoRegularFileIsNotAbsent) {
  write_json();
  std::filesystem::create_directory(directory / "tokenizer_config.json");
  EXPECT_THAT(std::string(error_of(directory).what()),
              HasSubstr("tokenizer_config.json: is a directory, expected a regular file"));
  std::filesystem::remove(directory / "tokenizer_config.json");
  std::filesystem::remove(directory / "tokenizer.json");
  directory.write("vocab.txt", kVocabTxt);
  std::filesystem::create_directory(directory / "tokenizer.json");
  EXPECT_THAT(std::string(error_of(directory).what()), HasSubstr("tokenizer.json: is a directory"));
}

TEST_F(SettingsTest, AClassThatNobodyKnowsReadsTokenizerJson) {
  write_json();
  for (const char* name : {"TokenizersBackend", "SomebodysTokenizer"}) {
    config("", name);
    EXPECT_EQ(ids("hello"), (Ids{2, 5, 3})) << name;
  }
}

TEST_F(SettingsTest, LlamaAndGemmaPutTokensAroundAsTheConfigSays) {
  write_json();
  const std::string names = R"("bos_token": "[CLS]", "eos_token": "[SEP]")";
  for (const char* name : {"LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizer"}) {
    config(names, name);
    EXPECT_EQ(ids("hello"), (Ids{2, 5})) << "bos and no eos, whatever tokenizer.json says";
    config(names + R"(, "add_bos_token": false, "add_eos_token": true)", name);
    EXPECT_EQ(ids("hello"), (Ids{5, 3}));
    config(names + R"(, "add_eos_token": true)", name);
    const Encoding pair = load().encode_pair("hello", "world");
    EXPECT_EQ(pair.ids, (Ids{2, 5, 3, 2, 6, 3}));
    EXPECT_EQ(pair.type_ids, (Ids{0, 0, 0, 1, 1, 1}));
  }
  config("", "LlamaTokenizer");
  EXPECT_THAT(std::string(error_of(directory).what()), HasSubstr("lacks \"<s>\""));
}

TEST_F(SettingsTest, OtherClassesMayNotAskForTokensThatTokenizerJsonDoesNotPut) {
  JsonSections s;
  write_json(s);
  config(R"("add_bos_token": true, "add_eos_token": true)", "PreTrainedTokenizerFast");
  EXPECT_EQ(ids("hello"), (Ids{2, 5, 3}));
  s.post_processor = "null";
  write_json(s);
  EXPECT_THAT(std::string(error_of(directory).what()), HasSubstr("add_bos_token is true"));
  config(R"("add_eos_token": true)", "PreTrainedTokenizerFast");
  EXPECT_THAT(std::string(error_of(directory).what()), HasSubstr("add_eos_token is true"));
  config(R"("add_eos_token": false)", "PreTrainedTokenizerFast");
  EXPECT_EQ(ids("hello"), (Ids{5}));
}

TEST_F(SettingsTest, FilesAreTakenInOneOrder) {
  directory.write("vocab.txt", kVocabTxt);
  EXPECT_EQ(load().info().file, "vocab.txt");
  write_json();
  EXPECT_EQ(load().info().file, "tokenizer.json");
}

}  // namespace
}  // namespace tessera::text
