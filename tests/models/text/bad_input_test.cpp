// SPDX-License-Identifier: Apache-2.0
// Tokenizer files that are missing, broken or of another kind, and texts that are no text.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/models/text/tokenizer_files.hpp"

namespace tessera::text {
namespace {

::testing::AssertionResult complains(const test::TemporaryDirectory& directory, ErrorCode code,
                                     const std::vector<std::string>& parts) {
  const Error e = error_of(directory);
  if (e.code() != code) {
    return ::testing::AssertionFailure() << to_string(e.code()) << ": " << e.what();
  }
  for (const std::string& part : parts) {
    if (std::string_view(e.what()).find(part) == std::string_view::npos) {
      return ::testing::AssertionFailure() << "no \"" << part << "\" in: " << e.what();
    }
  }
  return ::testing::AssertionSuccess();
}

::testing::AssertionResult json_complains(const std::string& json, ErrorCode code,
                                          const std::vector<std::string>& parts) {
  const test::TemporaryDirectory directory;
  directory.write("tokenizer.json", json);
  return complains(directory, code, parts);
}

TEST(BadTokenizerFilesTest, NoFilesAtAll) {
  const test::TemporaryDirectory directory;
  EXPECT_FALSE(directory_has_tokenizer(directory.path()));
  EXPECT_TRUE(complains(directory, ErrorCode::not_found,
                        {"tokenizer.json", "vocab.txt", "token ids can be given"}));
  EXPECT_FALSE(directory_has_tokenizer(directory.path() / "nowhere"));
}

TEST(BadTokenizerFilesTest, OtherKindsAreNamed) {
  for (const auto& [file, model] :
       {std::pair{"vocab.json", "byte-level BPE"}, std::pair{"tokenizer.model", "SentencePiece"}}) {
    const test::TemporaryDirectory directory;
    directory.write(file, "x");
    EXPECT_TRUE(directory_has_tokenizer(directory.path()));
    EXPECT_TRUE(complains(directory, ErrorCode::unsupported_model,
                          {file, model, "token ids can be given"}));
  }
}

TEST(BadTokenizerFilesTest, OtherModelsAreNamed) {
  JsonSections s;
  s.model = R"({"type": "Other", "vocab": {"a": 0}})";
  EXPECT_TRUE(json_complains(
      s.text(), ErrorCode::unsupported_model,
      {"model.type is \"Other\"", "Unigram", "WordLevel", "token ids can be given"}));
}

TEST(BadTokenizerFilesTest, OtherPartsAreNamed) {
  JsonSections s;
  s.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Unheard"}]})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::unsupported_model,
                             {"normalizer.normalizers[1].type", "Unheard"}));
  s = {};
  s.normalizer = R"({"type": "Replace", "pattern": {"Glob": "a+"}, "content": ""})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::corrupt_file, {"normalizer.pattern", "Regex"}));
  s = {};
  s.pre_tokenizer = R"({"type": "UnicodeScripts"})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::unsupported_model,
                             {"pre_tokenizer.type", "UnicodeScripts"}));
  s = {};
  s.post_processor = R"({"type": "Jinja"})";
  EXPECT_TRUE(
      json_complains(s.text(), ErrorCode::unsupported_model, {"post_processor.type", "Jinja"}));
  s.post_processor = R"({"type": "Sequence", "processors": [
    {"type": "ByteLevel", "trim_offsets": true}, {"type": "ByteLevel", "trim_offsets": true}]})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::unsupported_model,
                             {"post_processor.processors[1]", "ByteLevel", "one that trims"}));
}

TEST(BadTokenizerFilesTest, BrokenJsonIsCorrupt) {
  for (const char* text :
       {"", "{", "[]", "null", "\"x\"", "{\"model\": ", "\xFF\xFE", "{}", "{\"model\": 3}",
        "{\"model\": {\"type\": 1}}", "{\"model\": {\"type\": \"WordPiece\"}}"}) {
    EXPECT_TRUE(json_complains(text, ErrorCode::corrupt_file, {"tokenizer.json"})) << text;
  }
  const std::string whole = JsonSections{}.text();
  for (std::size_t n = 0; n + 1 < whole.size(); n += 37) {
    EXPECT_TRUE(json_complains(whole.substr(0, n), ErrorCode::corrupt_file, {})) << n;
  }
}

