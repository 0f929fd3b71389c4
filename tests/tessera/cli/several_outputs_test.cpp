// SPDX-License-Identifier: Apache-2.0
// embed of several outputs of one run: each is what it is alone.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/tessera/cli/cli_test.hpp"
#include "tests/tessera/image_directory.hpp"

namespace tessera::test {
namespace {

using testing::StartsWith;

const std::string kM3 = TESSERA_SOURCE_DIR "/tests/golden/data/bge-m3";

class SeveralOutputsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    file("ids.txt", "0 17 19 23 2\n0 9 2\n0 40 41 40 6 2\n");
    file("texts.txt", "brew tea\nthe cat sat\n");
  }
  std::vector<std::string> lines(const std::string& arguments) {
    const CommandResult result = tessera("embed " + arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return lines_of(result.out);
  }
  /// {"key": value} → value
  static std::string value_of(const std::string& line, const std::string& key) {
    const std::string begin = "{\"" + key + "\": ";
    EXPECT_THAT(line, StartsWith(begin));
    return line.substr(begin.size(), line.size() - begin.size() - 1);
  }
};

TEST_F(SeveralOutputsTest, ThreeVectorsOfBgeM3AreThoseOfThreeRuns) {
  const std::string ask = kM3 + " ids.txt --ids --output-name ";
  const auto dense = lines(ask + "embedding"), sparse = lines(ask + "lexical_weights"),
             vectors = lines(ask + "colbert_vecs");
  ASSERT_EQ(dense.size(), 3U);
  std::vector<std::string> expected, turned;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string embedding = "\"embedding\": " + value_of(dense[i], "embedding"),
                      weights = "\"sparse\": " + value_of(sparse[i], "sparse"),
                      tokens = "\"vectors\": " + value_of(vectors[i], "vectors");
    expected.push_back("{" + embedding + ", " + weights + ", " + tokens + "}");
    turned.push_back("{" + tokens + ", " + embedding + "}");
  }
  EXPECT_EQ(lines(ask + "embedding,lexical_weights,colbert_vecs"), expected);
  EXPECT_EQ(lines(ask + "embedding --output-name lexical_weights --output-name colbert_vecs"),
            expected);
  EXPECT_EQ(lines(ask + "colbert_vecs,embedding"), turned);
  for (const std::string& line : lines(ask + "embedding,lexical_weights --top-k 1")) {
    EXPECT_EQ(line.find("\"weight\""), line.rfind("\"weight\"")) << line;
  }
}

// FlagEmbedding's colbert_vecs begin behind the class token.
TEST_F(SeveralOutputsTest, TokenVectorsOfBgeM3AreThoseBehindTheClassToken) {
  const auto count = [](const std::string& line) { return std::ranges::count(line, '[') - 1; };
  file("three.txt", "0 7 2\n0 2\n0\n");
  std::vector<std::ptrdiff_t> vectors;
  for (const std::string& line : lines(kM3 + " three.txt --ids --output-name colbert_vecs"))
    vectors.push_back(count(line));
  EXPECT_THAT(vectors, testing::ElementsAre(2, 1, 0));
}

TEST_F(SeveralOutputsTest, OutputsOfOneKindHaveTheirNames) {
  const std::string ask = "model texts.txt --output-name ";
  const auto dense = lines(ask + "embedding"), pooler = lines(ask + "pooler_output"),
             last = lines(ask + "last_hidden_state"), first = lines(ask + "hidden_states.0");
  const auto both = lines(ask + "embedding,pooler_output,last_hidden_state --with-text"),
             states = lines(ask + "last_hidden_state,hidden_states.0");
  ASSERT_EQ(both.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(both[i],
              fmt::format("{{\"text\": \"{}\", \"embedding\": {}, \"pooler_output\": {}, "
                          "\"vectors\": {}}}",
                          i == 0 ? "brew tea" : "the cat sat", value_of(dense[i], "embedding"),
                          value_of(pooler[i], "embedding"), value_of(last[i], "vectors")));
    EXPECT_EQ(states[i], fmt::format("{{\"last_hidden_state\": {}, \"hidden_states.0\": {}}}",
                                     value_of(last[i], "vectors"), value_of(first[i], "vectors")));
  }
}

