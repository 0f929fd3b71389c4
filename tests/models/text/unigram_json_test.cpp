// SPDX-License-Identifier: Apache-2.0
// tokenizer.json with Unigram, Precompiled, Metaspace, Nmt and WordLevel: small files, good and bad.
// The ids and offsets are those of tokenizers 0.23.2 for the same files. (It refuses
// add_prefix_space false without prepend_scheme, which older versions wrote.)
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/models/text/tokenizer_files.hpp"

namespace tessera::text {
namespace {

using Ids = std::vector<std::int32_t>;
using Offsets = std::vector<std::array<std::uint32_t, 2>>;

JsonSections sections() {
  JsonSections s;
  s.added_tokens = "[]";
  s.normalizer = "null";
  s.pre_tokenizer = R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"})";
  s.post_processor = "null";
  s.model = R"({"type": "Unigram", "unk_id": 0,
                "vocab": [["<unk>", 0], ["▁", -2], ["▁a", -1.5], ["b", -1], ["ab", -3], ["▁b", -3.5]]})";
  return s;
}

TEST(UnigramJsonTest, SplitsWordsThatBeginWithTheirSpace) {
  const Tokenizer t = tokenizer_of(sections());
  EXPECT_EQ(t.info().model, "Unigram");
  const Encoding e = t.encode("ab  b\u4E2D");
  EXPECT_EQ(e.ids, (Ids{2, 3, 1, 1, 3, 0}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}}));
  EXPECT_EQ(t.unk_id(), 0);
}

TEST(UnigramJsonTest, TheOldFormHasNoTypeAndOlderKeys) {
  JsonSections s = sections();
  s.model = R"({"unk_id": 0, "vocab": [["<unk>", 0], ["▁a", -1.5], ["a", -3]]})";
  s.pre_tokenizer =
      R"({"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": true})";
  EXPECT_EQ(tokenizer_of(s).encode("a").ids, (Ids{1}));
  s.pre_tokenizer = R"({"type": "Metaspace", "replacement": "▁", "add_prefix_space": false})";
  EXPECT_EQ(tokenizer_of(s).encode("a a").ids, (Ids{2, 1}));
}

TEST(UnigramJsonTest, BehindAnAddedTokenTheFirstSchemePrependsNothing) {
  JsonSections s = sections();
  s.pre_tokenizer = R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"})";
  s.added_tokens = R"([{"content": "<m>", "special": true}])";
  EXPECT_EQ(tokenizer_of(s).encode("b<m>b").ids, (Ids{1, 3, 6, 3}));
}

TEST(UnigramJsonTest, NmtDropsControlsAndSeesMoreSpaces) {
  JsonSections s = sections();
  s.normalizer = R"({"type": "Nmt"})";
  const Encoding e = tokenizer_of(s).encode("a\u0001b\tb\u200Bb\uFEFFb");
  EXPECT_EQ(e.ids, (Ids{2, 3, 1, 3, 1, 3, 1, 3}));
  EXPECT_EQ(e.offsets[1], (std::array<std::uint32_t, 2>{2, 3}));
}

TEST(UnigramJsonTest, ScoresAreReadAsTheReferenceReadsThem) {
  // Pieces of T5: the sums of several paths are equal but for the last bit of each score.
  JsonSections s = sections();
  s.model = R"({"type": "Unigram", "unk_id": 0,
                "vocab": [["<unk>", 0], ["▁", -2.0122928619384766], ["ô", -11.698921203613281],
                          ["ôt", -11.740760803222656], ["tôt", -11.321892738342285]]})";
  EXPECT_EQ(tokenizer_of(s).encode("ôtôtôtôtôtôtôt").ids, (Ids{1, 2, 4, 2, 4, 3, 2, 4}));
}

TEST(UnigramJsonTest, RunsOfSpacesBecomeWhatTheFileSays) {
  JsonSections s = sections();
  s.normalizer = R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"})";
  const Encoding e = tokenizer_of(s).encode("b   b b");
  EXPECT_EQ(e.ids, (Ids{1, 3, 1, 3, 1, 3}));
  EXPECT_EQ(e.offsets, (Offsets{{0, 1}, {0, 1}, {3, 4}, {4, 5}, {5, 6}, {6, 7}}));
  s.normalizer = R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": ""})";
  EXPECT_EQ(tokenizer_of(s).encode("b   b").ids, (Ids{1, 3, 3}));
}

TEST(UnigramJsonTest, RobertaProcessingTrimsTheSpacesOfItsTokens) {
  JsonSections s = sections();
  s.pre_tokenizer = "null";
  s.post_processor = R"({"type": "RobertaProcessing", "sep": ["b", 3], "cls": ["b", 3]})";
  const Encoding e = tokenizer_of(s).encode("b  ab");  // the spaces are unknown: one token
  EXPECT_EQ(e.ids, (Ids{3, 3, 0, 4, 3}));
  EXPECT_EQ(e.offsets[2], (std::array<std::uint32_t, 2>{3, 3}));
}

TEST(UnigramJsonTest, WordLevelKnowsWholeWords) {
  JsonSections s = sections();
  s.pre_tokenizer = R"({"type": "WhitespaceSplit"})";
  s.model = R"({"type": "WordLevel", "unk_token": "[U]", "vocab": {"[U]": 7, "ab": 3}})";
  EXPECT_EQ(tokenizer_of(s).info().model, "WordLevel");
  EXPECT_EQ(tokenizer_of(s).encode("ab a ab").ids, (Ids{3, 7, 3}));
  s.model = R"({"vocab": {"ab": 3}})";  // the old form; "<unk>" is not there
  EXPECT_EQ(tokenizer_of(s).encode("ab").ids, (Ids{3}));
  try {
    tokenizer_of(s).encode("ab a");
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(
        e.what(),
        "tokenizer: the text has the word \"a\", which is none of the 1 of the vocabulary; "
        "expected those only, since unk_token is none of them");
  }
}

