// SPDX-License-Identifier: Apache-2.0
// Qwen3-Reranker: the conformance case at every level, with sentence-transformers' files and without, and what
// a pair is written as.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tessera/pipeline/model_facts.hpp"
#include "tessera/pipeline/scoring.hpp"
#include "tessera/pipeline/text_ranker.hpp"
#include "tests/golden/compare_run.hpp"
#include "tests/models/checkpoint_copy.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using Ids = std::vector<std::int32_t>;

const fs::path kCase = kGoldenData / "qwen3-reranker";
constexpr std::int32_t kYes = 101, kNo = 17;
constexpr const char* kInstruction =
    "Given a web search query, retrieve relevant passages that answer the query";

class AnswerTokensTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    write();
  }
  void write() { copy.write(directory.path()); }
  /// A word for each id, so that texts are tokens of the vocabulary; "yes" and "no" at their places.
  void write_tokenizer(bool has_answers = true) {
    std::string words =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n<\n>\n|\n:\n\"\n,\n.\n/\njudge\nthe\nquery\ntea\n";
    std::int32_t id = static_cast<std::int32_t>(std::count(words.begin(), words.end(), '\n'));
    for (; id < 130; ++id) {
      const bool is_answer = has_answers && (id == kYes || id == kNo);
      words += !is_answer ? fmt::format("w{}\n", id) : id == kYes ? "yes\n" : "no\n";
    }
    directory.write("vocab.txt", words);
  }
  void write_modules(const std::string& score = R"("true_token_id": 101, "false_token_id": 17)",
                     const std::string& message = "") {
    directory.write("modules.json", R"([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
        {"idx": 1, "name": "1", "path": "1_LogitScore",
         "type": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"}])");
    directory.write("1_LogitScore/config.json", "{" + score + "}");
    directory.write("sentence_bert_config.json", R"({"transformer_task": "text-generation",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"})" +
                                                     message + R"(},
        "module_output_name": "causal_logits"})");
  }
  models::Package open() const { return models::open_package(directory.path()); }
  std::string error() const {
    return error_of([&] { open(); });
  }

  /// Of each run the largest distance of a score from the reference's.
  void expect_scores(Isa isa) const {
    const models::Package package = open();
    EXPECT_EQ(package.task, models::Task::sequence_classification);
    Runner runner(package, isa);
    const Scoring scoring(package, 1);
    std::size_t compared = 0;
    for (const std::string run : {"", "left_pad.", "max_len.", "seq1.", "single."}) {
      const SafetensorsFile stored =
                                SafetensorsFile::open(kCase / ("inputs." + run + "safetensors")),
                            expected = SafetensorsFile::open(kCase /
                                                             ("embeddings." + run + "safetensors"));
      const StoredInputs inputs = read_inputs(stored);
      const models::ReferenceBatch batch = runner.batch(inputs);
      const TensorView<const float> logits = runner.run(batch).output("logits");
      const std::vector<float> scores = elements_of<float>(*expected.find("score")),
                               both = elements_of<float>(*expected.find("yes_no_logits"));
      ASSERT_EQ(logits.rows, std::ssize(scores));
      ASSERT_EQ(logits.cols, 1);
      for (Index s = 0; s < logits.rows; ++s, ++compared) {
        const auto i = static_cast<std::size_t>(s);
        EXPECT_NEAR(logits.row(s)[0], both[2 * i] - both[2 * i + 1], kGoldenTolerance) << run;
        EXPECT_NEAR(scoring(logits.row(s))[0], static_cast<double>(scores[i]), kGoldenTolerance)
            << run;
      }
    }
    EXPECT_EQ(compared, 8U);
  }

  CheckpointCopy copy{"qwen3-reranker"};
  TemporaryDirectory directory;
};
INSTANTIATE_FOR_ALL_ISAS(AnswerTokensTest);