TEST(BadTokenizerFilesTest, DeeplyNestedJsonIsCorrupt) {
  JsonSections s;
  s.normalizer.clear();
  for (int i = 0; i < 5000; ++i) s.normalizer += R"({"type": "Sequence", "normalizers": [)";
  for (int i = 0; i < 5000; ++i) s.normalizer += "]}";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::corrupt_file, {"not valid JSON"}));
}

TEST(BadTokenizerFilesTest, WrongTypesAreNamedWithTheirPlace) {
  const auto with = [](auto change) {
    JsonSections s;
    change(s);
    return s.text();
  };
  EXPECT_TRUE(
      json_complains(with([](JsonSections& s) {
                       s.normalizer = R"({"type": "BertNormalizer", "lowercase": "yes"})";
                     }),
                     ErrorCode::corrupt_file,
                     {"tokenizer.json: normalizer.lowercase is a string, expected a boolean"}));
  EXPECT_TRUE(json_complains(with([](JsonSections& s) {
                               s.truncation = R"({"max_length": -1, "strategy": "LongestFirst"})";
                             }),
                             ErrorCode::corrupt_file, {"truncation.max_length is -1"}));
  EXPECT_TRUE(json_complains(
      with([](JsonSections& s) { s.truncation = R"({"max_length": 8, "strategy": "Any"})"; }),
      ErrorCode::corrupt_file, {"truncation.strategy is \"Any\"", "OnlySecond"}));
  EXPECT_TRUE(json_complains(with([](JsonSections& s) {
                               s.post_processor =
                                   R"({"type": "BertProcessing", "sep": ["x"], "cls": ["y", 1]})";
                             }),
                             ErrorCode::corrupt_file, {"post_processor.sep"}));
  EXPECT_TRUE(json_complains(with([](JsonSections& s) { s.added_tokens = R"([{"id": 1}])"; }),
                             ErrorCode::corrupt_file, {"added_tokens[0].content is missing"}));
  EXPECT_TRUE(
      json_complains(with([](JsonSections& s) {
                       s.post_processor = R"({"type": "TemplateProcessing", "special_tokens": {},
                               "single": [{"SpecialToken": {"id": "Y", "type_id": 0}}], "pair": []})";
                     }),
                     ErrorCode::corrupt_file, {"post_processor.special_tokens.Y is missing"}));
  EXPECT_TRUE(json_complains(with([](JsonSections& s) {
                               s.post_processor =
                                   R"({"type": "TemplateProcessing", "special_tokens": {},
                               "single": [{"Sequence": {"id": "B", "type_id": 0}}], "pair": []})";
                             }),
                             ErrorCode::corrupt_file, {"single[0].Sequence.id is \"B\""}));
}

TEST(BadTokenizerFilesTest, BadVocabulariesAreCorrupt) {
  for (const char* id : {"-1", "1.5", "\"1\"", "4294967296", "2147483647", "null"}) {
    JsonSections s;
    s.model = R"({"type": "WordPiece", "vocab": {"[UNK]": 0, "a": )" + std::string(id) + "}}";
    EXPECT_TRUE(json_complains(s.text(), ErrorCode::corrupt_file, {"model.vocab[\"a\"]"})) << id;
  }
  JsonSections s;
  s.model = R"({"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"a": 0}})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::corrupt_file, {"model.vocab", "[UNK]"}));
  s.model = R"({"type": "WordPiece", "vocab": {}})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::corrupt_file, {"[UNK]"}));
}

TEST(BadTokenizerFilesTest, MergesThatTheVocabularyLacksAreCorrupt) {
  JsonSections s;
  s.model = R"({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::corrupt_file,
                             {"model.merges[0] needs \"ab\"", "2 tokens", "expected"}));
}

