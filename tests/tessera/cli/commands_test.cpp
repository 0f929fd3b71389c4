// SPDX-License-Identifier: Apache-2.0
// tokens, classify, search, info.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class TokensTest : public CliTest {
 protected:
  CommandResult json(const std::string& line, const std::string& flags = "") {
    file("in.jsonl", line + "\n");
    return tessera("tokens model --json in.jsonl " + flags);
  }
};

TEST_F(TokensTest, JsonHasIdsTypesAndOffsets) {
  EXPECT_EQ(json(R"({"text": "Hello, world"})").out,
            "{\"ids\": [2, 5, 13, 6, 3], \"type_ids\": [0, 0, 0, 0, 0], "
            "\"offsets\": [[0, 0], [0, 5], [5, 6], [7, 12], [0, 0]]}\n");
  EXPECT_EQ(json(R"({"text": "tea", "pair": "the cat"})").out,
            "{\"ids\": [2, 7, 3, 15, 16, 3], \"type_ids\": [0, 0, 0, 1, 1, 1], "
            "\"offsets\": [[0, 0], [0, 3], [0, 0], [0, 3], [4, 7], [0, 0]]}\n");
  EXPECT_EQ(json(R"({"text": "tea", "pair": null})", "--no-special-tokens").out,
            "{\"ids\": [7], \"type_ids\": [0], \"offsets\": [[0, 3]]}\n");
  EXPECT_EQ(json(R"({"text": ""})", "--no-special-tokens").out,
            "{\"ids\": [], \"type_ids\": [], \"offsets\": []}\n");
}

TEST_F(TokensTest, OffsetsCountCodePoints) {
  // U+1F375 (4 bytes), then "tea"; an accent that the normaliser strips.
  EXPECT_THAT(json("{\"text\": \"\\ud83c\\udf75 tea caf\xC3\xA9\"}").out,
              HasSubstr("\"offsets\": [[0, 0], [0, 1], [2, 5], [6, 9], [9, 10], [0, 0]]"));
  EXPECT_THAT(json("{\"text\": \"\xFF tea\"}", "--encoding utf-8-replace").out,
              HasSubstr("[2, 5]"));
  EXPECT_THAT(json("{\"text\": \"\\udf75 tea\"}").out, HasSubstr("[2, 5]"));
}

TEST_F(TokensTest, TruncatesAsAsked) {
  const std::string line = R"({"text": "the cat sat on the mat"})";
  EXPECT_THAT(json(line, "--max-length 4").out, StartsWith("{\"ids\": [2, 15, 16, 3]"));
  EXPECT_THAT(json(line, "--max-length 4 --truncation-side left").out,
              StartsWith("{\"ids\": [2, 15, 19, 3]"));
  EXPECT_THAT(json(line, "--max-length 4 --truncation").out,
              StartsWith("{\"ids\": [2, 15, 16, 3]"));
  const std::string pair = R"({"text": "the cat sat on the mat", "pair": "tea"})";
  EXPECT_THAT(json(pair, "--max-length 6 --truncation longest_first").out,
              StartsWith("{\"ids\": [2, 15, 16, 3, 7, 3]"));
  EXPECT_THAT(json(pair, "--max-length 6 --truncation only_first").out,
              StartsWith("{\"ids\": [2, 15, 16, 3, 7, 3]"));
}

TEST_F(TokensTest, ALineThatCannotBeTruncatedIsAnswered) {
  file("in.jsonl",
       "{\"text\": \"the cat sat on the mat\", \"pair\": \"tea\"}\n{\"text\": \"tea\", \"pair\": "
       "\"tea\"}\n");
  const CommandResult result =
      tessera("tokens model --json in.jsonl --max-length 6 --truncation only_second");
  EXPECT_EQ(result.status, 1);
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], StartsWith("{\"error\": \""));
  EXPECT_THAT(lines[1], StartsWith("{\"ids\": [2, 7, 3, 7, 3]"));
  EXPECT_THAT(result.err, HasSubstr("1 of 2 lines failed; the first: in.jsonl: line 1: "));
}

TEST_F(TokensTest, TablesShowWhatEachTokenCovers) {
  const CommandResult result = sh("printf 'caf\\303\\251 tea\\n' | \"$TESSERA\" tokens model");
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[0], "line 1: 5 tokens");
  EXPECT_THAT(lines[4], HasSubstr("3-4  ##e    \"\xC3\xA9\""));
}

TEST_F(TokensTest, NeedsNoModelBesideTheTokenizer) {
  std::filesystem::remove(path("model/config.json"));
  std::filesystem::remove(path("model/model.safetensors"));
  EXPECT_EQ(json(R"({"text": "tea"})").status, 0);
}