TEST_P(AnswerTokensTest, ScoresOfTheConformanceCaseAreTheReferences) {
  write_modules();
  expect_scores(GetParam());
  // The same rows in a tensor of their own.
  copy.config["tie_word_embeddings"] = "false";
  copy.tensors["lm_head.weight"] = copy.tensors.at("model.embed_tokens.weight");
  write();
  expect_scores(GetParam());
  // As first published: without modules.json, the tokenizer has the answers.
  for (const char* file : {"modules.json", "sentence_bert_config.json"}) {
    fs::remove(directory / file);
  }
  write_tokenizer();
  expect_scores(GetParam());
}

TEST_P(AnswerTokensTest, TwoRowsOfTheVocabularyAreLoaded) {
  write_modules();
  const models::Package package = open();
  Index rows = 0;
  for (const Parameter& p : package.program.parameters) {
    if (p.kind == ParameterKind::matrix && p.cols == package.hidden && p.minus.rows > 0)
      rows += p.rows;
    EXPECT_FALSE(p.kind == ParameterKind::matrix && p.rows == 130) << p.name;
  }
  EXPECT_EQ(rows, 1);
  // One answer alone: its logit.
  write_modules(R"("true_token_id": 101, "false_token_id": null)");
  const Ids ids{5, 9, 80};
  const Results one = compute(open(), {ids});
  const Results all =
      compute(models::open_package(directory.path(), {.architecture = "Qwen3ForCausalLM"}), {ids});
  EXPECT_NEAR(one.at("logits")[0][0], all.at("logits")[2][101], 1e-5);
}

TEST_P(AnswerTokensTest, WithoutAnswersItStaysALanguageModel) {
  EXPECT_EQ(open().task, models::Task::masked_lm);  // no tokenizer
  write_tokenizer(false);
  EXPECT_EQ(open().task, models::Task::masked_lm);
  write_tokenizer();
  EXPECT_EQ(open().task, models::Task::sequence_classification);
  EXPECT_EQ(models::open_package(directory.path(), {.architecture = "Qwen3ForCausalLM"}).task,
            models::Task::masked_lm);
}