std::string error_of_sections(const JsonSections& s, ErrorCode code = ErrorCode::corrupt_file) {
  const test::TemporaryDirectory directory;
  directory.write("tokenizer.json", s.text());
  const Error e = error_of(directory);
  EXPECT_EQ(e.code(), code) << e.what();
  return e.what();
}

std::string error_of_model(const std::string& model) {
  JsonSections s = sections();
  s.model = R"({"type": "Unigram", )" + model + "}";
  return error_of_sections(s);
}

TEST(UnigramJsonTest, BadVocabulariesAreNamedWithTheirPlace) {
  EXPECT_EQ(error_of_model(R"("unk_id": 0, "vocab": [])"),
            "tokenizer.json: model.vocab is empty, expected at least one piece");
  EXPECT_NE(error_of_model(R"("unk_id": 0)").find("model.vocab is missing"), std::string::npos);
  EXPECT_NE(error_of_model(R"("vocab": {"a": 0})").find("model.vocab is an object"),
            std::string::npos);
  for (const char* piece : {"[]", "[\"a\"]", "[\"a\", \"b\"]", "[1, 2]", "[\"a\", 1, 2]",
                            "[\"a\", null]", "\"a\"", "null"}) {
    const std::string error = error_of_model(std::string(R"("vocab": [["b", 0], )") + piece + "]");
    EXPECT_NE(error.find("tokenizer.json: model.vocab[1] is "), std::string::npos) << error;
    EXPECT_NE(error.find("expected a piece and its score"), std::string::npos) << error;
  }
  // JSON has no such numbers; what stands for them in Python's is refused with the file.
  for (const char* score : {"NaN", "-Infinity", "1e999"}) {
    error_of_model(std::string(R"("vocab": [["b", )") + score + "]]");
  }
  for (const char* id : {"1", "-1", "0.5", "\"0\"", "1e30"}) {
    const std::string error =
        error_of_model(std::string(R"("vocab": [["b", 0]], "unk_id": )") + id);
    EXPECT_NE(error.find("tokenizer.json: model.unk_id is "), std::string::npos) << error;
  }
}

TEST(UnigramJsonTest, AnUnkIdThatIsMissingIsMissedByTheTextThatNeedsIt) {
  JsonSections s = sections();
  s.model = R"({"type": "Unigram", "vocab": [["▁", -2], ["a", -1]]})";
  const Tokenizer t = tokenizer_of(s);
  EXPECT_EQ(t.encode("a a").ids, (Ids{0, 1, 0, 1}));
  EXPECT_EQ(t.unk_id(), std::nullopt);
  try {
    t.encode("ab");
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(e.what(),
                 "tokenizer: the text has \"b\", which is none of the 2 pieces of the vocabulary; "
                 "expected pieces only, since the tokenizer's file has no unk_id");
  }
}

TEST(UnigramJsonTest, BadStepsAreNamedWithTheirPlace) {
  const auto of_normalizer = [](const char* json) {
    JsonSections s = sections();
    s.normalizer = json;
    return error_of_sections(s);
  };
  EXPECT_NE(of_normalizer(R"({"type": "Precompiled"})")
                .find("normalizer.precompiled_charsmap is missing"),
            std::string::npos);
  EXPECT_NE(of_normalizer(R"({"type": "Precompiled", "precompiled_charsmap": "a"})")
                .find("normalizer.precompiled_charsmap is no base64"),
            std::string::npos);
  EXPECT_NE(of_normalizer(R"({"type": "Precompiled", "precompiled_charsmap": "AAAA"})")
                .find("normalizer.precompiled_charsmap has 3 bytes, expected 4"),
            std::string::npos);
  const auto of_metaspace = [](const char* members) {
    JsonSections s = sections();
    s.pre_tokenizer = std::string(R"({"type": "Metaspace", )") + members + "}";
    return error_of_sections(s);
  };
  EXPECT_NE(of_metaspace(R"("replacement": "")").find("pre_tokenizer.replacement is \"\""),
            std::string::npos);
  EXPECT_NE(of_metaspace(R"("replacement": "ab")").find("expected one character"),
            std::string::npos);
  EXPECT_NE(of_metaspace(R"("split": true)").find("pre_tokenizer.replacement is missing"),
            std::string::npos);
  EXPECT_NE(of_metaspace(R"("replacement": "▁", "prepend_scheme": "often")")
                .find("prepend_scheme is \"often\", expected always, first or never"),
            std::string::npos);
  EXPECT_NE(of_metaspace(R"("replacement": "▁", "prepend_scheme": "always",
                            "add_prefix_space": false)")
                .find("pre_tokenizer.add_prefix_space is false, expected true"),
            std::string::npos);
}

// Linear: a megabyte in one word, in spaces, in one cluster, in unknowns.
TEST(UnigramJsonTest, AMegabyteInOnePieceTakesLinearTime) {
  JsonSections s = sections();
  s.normalizer = R"({"type": "Sequence", "normalizers": [{"type": "Nmt"},
      {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]})";
  const Tokenizer t = tokenizer_of(s);
  constexpr std::size_t kMany = std::size_t{1} << 20;
  EXPECT_EQ(t.encode(std::string(kMany, 'b')).size(), kMany + 1);  // ▁ b b b …
  EXPECT_EQ(t.encode(std::string(kMany, ' ')).size(), 1u);
  EXPECT_EQ(t.encode(std::string(kMany, 'x')).size(), 2u);
}

}  // namespace
}  // namespace tessera::text