TEST_F(TokensTest, FollowsModulesJsonToTheTokenizer) {
  const std::string expected = json(R"({"text": "tea"})").out;
  std::filesystem::create_directories(path("model/0_Transformer"));
  for (const char* name : {"vocab.txt", "tokenizer_config.json"}) {
    std::filesystem::rename(path("model") / name, path("model/0_Transformer") / name);
  }
  file("model/modules.json", R"([{"idx": 0, "name": "0", "path": "0_Transformer",
      "type": "sentence_transformers.models.Transformer"}])");
  EXPECT_EQ(json(R"({"text": "tea"})").out, expected);
}

class ClassifyTest : public CliTest {
 protected:
  void write(const std::string& name, int labels, const std::string& problem_type = "",
             const std::string& architecture = "BertForSequenceClassification") {
    write_model(path(name), {.architecture = architecture,
                             .labels = labels,
                             .problem_type = problem_type,
                             .has_sentence_files = false});
  }
};

TEST_F(ClassifyTest, ProbabilitiesOfOneLabelSumToOne) {
  write("three", 3);
  const CommandResult best = sh("printf 'tea\\nthe cat\\n' | \"$TESSERA\" classify three");
  ASSERT_EQ(best.status, 0) << best.err;
  EXPECT_EQ(lines_of(best.out).size(), 2U);
  const CommandResult all = sh("echo tea | \"$TESSERA\" classify three --top-k 3");
  const auto words =
      lines_of(sh("echo tea | \"$TESSERA\" classify three --top-k 9 | tr '\\t' '\\n'").out);
  ASSERT_EQ(words.size(), 6U) << all.out;
  const double first = std::stod(words[1]), second = std::stod(words[3]),
               third = std::stod(words[5]);
  EXPECT_NEAR(first + second + third, 1.0, 3e-6);  // three numbers of six decimals
  EXPECT_GE(first, second);
  EXPECT_GE(second, third);
  EXPECT_THAT(words[0], StartsWith("label"));
  EXPECT_THAT(sh("echo tea | \"$TESSERA\" classify three --format jsonl").out,
              StartsWith("{\"labels\": [{\"label\": \"" + words[0] + "\", \"probability\": 0."));
}

TEST_F(ClassifyTest, SeveralLabelsAndScoresUseTheSigmoid) {
  write("several", 3, "multi_label_classification");
  EXPECT_EQ(lines_of(sh("echo tea | \"$TESSERA\" classify several | tr '\\t' '\\n'").out).size(),
            6U);
  write("reranker", 1);
  file("pairs.tsv", "tea\tbrew tea\nthe cat\tsat on the mat\n");
  const CommandResult tabs = tessera("classify reranker pairs.tsv --pairs --format jsonl");
  ASSERT_EQ(tabs.status, 0) << tabs.err;
  EXPECT_THAT(tabs.out, StartsWith("{\"score\": 0."));
  file("pairs.jsonl",
       "{\"text\": \"tea\", \"pair\": \"brew tea\"}\n{\"text\": \"the cat\", \"pair\": \"sat on "
       "the mat\"}\n");
  EXPECT_EQ(tessera("classify reranker pairs.jsonl --format jsonl").out, tabs.out);
  expect_bad_lines(sh("echo tea | \"$TESSERA\" classify reranker --pairs"), 0,
                   "line 1: got no tab");
  write("regression", 1, "regression");
  EXPECT_THAT(sh("echo tea | \"$TESSERA\" classify regression --format jsonl").out,
              HasSubstr("\"value\": "));
}

TEST_F(ClassifyTest, ARerankersScoreHasTheActivationThatConfigNames) {
  write("reranker", 1);
  file("pairs.tsv", "tea\tbrew tea\nthe cat\tsat on the mat\n");
  const std::string config = read_file(path("reranker/config.json"));
  const auto scores = [&](const std::string& activation) {  // and logits
    file("reranker/config.json",
         activation.empty()
             ? config
             : config.substr(0, config.size() - 1) +
                   ", \"sbert_ce_default_activation_function\": \"torch.nn." + activation + "\"}");
    std::vector<double> found;
    for (const std::string& line :
         lines_of(tessera("classify reranker pairs.tsv --pairs --format jsonl").out)) {
      found.push_back(std::stod(line.substr(line.find(": ") + 2)));
      found.push_back(std::stod(line.substr(line.rfind(": ") + 2)));
    }
    EXPECT_EQ(found.size(), 4U);
    found.resize(4);
    return found;
  };
  const auto plain = scores(""), identity = scores("Identity"), tanh = scores("Tanh"),
             relu = scores("ReLU");
  for (const std::size_t i : {0U, 2U}) {
    const double logit = plain[i + 1];
    EXPECT_NEAR(plain[i], 1 / (1 + std::exp(-logit)), 1e-8);
    EXPECT_NEAR(identity[i], logit, 1e-8 * std::abs(logit));
    EXPECT_NEAR(tanh[i], std::tanh(logit), 1e-8);
    EXPECT_NEAR(relu[i], std::max(logit, 0.0), 1e-8 * std::abs(logit));
  }
  EXPECT_EQ(scores("Sigmoid"), plain);
}