// A zero byte would end the message before it says what was expected.
TEST(BadTokenizerFilesTest, ControlCharactersOfAFileAreSpelledInMessages) {
  JsonSections s;
  s.normalizer = R"({"type": "Replace", "pattern": {"Regex": "(\u0000\u001B[2J"}, "content": ""})";
  EXPECT_TRUE(json_complains(s.text(), ErrorCode::corrupt_file, {"(\\x00\\x1B[2J", "expected"}));
}

TEST(BadTokenizerFilesTest, AnEnormousIdCostsNoMemory) {
  JsonSections s;
  s.model = R"({"type": "WordPiece", "vocab": {"[UNK]": 0, "hello": 2147483646}})";
  s.added_tokens = "[]";
  const Tokenizer t = tokenizer_of(s);
  EXPECT_EQ(t.encode("hello").ids[1], 2147483646);
  EXPECT_EQ(t.vocab_size(), 2147483647u);
}

TEST(BadTokenizerFilesTest, VocabTxtWithoutItsSpecialTokensIsCorrupt) {
  const test::TemporaryDirectory directory;
  directory.write("vocab.txt", "");
  EXPECT_TRUE(complains(directory, ErrorCode::corrupt_file, {"vocab.txt", "[UNK]", "unk_token"}));
  directory.write("vocab.txt", "[UNK]\n[SEP]\n");
  EXPECT_TRUE(complains(directory, ErrorCode::corrupt_file,
                        {"[CLS]", "cls_token", "tokenizer_config.json"}));
  directory.write("vocab.txt", "[UNK]\n\xFF\n");
  EXPECT_TRUE(complains(directory, ErrorCode::corrupt_file, {"vocab.txt: line 2 is not UTF-8"}));
}

TEST(BadTokenizerFilesTest, VocabTxtWithDuplicatesUsesTheLastOnes) {
  const test::TemporaryDirectory directory;
  directory.write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nhello\nhello\n");
  const Tokenizer t = Tokenizer::from_directory(directory.path());
  EXPECT_EQ(t.encode("hello").ids, (std::vector<std::int32_t>{1, 4, 2}));
  EXPECT_EQ(t.vocab_size(), 5u);
  EXPECT_EQ(t.token(3), "hello");
}

TEST(BadTokenizerFilesTest, BadConfigurationsAreCorrupt) {
  const test::TemporaryDirectory directory;
  directory.write("vocab.txt", kVocabTxt);
  for (const char* text :
       {"", "[", "{", "3", "{\"a\":", "{\"do_lower_case\": 1}", "{\"model_max_length\": \"x\"}",
        "{\"unk_token\": 5}", "{\"tokenizer_class\": []}",
        "{\"added_tokens_decoder\": {\"x\": {}}}", "{\"added_tokens_decoder\": [1]}",
        "{\"additional_special_tokens\": 1}", "{\"cls_token\": {\"content\": 1}}"}) {
    directory.write("tokenizer_config.json", text);
    EXPECT_TRUE(complains(directory, ErrorCode::corrupt_file, {"tokenizer_config.json"})) << text;
  }
  directory.write("tokenizer_config.json", R"({"tokenizer_class": "BertJapaneseTokenizer"})");
  EXPECT_TRUE(complains(directory, ErrorCode::unsupported_model, {"BertJapaneseTokenizer"}));
  directory.write("tokenizer_config.json", "{}");
  directory.write("added_tokens.json", R"({"x": "y"})");
  EXPECT_TRUE(complains(directory, ErrorCode::corrupt_file, {"added_tokens.json"}));
}

// A token of white space that takes more of it: every place of a long run is a token up to its end.
TEST(BadTextTest, TokensInsideTheWhiteSpaceOfOthersTakeLinearTime) {
  JsonSections s;
  s.added_tokens = R"([{"content": " ", "rstrip": true, "special": true}])";
  const Tokenizer t = tokenizer_of(s);
  const std::string spaces(300'000, ' ');
  const Encoding e = t.encode(spaces + "hello");
  ASSERT_EQ(e.size(), spaces.size() + 3);
  EXPECT_EQ(e.offsets[1], (std::array<std::uint32_t, 2>{0, 300'000}));
  EXPECT_EQ(e.offsets[300'000], (std::array<std::uint32_t, 2>{299'999, 300'000}));
  EXPECT_EQ(e.offsets[300'001], (std::array<std::uint32_t, 2>{300'000, 300'005}));
}

// 10 Replace steps that each make ten characters of one: 10^10 of a single letter.
TEST(BadTextTest, ANormalizerThatGrowsItsTextIsGivenUp) {
  for (const char* pattern : {R"({"String": "a"})", R"({"Regex": "a"})"}) {
    JsonSections s;
    s.normalizer = R"({"type": "Sequence", "normalizers": [)";
    for (int i = 0; i < 10; ++i) {
      s.normalizer += std::string(i > 0 ? "," : "") + R"({"type": "Replace", "pattern": )" +
                      pattern + R"(, "content": "aaaaaaaaaa"})";
    }
    s.normalizer += "]}";
    const Tokenizer t = tokenizer_of(s);
    EXPECT_EQ(t.encode("hello").size(), 3u);  // nothing to replace
    try {
      t.encode("a");
      ADD_FAILURE() << "expected an error";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
      EXPECT_NE(std::string_view(e.what()).find("normalizer makes at least"),
                std::string_view::npos);
      EXPECT_NE(std::string_view(e.what()).find("expected at most 1088"), std::string_view::npos);
    }
  }
}

TEST(BadTextTest, APrefixThatIsTooLongIsGivenUp) {
  const auto with_prefix = [](std::size_t length) {
    JsonSections s;
    s.normalizer = R"({"type": "Prepend", "prepend": ")" + std::string(length, 'x') + "\"}";
    return tokenizer_of(s);
  };
  EXPECT_EQ(with_prefix(1087).encode("a").size(), 3U);  // and the character itself: 1088
  EXPECT_THROW(with_prefix(1088).encode("a"), Error);
}

// Texts of random bytes, half of them valid UTF-8. Nothing may crash, and offsets stay inside the
// text.
TEST(BadTextTest, RandomBytesNeverCrash) {
  JsonSections s;
  s.added_tokens = R"([{"content": "[MASK]", "lstrip": true, "rstrip": true, "special": true},
                       {"content": "a", "single_word": true, "special": false, "normalized": true}])";
  const Tokenizer fast = tokenizer_of({});
  const Tokenizer general = tokenizer_of(s);
  std::minstd_rand random(7);
  const std::vector<std::string> pieces = {"hello",    "[MASK]", " ",          "\u3000",
                                           "\u0301",   "\u4E2D", "\U0001F600", "\xFF",
                                           "\xE2\x82", "a",      "\u0130",     std::string(1, '\0'),
                                           "\uAC01",   ","};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random() % 30; n > 0; --n) {
      if (random() % 2 == 0) {
        text += static_cast<char>(random());
      } else {
        text += pieces[random() % pieces.size()];
      }
    }
    EncodeOptions o;
    if (random() % 2 == 0) o.max_length = 3 + random() % 10;
    if (random() % 2 == 0) o.truncation_side = Side::left;
    for (const Tokenizer* t : {&fast, &general}) {
      const Encoding e = t->encode_pair(text, "hello", o);
      ASSERT_LE(e.size(), o.max_length.value_or(2 * text.size() + 8));
      ASSERT_EQ(e.offsets.size(), e.size());
      ASSERT_EQ(e.type_ids.size(), e.size());
      for (const auto& [begin, end] : e.offsets)
        ASSERT_LE(end, std::max<std::size_t>(text.size(), 5));
    }
  }
}

}  // namespace
}  // namespace tessera::text