TEST_P(AnswerTokensTest, APairIsWrittenAsOnTheModelCard) {
  write_tokenizer();
  copy.config["max_position_embeddings"] = "4000";
  write();
  const models::Package package = open();
  const auto ids_of = [&](std::string_view text, bool special) {
    return package.tokenizer->encode(text, {.add_special_tokens = special}).ids;
  };
  const auto expected = [&](const std::string& instruction, const std::string& query,
                            const std::string& document) {
    Ids all = ids_of(
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        "and the Instruct provided. Note that the answer can only be \"yes\" or "
        "\"no\".<|im_end|>\n<|im_start|>user\n",
        false);
    for (const Ids& part :
         {ids_of("<Instruct>: " + instruction + "\n<Query>: " + query + "\n<Document>: " + document,
                 true),
          ids_of("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", false)}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  };
  const TextInputs inputs(package, {});
  const Ids pair = inputs.encode("tea w30", "w40 w41").ids;
  EXPECT_EQ(pair, expected(kInstruction, "tea w30", "w40 w41"));
  EXPECT_EQ(inputs.encode(inputs.pair_start("tea w30"), "w40 w41").ids, pair);
  TextOptions options;
  options.prompt = "w50 w51";
  EXPECT_EQ(TextInputs(package, options).encode("tea", "w40").ids,
            expected("w50 w51", "tea", "w40"));
  EXPECT_EQ(TextInputs(package, {}).encode("tea").ids, (Ids{2, 16, 3}));  // a text by itself

  // What is too long is cut at its end, the chat around it stays.
  options = {};
  options.max_length = std::ssize(pair) - 1;
  const text::Encoding cut = TextInputs(package, options).encode("tea w30", "w40 w41");
  EXPECT_TRUE(cut.is_cut);
  Ids shorter = pair;
  const auto after = static_cast<std::ptrdiff_t>(
      ids_of("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", false).size());
  shorter.erase(shorter.end() - after - 2);  // before its [SEP]
  EXPECT_EQ(cut.ids, shorter);
  options.max_length = after + 3;
  EXPECT_THAT(error_of([&] { TextInputs(package, options); }),
              StartsWith("invalid_argument: max length: got "));
  EXPECT_THAT(describe(package, {.session = {.outputs = {"logits"}}}).as_text(),
              AllOf(HasSubstr("assumed"), HasSubstr(kInstruction),
                    HasSubstr("of token 101 less that of token 17")));
}

TEST_P(AnswerTokensTest, AChatTemplateIsKnownAgainOrRefused) {
  copy.config["max_position_embeddings"] = "4000";
  write();
  write_tokenizer();
  write_modules(
      R"("true_token_id": 101, "false_token_id": 17)",
      R"(, "message": {"method": "forward", "method_output_name": "logits", "format": "flat"})");
  EXPECT_THAT(error(),
              AllOf(StartsWith("unsupported_model: chat_template.jinja: got no chat template"),
                    HasSubstr("expected that of Qwen3-Reranker")));
  directory.write("chat_template.jinja", "{{ messages[0]['content'] }}");
  EXPECT_THAT(error(),
              StartsWith("unsupported_model: chat_template.jinja: got another chat template"));
  directory.write(
      "chat_template.jinja",
      R"({{ '<|im_start|>system\nJudge whether the Document meets the requirements based on the )"
      R"(Query and the Instruct provided. Note that the answer can only be "yes" or "no".)"
      R"(<|im_end|>\n<|im_start|>user\n<Instruct>: ' + i + '\n<Query>: ' + q + '\n<Document>: ' + d )"
      R"(+ '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n' }})");
  directory.write(
      "config_sentence_transformers.json",
      R"({"model_type": "CrossEncoder", "prompts": {"query": "w60"}, "default_prompt_name": "query",
                      "activation_fn": "torch.nn.modules.linear.Identity"})");
  const models::Package package = open();
  ASSERT_TRUE(package.pair_template.has_value());
  EXPECT_EQ(package.pair_template->instruction, "w60");
  EXPECT_EQ(package.score_activation, Activation::none);
  EXPECT_THAT(package.score_activation_from, HasSubstr("config_sentence_transformers.json"));
  const std::string written = models::PairTemplate::between("w60", "tea", "w40");
  const Ids ids = TextInputs(package, {}).encode("tea", "w40").ids,
            body = package.tokenizer->encode(written, {}).ids;
  EXPECT_NE(std::search(ids.begin(), ids.end(), body.begin(), body.end()), ids.end());
}

TEST_P(AnswerTokensTest, WhatIsWrongIsNamed) {
  write_modules(R"("true_token_id": 130)");
  EXPECT_THAT(error(), AllOf(StartsWith("corrupt_file: 1_LogitScore/config.json: got token id 130"),
                             HasSubstr("expected 0 to 129")));
  write_modules(R"("false_token_id": 3)");
  EXPECT_THAT(error(),
              StartsWith("corrupt_file: 1_LogitScore/config.json: \"true_token_id\" is absent"));
  write_modules(R"("true_token_id": 1, "module_input_name": "scores")");
  EXPECT_THAT(error(), HasSubstr("\"module_input_name\" is \"scores\""));
  write_modules();
  directory.write("sentence_bert_config.json", R"({"transformer_task": "feature-extraction"})");
  EXPECT_THAT(error(), AllOf(HasSubstr("\"transformer_task\""), HasSubstr("text-generation")));
  write_modules();
  copy.config["architectures"] = R"(["Qwen3Model"])";
  write();
  EXPECT_THAT(error(),
              AllOf(StartsWith("unsupported_model: modules.json"), HasSubstr("Qwen3Model")));
}

}  // namespace
}  // namespace tessera::test