TEST_F(ClassifyTest, SeveralLabelsHaveTheActivationThatConfigNames) {
  write("several", 3);
  file("pairs.tsv", "tea\tbrew tea\nthe cat\tsat on the mat\n");
  const std::string config = read_file(path("several/config.json"));
  const auto scores = [&](const std::string& more) {
    file("several/config.json", config.substr(0, config.size() - 1) + more + "}");
    const CommandResult result =
        tessera("classify several pairs.tsv --pairs --format jsonl --top-k 3");
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<double> found;
    for (std::size_t at = 0; (at = result.out.find("\", \"", at)) != std::string::npos;) {
      at = result.out.find(": ", at + 4) + 2;
      found.push_back(std::stod(result.out.substr(at)));
    }
    EXPECT_EQ(found.size(), 6U) << result.out;
    found.resize(6);
    return found;
  };
  const std::string key = ", \"sentence_transformers\": {\"activation_fn\": \"torch.nn.modules.";
  const auto plain = scores(""), logits = scores(key + "linear.Identity\"}"),
             tanh = scores(key + "activation.Tanh\"}"),
             sigmoid = scores(key + "activation.Sigmoid\"}");
  for (const std::size_t row : {0U, 3U}) {
    double sum = 0.0;
    for (std::size_t i = row; i < row + 3; ++i) sum += std::exp(logits[i]);
    for (std::size_t i = row; i < row + 3; ++i) {
      EXPECT_NEAR(plain[i], std::exp(logits[i]) / sum, 1e-7);
      EXPECT_NEAR(tanh[i], std::tanh(logits[i]), 1e-7);
      EXPECT_NEAR(sigmoid[i], 1 / (1 + std::exp(-logits[i])), 1e-7);
    }
  }
  expect_failure(
      [&] {
        file("several/config.json",
             config.substr(0, config.size() - 1) + key + "activation.Softmax\"}}");
        return tessera("classify several pairs.tsv --pairs");
      }(),
      1, "activation_fn");
}

TEST_F(ClassifyTest, TokensHaveLabelsAndOffsets) {
  write("tagger", 2, "", "BertForTokenClassification");
  const CommandResult text = sh("printf 'the cat\\n\\n' | \"$TESSERA\" classify tagger");
  ASSERT_EQ(text.status, 0) << text.err;
  const auto lines = lines_of(text.out);
  ASSERT_EQ(lines.size(), 4U) << text.out;
  EXPECT_THAT(lines[0], StartsWith("0\t3\tthe\tlabel"));
  EXPECT_THAT(lines[1], StartsWith("4\t7\tcat\tlabel"));
  EXPECT_EQ(lines[2], "");
  EXPECT_THAT(
      sh("echo 'the cat' | \"$TESSERA\" classify tagger --format jsonl").out,
      StartsWith(
          "{\"tokens\": [{\"text\": \"the\", \"begin\": 0, \"end\": 3, \"id\": 15, \"labels\": "
          "[{\"label\": \"label"));
  EXPECT_EQ(lines_of(sh("echo '2 15 3' | \"$TESSERA\" classify tagger --ids").out).size(), 4U);
  expect_bad_lines(sh("printf 'a\\tb\\n' | \"$TESSERA\" classify tagger --pairs"), 0,
                   "line 1: got a pair");
}

TEST_F(ClassifyTest, AModelWithoutLabelsIsRefused) {
  expect_failure(tessera("classify model /dev/null"), 1,
                 "BertModel has no labels: got the outputs last_hidden_state, pooler_output, "
                 "embedding, expected");
}

class SearchTest : public CliTest {};

