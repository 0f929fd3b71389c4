// SPDX-License-Identifier: Apache-2.0
// rerank: what classify and search say of each text, sorted.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <regex>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Hit {
  int line;
  double score, logit;
};

class RerankTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    write_model(path("reranker"), {.architecture = "BertForSequenceClassification",
                                   .labels = 1,
                                   .problem_type = "",
                                   .has_sentence_files = false});
    file("texts.txt", "brew tea\nthe cat sat on the mat\n\nhello world\ntea\n");
  }
  std::vector<Hit> hits(const std::string& arguments) {
    const CommandResult result = tessera("rerank " + arguments + " --format jsonl -q");
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<Hit> found;
    const std::regex hit(
        "\"line\": ([0-9]+), (?:\"id\": [^,]+, )?\"score\": ([-0-9.e]+)(?:, \"logit\": "
        "([-0-9.e]+))?");
    for (std::sregex_iterator at(result.out.begin(), result.out.end(), hit), end; at != end; ++at) {
      found.push_back(
          {std::stoi((*at)[1]), std::stod((*at)[2]), (*at)[3].matched ? std::stod((*at)[3]) : 0.0});
    }
    return found;
  }
};

TEST_F(RerankTest, ScoresAreThoseOfThePairs) {
  file("pairs.tsv",
       "hello\tbrew tea\nhello\tthe cat sat on the mat\nhello\thello world\nhello\ttea\n");
  const int lines[] = {1, 2, 4, 5};
  std::vector<Hit> expected;
  const std::regex score("\"score\": ([-0-9.e]+), \"logit\": ([-0-9.e]+)");
  for (const std::string& line :
       lines_of(tessera("classify reranker pairs.tsv --pairs --format jsonl").out)) {
    std::smatch at;
    ASSERT_TRUE(std::regex_search(line, at, score)) << line;
    expected.push_back({lines[expected.size()], std::stod(at[1]), std::stod(at[2])});
  }
  std::stable_sort(expected.begin(), expected.end(),
                   [](const Hit& a, const Hit& b) { return a.score > b.score; });
  const std::vector<Hit> all = hits("reranker texts.txt --query hello");
  ASSERT_EQ(all.size(), 4U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].line, expected[i].line);
    EXPECT_EQ(all[i].score, expected[i].score);
    EXPECT_EQ(all[i].logit, expected[i].logit);
  }
  const std::vector<Hit> best = hits("reranker texts.txt --query hello --top-n 2 --logits");
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[1].line, expected[1].line);
  EXPECT_NEAR(best[1].score, expected[1].logit, 1e-6);
}

TEST_F(RerankTest, AMultipleChoiceIsTheSoftmaxOverTheTexts) {
  write_model(path("choice"), {.architecture = "BertForMultipleChoice",
                               .labels = 1,
                               .problem_type = "",
                               .has_sentence_files = false});
  const std::vector<Hit> all = hits("choice texts.txt --query hello");
  ASSERT_EQ(all.size(), 4U);
  double sum = 0.0, of_logits = 0.0;
  for (const Hit& hit : all) {
    sum += hit.score;
    of_logits += std::exp(hit.logit);
  }
  EXPECT_NEAR(sum, 1.0, 1e-6);
  for (const Hit& hit : all) EXPECT_NEAR(hit.score, std::exp(hit.logit) / of_logits, 1e-6);
}

TEST_F(RerankTest, AnEmbeddersScoresAreThoseOfASearch) {
  const std::vector<Hit> ranked = hits("model texts.txt --query 'hello tea'");
  const CommandResult searched =
      tessera("search model --index texts.txt 'hello tea' --format jsonl --top-k 4 -q");
  ASSERT_EQ(ranked.size(), 4U);
  EXPECT_EQ(tessera("rerank model texts.txt --query 'hello tea' --format jsonl -q").out,
            searched.out);
}

TEST_F(RerankTest, SeveralQueriesAndFiles) {
  file("more.jsonl", "{\"text\": \"sat\", \"id\": \"x\"}\n");
  const CommandResult result =
      tessera("rerank reranker --query hello --query tea texts.txt more.jsonl --top-n 5 -q");
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 12U);
  EXPECT_EQ(lines[0], "query: hello");
  EXPECT_THAT(lines[1], StartsWith("  1 "));
  EXPECT_EQ(lines[6], "query: tea");
}

TEST_F(RerankTest, WhatCannotBeRankedIsNamed) {
  std::string longest = "tea";
  for (int i = 0; i < 2000; ++i) longest += " tea";
  file("texts.txt", "brew tea\n" + longest + "\ntea\n");
  const CommandResult result =
      tessera("rerank reranker texts.txt --query hello --truncation none -q");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("texts.txt: line 2: the text has "));
  EXPECT_EQ(lines_of(result.out).size(), 3U);
  const CommandResult cut = tessera("rerank reranker texts.txt --query hello -q");
  EXPECT_EQ(cut.status, 0);
  EXPECT_EQ(lines_of(cut.out).size(), 4U);
  EXPECT_THAT(cut.err, HasSubstr("1 of 3 texts"));

  expect_failure(tessera("rerank reranker texts.txt"), 2, "--query is required");
  file("more.jsonl", "{\"text\": \"sat\", \"id\": \"x\"}\n");
  const std::string causal = TESSERA_SOURCE_DIR "/tests/golden/data/qwen3-reranker";
  expect_failure(tessera("rerank " + causal + " more.jsonl --query tea"), 1,
                 "Qwen3ForCausalLM ranks no texts: got a language model without an embedding");
  EXPECT_THAT(tessera("rerank " + causal + " more.jsonl --query tea --pooling lasttoken").err,
              HasSubstr("no tokenizer"))
      << "asked for by hand";
  expect_failure(tessera("rerank reranker more.jsonl --query tea --id-key id"), 2,
                 "--id-key: got --format text, expected jsonl");
  expect_failure(tessera("rerank model texts.txt --query x --logits"), 2,
                 "--logits: got an embedder, expected a reranker");
  expect_failure(tessera("rerank reranker texts.txt --query x --document-prompt y"), 1,
                 "prompt of documents: got one, expected none");
  write_model(path("three"), {.architecture = "BertForSequenceClassification",
                              .labels = 3,
                              .problem_type = "",
                              .has_sentence_files = false});
  expect_failure(tessera("rerank three texts.txt --query x"), 1,
                 "ranks no texts: got 3 labels, expected one logit (a reranker), a multiple choice "
                 "or an embedding");
}

}  // namespace
}  // namespace tessera::test