TEST_F(SeveralOutputsTest, IdsAndCutsAreSaidAndPlansAreOfAllOfThem) {
  file("texts.jsonl", R"({"id": 7, "text": "the cat sat on the mat"})"
                      "\n");
  const std::string names = " --output-name embedding,pooler_output";
  EXPECT_THAT(lines("model texts.jsonl --max-length 4" + names)[0],
              StartsWith("{\"id\": 7, \"cut\": true, \"embedding\": ["));
  ASSERT_EQ(tessera("plan model --no-measure --save p.json" + names).status, 0);
  EXPECT_EQ(lines("model texts.txt --plan p.json" + names), lines("model texts.txt" + names));
}

TEST_F(SeveralOutputsTest, ImagesHaveThemToo) {
  copy_image_model("vit-model", path("vit"), R"({"size": 32})");
  std::filesystem::copy_file(image_file("grey.jpg"), path("a.jpg"));
  const std::string dense = tessera("embed vit a.jpg").out;
  const auto both = lines("vit a.jpg --output-name embedding,last_hidden_state");
  ASSERT_EQ(both.size(), 1U);
  const std::string alone = dense.substr(0, dense.size() - 2);  // without "}" and the end of line
  EXPECT_THAT(both[0], StartsWith(alone + ", \"vectors\": [["));
}

// Outputs of other maps have other rows of an image: those of the second begin where the first's end.
TEST_F(SeveralOutputsTest, MapsOfAnImageHaveRowsOfTheirOwn) {
  copy_image_model("swin-model", path("swin"),
                   R"({"image_processor_type": "ViTImageProcessor", "size": 32})");
  std::filesystem::copy_file(image_file("grey.jpg"), path("a.jpg"));
  std::filesystem::copy_file(image_file("baseline-444.jpg"), path("b.jpg"));
  const std::string names = " --output-name hidden_states.1,last_hidden_state,embedding";
  const auto together = lines("swin a.jpg b.jpg" + names), a = lines("swin a.jpg" + names),
             b = lines("swin b.jpg" + names);
  ASSERT_EQ(together.size(), 2U);
  EXPECT_EQ(together[0], a.at(0));
  EXPECT_EQ(together[1], b.at(0));
  EXPECT_NE(a, b);
  const auto rows_of = [&](const std::string& key) {
    const auto alone = lines("swin a.jpg --output-name " + key);
    return std::count(alone.at(0).begin(), alone.at(0).end(), '[') - 1;
  };
  EXPECT_EQ(rows_of("hidden_states.1"), 64);
  EXPECT_EQ(rows_of("last_hidden_state"), 16);
}

TEST_F(SeveralOutputsTest, WhatDoesNotGoTogetherIsNamed) {
  const auto refused = [&](const std::string& flags, const std::string& part) {
    expect_failure(tessera("embed model texts.txt --output-name embedding,pooler_output " + flags),
                   2, part);
  };
  for (const char* format : {"npy", "fvecs", "text", "npz"}) {
    refused(std::string("-o x --format ") + format,
            fmt::format("--format {}: got 2 outputs, expected jsonl, or one output", format));
  }
  refused("-o x.npy", "--format npy: got 2 outputs, expected jsonl");
  refused("--vector-type f16",
          "--vector-type: applies to one output, got embedding, pooler_output");
  refused("--base64", "--base64: applies to one output");
  refused("-o x.jsonl --resume", "--resume: applies to one output");
  expect_failure(tessera("embed model texts.txt --output-name embedding,pooler_output --top-k 3"),
                 1, "top_k: got 3, but no output");
  refused("--output-name embedding", "--output-name: got embedding twice, expected each once");
  expect_failure(tessera("embed model texts.txt --output-name embedding,nothing"), 1,
                 "output: got \"nothing\", expected one of");
  expect_failure(tessera("embed model texts.txt --output-name pooler_output,last_hidden_state "
                         "--dims 3"),
                 2, "--dims: got 3 where pooler_output is computed");
}

}  // namespace
}  // namespace tessera::test