TEST_F(SearchTest, FindsTheLineItselfFirst) {
  file("films.tsv",
       "one\t1999\tthe cat sat on the mat\n\ntwo\t2001\tbrew tea\nthree\t2002\thello world\n");
  const CommandResult result = tessera("search model --index films.tsv 'brew tea' info --top-k 2");
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 6U) << result.out;
  EXPECT_EQ(lines[0], "query: brew tea");
  EXPECT_EQ(lines[1], "  1   1.0000  two | 2001 | brew tea");
  EXPECT_EQ(lines[3], "query: info") << "a query may be the name of a command";
  EXPECT_THAT(result.err, HasSubstr("indexed 3 texts in"));
  EXPECT_THAT(result.err, HasSubstr("2 queries, "));
  const CommandResult json = sh(
      "echo 'brew tea' | \"$TESSERA\" search model --index films.tsv -q --format jsonl --top-k 1");
  EXPECT_EQ(json.err, "");
  EXPECT_THAT(json.out,
              StartsWith("{\"query\": \"brew tea\", \"hits\": [{\"line\": 3, \"score\": "));
  EXPECT_THAT(json.out, HasSubstr("\"text\": \"brew tea\", \"columns\": [\"two\", \"2001\"]}]}"));
}

TEST_F(SearchTest, ColumnsHeadersAndTiesByLine) {
  file("films.tsv", "title\ttext\nbrew tea\tx\nhello\ty\nbrew tea\tz\n");
  const auto lines =
      lines_of(tessera("search model --index films.tsv --header --column 1 'brew tea' -q").out);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[1], "  1   1.0000  x | brew tea");
  EXPECT_EQ(lines[2], "  2   1.0000  z | brew tea");
  expect_failure(tessera("search model --index films.tsv --column 3 q -q"), 1,
                 "films.tsv: line 1: got 2 columns, expected at least 3");
  expect_failure(tessera("search model --index /dev/null q -q"), 1, "got no line with text");
}

TEST_F(SearchTest, AKeptIndexGivesTheSameAnswers) {
  file("notes.txt", "hello world\nbrew tea\n");
  const CommandResult first =
      tessera("search model --index notes.txt -q --save-index notes.npy tea");
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(tessera("search model --index notes.txt -q --load-index notes.npy tea").out, first.out);
  file("bad.npy", "not an array");
  expect_failure(tessera("search model --index notes.txt -q --load-index bad.npy tea"), 1,
                 "bad.npy: is no .npy file");
}

class InfoTest : public CliTest {};

TEST_F(InfoTest, SaysWhatTheModelIsAndTakes) {
  const CommandResult text = tessera("info model");
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("architecture                BertModel\n"));
  EXPECT_THAT(text.out, HasSubstr("layers                      2\n"));
  EXPECT_THAT(text.out, HasSubstr("arena_bytes"));
  const CommandResult json = tessera("info model --json");
  EXPECT_THAT(json.out, HasSubstr("\"vocabulary\": 20, "));
  EXPECT_THAT(json.out, HasSubstr("\"stored_as\": \"F32 ("));
}

TEST_F(InfoTest, SaysWhatFitsInACapOfMemory) {
  EXPECT_THAT(tessera("info model").out, testing::Not(HasSubstr("fits ")));
  EXPECT_THAT(tessera("info model --memory-cap 1").out,
              HasSubstr("fits                        no text\n"));
  EXPECT_THAT(tessera("info model --max-memory 1G").out,
              HasSubstr("fits                        a text of up to 24 tokens\n"));
  const std::string golden = TESSERA_SOURCE_DIR "/tests/golden/data/";
  EXPECT_THAT(tessera("info " + golden + "swin-model --memory-cap 1K").out,
              HasSubstr("fits                        no image of the native size"));
  EXPECT_THAT(tessera("info " + golden + "swin-model --memory-cap 1G").out,
              HasSubstr("fits                        an image of up to 1048576 tokens\n"));
  const CommandResult bad = tessera("info model --memory-cap much");
  EXPECT_EQ(bad.status, 2);
  EXPECT_THAT(bad.err, HasSubstr("--memory-cap"));
}

TEST_F(InfoTest, SaysWhatIsDoneToTexts) {
  EXPECT_THAT(tessera("info model").out,
              HasSubstr("texts                       stripped of white space (modules.json)\n"));
  file("model/sentence_bert_config.json", R"({"do_lower_case": true})");
  file("model/tokenizer_config.json", R"({"model_input_names": ["input_ids"]})");
  EXPECT_THAT(tessera("info model").out,
              HasSubstr("lower case (sentence_bert_config.json), no type ids (model_input_names"));
}

class PlanCommandTest : public CliTest {
 protected:
  // Rates of nobody's machine: a cache of the test's own, and nothing measured.
  CommandResult plan(const std::string& flags) {
    return sh("XDG_CACHE_HOME=$PWD/cache TESSERA_RATES= \"$TESSERA\" plan model --no-measure " +
              flags);
  }
};

