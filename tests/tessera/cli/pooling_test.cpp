// SPDX-License-Identifier: Apache-2.0
// --pooling and --normalize: vectors by hand out of what embed writes of the tokens.
#include <gmock/gmock.h>
#include <simdjson.h>

#include <cmath>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

class PoolingCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    write_model(path("plain"), {.has_sentence_files = false});
    file("texts.txt", "brew tea\nthe cat sat on the mat\n\n");
  }
  std::vector<std::vector<float>> embedded(const std::string& arguments) {
    const CommandResult result = tessera("embed " + arguments + " texts.txt --format text");
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<std::vector<float>> rows;
    for (const std::string& line : lines_of(result.out)) rows.push_back(numbers_of(line));
    return rows;
  }
  /// Of each text the first row of its tokens, or the last.
  std::vector<std::vector<float>> token_rows(bool last) {
    const CommandResult result =
        tessera("embed plain texts.txt --output-name last_hidden_state --format jsonl");
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<std::vector<float>> rows;
    simdjson::dom::parser parser;
    for (const std::string& line : lines_of(result.out)) {
      const simdjson::dom::array vectors = parser.parse(line)["vectors"];
      rows.emplace_back();
      const std::size_t row = last ? vectors.size() - 1 : 0;
      for (const auto value : simdjson::dom::array(vectors.at(row))) {
        rows.back().push_back(static_cast<float>(double(value)));
      }
    }
    return rows;
  }
};

TEST_F(PoolingCliTest, RowsOfTheTokensAreTheVectors) {
  EXPECT_EQ(embedded("plain --pooling cls"), token_rows(false));
  EXPECT_EQ(embedded("plain --pooling lasttoken"), token_rows(true));
  EXPECT_EQ(embedded("plain --pooling mean"), embedded("plain"));
  EXPECT_NE(embedded("plain --pooling max"), embedded("plain"));
  const auto unit = embedded("plain --pooling cls --normalize"), rows = token_rows(false);
  ASSERT_EQ(unit.size(), 3U);
  for (std::size_t i = 0; i < unit.size(); ++i) {
    double squares = 0.0;
    for (const float v : rows[i]) squares += static_cast<double>(v) * static_cast<double>(v);
    for (std::size_t n = 0; n < rows[i].size(); ++n) {
      EXPECT_NEAR(unit[i][n], static_cast<double>(rows[i][n]) / std::sqrt(squares), 1e-6);
    }
  }
  EXPECT_EQ(embedded("model --normalize"), embedded("model")) << "normalised by its files";
}

TEST_F(PoolingCliTest, EveryCommandThatEmbedsTakesThem) {
  const std::string flags = " --pooling weightedmean --normalize";
  const CommandResult info = tessera("info plain" + flags);
  EXPECT_EQ(info.status, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("weightedmean pooling, normalised\n"));
  EXPECT_THAT(tessera("info plain").out, HasSubstr("mean pooling (default, no files say)"));
  for (const std::string& command :
       {std::string("plan plain --no-measure"), std::string("profile plain --runs 1 --rows 8"),
        std::string("rerank plain texts.txt --query tea"),
        std::string("search plain --index texts.txt tea"),
        std::string("report plain --rows 8 --no-time --bytes none")}) {
    const CommandResult result = tessera(command + flags);
    EXPECT_EQ(result.status, 0) << command << result.err;
  }
  EXPECT_THAT(tessera("plan plain --no-measure" + flags).out,
              HasSubstr("embedding.weightedmean.normalized"));
}

TEST_F(PoolingCliTest, APlanOfAnotherEmbeddingSaysHowItDiffers) {
  const auto save = [&](const std::string& flags) {
    ASSERT_EQ(
        tessera("plan plain --no-measure --output-name embedding --save p.json " + flags).status,
        0);
  };
  const auto refused = [&](const std::string& flags, const std::string& part) {
    expect_failure(tessera("embed plain texts.txt --plan p.json " + flags), 1,
                   "p.json: was made for outputs embedding (" + part);
  };
  save("--dims 4");
  refused("", "embedding.mean.cut, 4 columns), expected embedding (embedding.mean, 16 columns)");
  save("--pooling max --normalize");
  refused("--pooling lasttoken --normalize",
          "embedding.max.normalized, 16 columns), expected embedding "
          "(embedding.lasttoken.normalized, 16 columns)");
  EXPECT_EQ(tessera("embed plain texts.txt --plan p.json --pooling max --normalize").out,
            tessera("embed plain texts.txt --pooling max --normalize").out);
}

TEST_F(PoolingCliTest, ASavedIndexKnowsThem) {
  const std::string search = "search plain --index texts.txt -q tea ";
  ASSERT_EQ(tessera(search + "--pooling cls --save-index index.npy").status, 0);
  EXPECT_EQ(tessera(search + "--pooling cls --load-index index.npy").out,
            tessera(search + "--pooling cls").out);
  for (const char* other : {"", "--pooling max", "--pooling cls --normalize"}) {
    expect_failure(tessera(search + "--load-index index.npy " + other), 1,
                   "index.npy: the index was made for another \"model\": got \"BertModel, cls "
                   "pooling, ");
  }
}

TEST_F(PoolingCliTest, BadAsksAreNamed) {
  const auto refused = [&](const std::string& arguments, int status, const std::string& part) {
    expect_failure(tessera("embed " + arguments + " texts.txt"), status, part);
  };
  refused("model --pooling cls", 1,
          "model: pooling: got cls, expected none: modules.json says mean pooling, normalised");
  refused("plain --pooling median", 2,
          "got 'median', expected one of cls, max, mean, mean_sqrt_len_tokens, weightedmean, "
          "lasttoken");
  refused("plain --pooling cls --output-name pooler_output", 2,
          "--pooling: got cls where pooler_output is computed, expected none");
  file("model/modules.json",
       R"([{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}])");
  refused("model", 1,
          "model: modules.json of this BertModel has no Pooling, so that there is no embedding, "
          "expected one, or --pooling");
  EXPECT_EQ(tessera("embed model --pooling mean texts.txt").status, 0);
  for (const char* command : {"profile", "profile --meter replay", "report", "plan", "info"}) {
    expect_failure(tessera(std::string(command) + " " + TESSERA_SOURCE_DIR +
                           "/tests/golden/data/bert-seqcls --dims 2"),
                   2, "--dims: got 2 where logits is computed, expected none");
  }
  refused("plain --normalize --output-name pooler_output", 2,
          "--normalize: got it where pooler_output is computed, expected none");
}

}  // namespace
}  // namespace tessera::test
