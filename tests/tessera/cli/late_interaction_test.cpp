// SPDX-License-Identifier: Apache-2.0
// ColBERT on the command line: search and rerank sort by the MaxSim of what embed writes.
#include <gmock/gmock.h>
#include <simdjson.h>

#include <algorithm>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Vectors = std::vector<std::vector<double>>;

class LateInteractionCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    const fs::path from = fs::path(TESSERA_SOURCE_DIR) / "tests/golden/data/colbert-bert";
    fs::create_directories(path("colbert"));
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::copy(from / name, path("colbert") / name);
    }
    file("colbert/vocab.txt",
         "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[unused0]\n[unused1]\nhello\nworld\ntea\n.\n,\nbrew\n"
         "cat\nsat\nmat\nthe\non\n");
    file("colbert/artifact.metadata", R"({"query_maxlen": 8, "doc_maxlen": 20})");
    file("texts.txt", "brew tea, world.\nthe cat sat on the mat\nhello\ntea.\n");
  }
  std::vector<Vectors> embedded(const std::string& command) {
    const CommandResult result = sh(command);
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<Vectors> all;
    simdjson::dom::parser parser;
    for (const std::string& line : lines_of(result.out)) {
      Vectors vectors;
      for (const auto row : simdjson::dom::array(parser.parse(line)["vectors"])) {
        std::vector<double> values;
        for (const auto value : simdjson::dom::array(row)) values.push_back(double(value));
        vectors.push_back(values);
      }
      all.push_back(vectors);
    }
    return all;
  }
  struct Hit {
    std::int64_t line;
    double score;
  };
  std::vector<Hit> hits(const std::string& arguments) {
    const CommandResult result = tessera(arguments + " --format jsonl -q");
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<Hit> out;
    simdjson::dom::parser parser;
    for (const auto hit : simdjson::dom::array(parser.parse(result.out)["hits"])) {
      out.push_back({std::int64_t(hit["line"]), double(hit["score"])});
    }
    return out;
  }
};

TEST_F(LateInteractionCliTest, SearchAndRerankSortByTheMaxSimOfWhatEmbedWrites) {
  const Vectors query = embedded("echo 'hello tea' | \"$TESSERA\" embed colbert --as query").at(0);
  const std::vector<Vectors> documents = embedded("\"$TESSERA\" embed colbert texts.txt");
  ASSERT_EQ(query.size(), 8U);
  ASSERT_EQ(documents.size(), 4U);
  EXPECT_EQ(documents[0].size(), 6U) << "without the comma and the full stop";
  std::vector<Hit> expected;
  for (std::size_t d = 0; d < documents.size(); ++d) {
    double sum = 0.0;
    for (const auto& q : query) {
      double best = -2.0;
      for (const auto& v : documents[d]) {
        double dot = 0.0;
        for (std::size_t k = 0; k < v.size(); ++k) dot += q[k] * v[k];
        best = std::max(best, dot);
      }
      sum += best;
    }
    expected.push_back({static_cast<std::int64_t>(d) + 1, sum});
  }
  std::stable_sort(expected.begin(), expected.end(),
                   [](const Hit& a, const Hit& b) { return a.score > b.score; });
  for (const std::string& command :
       {std::string("search colbert --index texts.txt 'hello tea'"),
        std::string("search colbert --index texts.txt 'hello tea' --vector-type f16"),
        std::string("search colbert --index texts.txt 'hello tea' --vector-type int8"),
        std::string("rerank colbert texts.txt --query 'hello tea'")}) {
    const std::vector<Hit> got = hits(command);
    ASSERT_EQ(got.size(), 4U) << command;
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(got[i].line, expected[i].line) << command;
      EXPECT_NEAR(got[i].score, expected[i].score,
                  command.find("int8") == std::string::npos ? 2e-3 : 3e-2)
          << command;
    }
  }
  EXPECT_NEAR(hits("search colbert --index texts.txt 'hello tea' --top-k 1")[0].score,
              expected[0].score, 1e-5);
}

TEST_F(LateInteractionCliTest, SaysWhatDoesNotGoTogether) {
  expect_failure(tessera("embed colbert texts.txt --format npy -o x.npy"), 2, "expected jsonl");
  expect_failure(tessera("embed colbert texts.txt --vector-type f16"), 2, "--vector-type");
  expect_failure(tessera("embed model texts.txt --as query"), 2, "--as");
  expect_failure(tessera("embed colbert texts.txt --dims 4"), 1, "has no embedding");
  expect_failure(tessera("search model --index texts.txt tea --vector-type f16"), 2,
                 "--vector-type: got a model with one vector per text");
  expect_failure(tessera("search colbert --index texts.txt tea --save-index x.npy"), 2,
                 "--save-index");
  expect_failure(tessera("rerank colbert texts.txt --query tea --logits"), 2, "--logits");
  const CommandResult info = tessera("info colbert");
  EXPECT_EQ(info.status, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("dense 32 to 12, normalised"));
  EXPECT_THAT(info.out,
              HasSubstr("queries of 8 tokens, filled up with [MASK], which are not attended "
                        "to; documents of up to 20 tokens; 2 tokens without a vector"));
  const CommandResult plan = tessera("plan colbert --rows 16");
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("token_embeddings"));
}

TEST_F(LateInteractionCliTest, OtherOutputsOfTokensAreListsOfVectorsToo) {
  const std::vector<Vectors> all =
      embedded("echo 'tea world' | \"$TESSERA\" embed model --output-name last_hidden_state");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].size(), 4U) << "[CLS] and [SEP] too";
  for (const char* command : {"info", "plan --no-measure", "profile", "report"}) {
    expect_failure(tessera(std::string(command) + " colbert --as query"), 2,
                   "--as: got a model without a Router");
  }
  const std::string both =
      sh("echo tea | \"$TESSERA\" embed colbert --output-name embedding,last_hidden_state").out;
  EXPECT_EQ(both.find("{\"embedding\": [["), 0U) << "as asked for, not token_embeddings";
  EXPECT_THAT(both, HasSubstr(", \"last_hidden_state\": [["));
}

}  // namespace
}  // namespace tessera::test