TEST_F(PlanCommandTest, SaysWhatWillRunAndWhy) {
  const CommandResult text = plan("--rows 96 --sequences 4");
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, StartsWith("96 rows in 4 sequences"));
  EXPECT_THAT(text.out, HasSubstr("fallback: rates are nominal"));
  EXPECT_THAT(text.out, HasSubstr("bias + residual + layer norm"));
  EXPECT_THAT(text.out, HasSubstr("WS-OS(a)"));
  EXPECT_THAT(text.out, HasSubstr("order by rows"));
  const CommandResult json = plan("--json");
  EXPECT_THAT(json.out, HasSubstr("\"rejected\":[{\"name\":"));
  EXPECT_THAT(json.out, HasSubstr("\"crossovers\":[{"));
}

TEST_F(PlanCommandTest, AFileOfRatesThatIsNoneIsNamedWithItsVariable) {
  file("rates.json", "{}");
  const CommandResult result = sh("TESSERA_RATES=rates.json \"$TESSERA\" plan model");
  expect_failure(result, 1, "TESSERA_RATES: rates.json");
}

TEST_F(PlanCommandTest, StrictRefusesFallbacks) {
  expect_failure(plan("--strict"), 1, "rates are nominal");
}

TEST_F(PlanCommandTest, SavesComparesAndRunsAPlan) {
  ASSERT_EQ(plan("--save plan.json --rows 7").status, 0);
  EXPECT_EQ(plan("--diff plan.json --rows 7").out, "no differences\n");
  EXPECT_THAT(plan("--diff plan.json --threads 1 --save one.json").out, HasSubstr("threads: "));
  EXPECT_THAT(plan("--plan plan.json").out, HasSubstr("order by rows"));
  std::string many;
  for (int i = 0; i < 200; ++i) many += "the cat sat\n";
  file("in.txt", many);
  const CommandResult with = tessera("embed model in.txt --plan plan.json");
  ASSERT_EQ(with.status, 0) << with.err;
  EXPECT_EQ(with.out, tessera("embed model in.txt").out);
  expect_failure(tessera("embed model in.txt --threads 2 --plan one.json"), 1,
                 "one.json: was made for threads 1, expected 2");
  expect_failure(tessera("embed model in.txt --plan nothing.json"), 1, "nothing.json");
  expect_failure(tessera("embed model in.txt --plan ''"), 2, "--plan");
  // A plan is of outputs: those of `run` are others than those of `embed`.
  plan("--output-name last_hidden_state --save hidden.json");
  expect_failure(tessera("embed model in.txt --plan hidden.json"), 1,
                 "was made for outputs last_hidden_state (");
  expect_failure(plan("--save no/such/folder/plan.json"), 1, "no/such/folder");
}

TEST_F(PlanCommandTest, ShowsWhatIsComputedInBf16) {
  const std::string text = plan("--precision bf16").out;
  EXPECT_THAT(text, HasSubstr("narrow layer.0.attention_norm.bf16"));
  EXPECT_THAT(text, HasSubstr("K is not split: C is written as bf16, once"));
  EXPECT_THAT(plan("--precision fp32").out, Not(HasSubstr("narrow")));
  ASSERT_EQ(plan("--precision bf16 --save half.json").status, 0);
  file("in.txt", "the cat sat\n");
  EXPECT_EQ(tessera("embed model in.txt --precision bf16 --plan half.json").out,
            tessera("embed model in.txt --precision bf16").out);
  expect_failure(tessera("embed model in.txt --plan half.json"), 1, "was made for model ");
  expect_failure(plan("--precision int4"), 2, "expected one of fp32, bf16, auto, int8");
  const auto info = [&](const char* precision) {
    return sh(std::string("XDG_CACHE_HOME=$PWD/cache TESSERA_RATES= \"$TESSERA\" info model "
                          "--precision ") +
              precision)
        .out;
  };
  EXPECT_THAT(info("bf16"), HasSubstr("bf16 (asked for; no rates were measured)"));
  EXPECT_THAT(info("auto"), HasSubstr("fp32 (auto: no rates were measured"));
}

TEST_F(PlanCommandTest, RefusesBadArguments) {
  expect_failure(plan("--rows 2 --sequences 3"), 2, "--sequences: got 3, expected at most 2");
  expect_failure(plan("--rows 0"), 2, "expected an integer from 1");
  expect_failure(plan("--rows 5000 --sequences 1"), 2, "--sequences: got 1, expected at least");
}

}  // namespace
}  // namespace tessera::test
