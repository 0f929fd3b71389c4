// SPDX-License-Identifier: Apache-2.0
//
// Every class with a head against the head's formula, written out in double over the encoder's own
// last hidden state (which the golden cases check).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "models/heads.hpp"
#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::Package;
using models::Task;

const std::vector<std::vector<std::int32_t>> kSequences{{5, 9, 7, 2, 30}, {11, 3}, {6}};
/// The heads are two or three products of width 48 in f32; the golden bound is ample for them.
constexpr double kTolerance = 1e-4;

struct HeadCase {
  const char* golden;        ///< whose encoder
  const char* architecture;  ///< which class on top
  Task task;
  std::vector<std::pair<const char*, std::vector<std::int64_t>>> tensors;  ///< of the head
  /// The output of this name from x (ΣT,H), its first rows (S,H) and the tensors.
  const char* output;
  std::function<Matrix(const Tensors&, const Matrix& x, const Matrix& first)> formula;
};

void PrintTo(const HeadCase& c, std::ostream* os) {
  *os << c.architecture;
}

Matrix first_dense(const Tensors& t, const Matrix& first, const char* dense, double (*act)(double),
                   const char* out) {
  return linear(t, out, map(linear(t, dense, first), act));
}

/// Column `n` of qa_outputs · x.
Matrix answers(const Tensors& t, const Matrix& x, std::size_t n) {
  Matrix column;
  for (const auto& row : linear(t, "qa_outputs", x)) column.push_back({row.at(n)});
  return column;
}

/// The checkpoint with the prefix that a class with a head has.
CheckpointCopy with_head(const HeadCase& c) {
  CheckpointCopy copy(c.golden);
  const models::Family* family = models::find_family_of_class(c.architecture);
  copy.replace_prefix("", family->base_prefix);
  for (const auto& [name, shape] : c.tensors) copy.add(name, shape);
  copy.config["architectures"] = "[\"" + std::string(c.architecture) + "\"]";
  copy.config["id2label"] = c.task == Task::question_answering
                                ? R"({"0": "LABEL_0", "1": "LABEL_1"})"
                                : R"({"0": "a", "1": "b", "2": "c"})";
  return copy;
}

class HeadTest : public testing::TestWithParam<HeadCase> {};

TEST_P(HeadTest, ComputesTheFormulaOfTheReference) {
  const HeadCase& c = GetParam();
  const CheckpointCopy copy = with_head(c);
  const Package package = copy.open();
  EXPECT_EQ(package.task, c.task);
  const Results results = compute(package, kSequences);
  const Matrix& x = results.at("last_hidden_state");
  const Matrix expected = c.formula(copy.tensors, x, first_rows(x, kSequences));
  EXPECT_LE(max_difference(results.at(c.output), expected), kTolerance);
}

const HeadCase kHeads[] = {
    {"mpnet-model",
     "MPNetForSequenceClassification",
     Task::sequence_classification,
     {{"classifier.dense.weight", {48, 48}},
      {"classifier.dense.bias", {48}},
      {"classifier.out_proj.weight", {3, 48}},
      {"classifier.out_proj.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "classifier.dense", tanh_of, "classifier.out_proj");
     }},
    {"mpnet-model",
     "MPNetForTokenClassification",
     Task::token_classification,
     {{"classifier.weight", {3, 48}}, {"classifier.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return linear(t, "classifier", x); }},
    {"electra-model",
     "ElectraForSequenceClassification",
     Task::sequence_classification,
     {{"classifier.dense.weight", {48, 48}},
      {"classifier.dense.bias", {48}},
      {"classifier.out_proj.weight", {3, 48}},
      {"classifier.out_proj.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "classifier.dense", gelu, "classifier.out_proj");
     }},
    {"electra-model",
     "ElectraForTokenClassification",
     Task::token_classification,
     {{"classifier.weight", {3, 48}}, {"classifier.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return linear(t, "classifier", x); }},
    {"distilbert-model-sharded",
     "DistilBertForTokenClassification",
     Task::token_classification,
     {{"classifier.weight", {3, 48}}, {"classifier.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return linear(t, "classifier", x); }},
    {"distilbert-model-sharded",
     "DistilBertForSequenceClassification",
     Task::sequence_classification,
     {{"pre_classifier.weight", {48, 48}},
      {"pre_classifier.bias", {48}},
      {"classifier.weight", {3, 48}},
      {"classifier.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "pre_classifier", relu, "classifier");
     }},
    {"roberta-model",
     "RobertaForTokenClassification",
     Task::token_classification,
     {{"classifier.weight", {3, 48}}, {"classifier.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return linear(t, "classifier", x); }},
    {"albert-model",
     "AlbertForSequenceClassification",
     Task::sequence_classification,
     {{"classifier.weight", {3, 48}}, {"classifier.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "albert.pooler", tanh_of, "classifier");
     }},
    {"albert-model",
     "AlbertForTokenClassification",
     Task::token_classification,
     {{"classifier.weight", {3, 48}}, {"classifier.bias", {3}}},
     "logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return linear(t, "classifier", x); }},
    {"albert-model",
     "AlbertForPreTraining",
     Task::pretraining,
     {{"predictions.dense.weight", {24, 48}},
      {"predictions.dense.bias", {24}},
      {"predictions.LayerNorm.weight", {24}},
      {"predictions.LayerNorm.bias", {24}},
      {"predictions.bias", {200}},
      {"sop_classifier.classifier.weight", {3, 48}},
      {"sop_classifier.classifier.bias", {3}}},
     "sop_logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "albert.pooler", tanh_of, "sop_classifier.classifier");
     }},
    {"mpnet-model",
     "MPNetForQuestionAnswering",
     Task::question_answering,
     {{"qa_outputs.weight", {2, 48}}, {"qa_outputs.bias", {2}}},
     "start_logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return answers(t, x, 0); }},
    {"electra-model",
     "ElectraForQuestionAnswering",
     Task::question_answering,
     {{"qa_outputs.weight", {2, 48}}, {"qa_outputs.bias", {2}}},
     "end_logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return answers(t, x, 1); }},
    {"albert-model",
     "AlbertForQuestionAnswering",
     Task::question_answering,
     {{"qa_outputs.weight", {2, 48}}, {"qa_outputs.bias", {2}}},
     "end_logits",
     [](const Tensors& t, const Matrix& x, const Matrix&) { return answers(t, x, 1); }},
    {"mpnet-model",
     "MPNetForMultipleChoice",
     Task::multiple_choice,
     {{"classifier.weight", {1, 48}}, {"classifier.bias", {1}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "mpnet.pooler.dense", tanh_of, "classifier");
     }},
    {"roberta-model",
     "RobertaForMultipleChoice",
     Task::multiple_choice,
     {{"classifier.weight", {1, 48}}, {"classifier.bias", {1}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "roberta.pooler.dense", tanh_of, "classifier");
     }},
    {"albert-model",
     "AlbertForMultipleChoice",
     Task::multiple_choice,
     {{"classifier.weight", {1, 48}}, {"classifier.bias", {1}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "albert.pooler", tanh_of, "classifier");
     }},
    {"distilbert-model-sharded",
     "DistilBertForMultipleChoice",
     Task::multiple_choice,
     {{"pre_classifier.weight", {48, 48}},
      {"pre_classifier.bias", {48}},
      {"classifier.weight", {1, 48}},
      {"classifier.bias", {1}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "pre_classifier", relu, "classifier");
     }},
    {"electra-model",
     "ElectraForMultipleChoice",
     Task::multiple_choice,
     {{"sequence_summary.summary.weight", {48, 48}},
      {"sequence_summary.summary.bias", {48}},
      {"classifier.weight", {1, 48}},
      {"classifier.bias", {1}}},
     "logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "sequence_summary.summary", gelu, "classifier");
     }},
    {"bert-model",
     "BertForPreTraining",
     Task::pretraining,
     {{"cls.predictions.transform.dense.weight", {48, 48}},
      {"cls.predictions.transform.dense.bias", {48}},
      {"cls.predictions.transform.LayerNorm.weight", {48}},
      {"cls.predictions.transform.LayerNorm.bias", {48}},
      {"cls.predictions.bias", {211}},
      {"cls.seq_relationship.weight", {2, 48}},
      {"cls.seq_relationship.bias", {2}}},
     "seq_relationship_logits",
     [](const Tensors& t, const Matrix&, const Matrix& first) {
       return first_dense(t, first, "bert.pooler.dense", tanh_of, "cls.seq_relationship");
     }},
};

INSTANTIATE_TEST_SUITE_P(AllClasses, HeadTest, testing::ValuesIn(kHeads),
                         [](const testing::TestParamInfo<HeadCase>& head) {
                           return std::string(head.param.architecture);
                         });

TEST(HeadsTest, ASummaryThatIsNotComputedIsRefusedByName) {
  CheckpointCopy copy("electra-model");
  copy.replace_prefix("", "electra.");
  copy.add("sequence_summary.summary.weight", {48, 48});
  copy.add("sequence_summary.summary.bias", {48});
  copy.add("classifier.weight", {1, 48});
  copy.add("classifier.bias", {1});
  copy.config["architectures"] = "[\"ElectraForMultipleChoice\"]";
  EXPECT_EQ(copy.open().task, Task::multiple_choice);
  for (const auto& [key, value] : {std::pair{"summary_type", "\"mean\""},
                                   {"summary_use_proj", "false"},
                                   {"summary_activation", "\"tanh\""},
                                   {"summary_proj_to_labels", "true"}}) {
    CheckpointCopy changed = copy;
    changed.config[key] = value;
    EXPECT_THAT(error_of([&] { changed.open(); }),
                testing::StartsWith("unsupported_model: config.json: \"" + std::string(key)));
  }
}

TEST(HeadsTest, AnAnswerHasAStartAndAnEnd) {
  CheckpointCopy copy("bert-qa");
  EXPECT_TRUE(copy.open().labels.empty());
  copy.config["id2label"] = R"({"0": "a", "1": "b", "2": "c"})";
  EXPECT_THAT(error_of([&] { copy.open(); }),
              testing::HasSubstr("expected 2: where an answer starts and ends"));
}

TEST(HeadsTest, CamembertAndXlmRobertaAreRobertaUnderAnotherName) {
  CheckpointCopy copy("roberta-seqcls");
  const Results expected = compute(copy.open(), kSequences);
  for (const auto& [type, name] :
       {std::pair{"camembert", "Camembert"}, std::pair{"xlm-roberta", "XLMRoberta"}}) {
    copy.config["model_type"] = "\"" + std::string(type) + "\"";
    copy.config["architectures"] = "[\"" + std::string(name) + "ForSequenceClassification\"]";
    const Package package = copy.open();
    EXPECT_EQ(package.model_type, type);
    EXPECT_EQ(compute(package, kSequences), expected);
  }
}

/// The masked-LM head in double; `decoder` and `bias` name the tensors of the last product.
Matrix masked_lm(const Tensors& t, const Matrix& x, const std::string& decoder,
                 const std::string& bias) {
  Tensors last{{"d.weight", t.at(decoder)}, {"d.bias", t.at(bias)}};
  return linear(
      last, "d",
      layer_norm(t, "lm_head.layer_norm", map(linear(t, "lm_head.dense", x), gelu), 1e-5));
}

TEST(HeadsTest, TheDecoderIsTiedUnlessTheConfigSaysOtherwise) {
  CheckpointCopy copy("roberta-mlm");
  const auto logits_error = [&](const std::string& decoder, const std::string& bias) {
    const Results results = compute(copy.open(), kSequences);
    const Matrix expected = masked_lm(copy.tensors, results.at("last_hidden_state"), decoder, bias);
    return max_difference(results.at("logits"), expected);
  };
  const std::string words = "roberta.embeddings.word_embeddings.weight";
  EXPECT_LE(logits_error(words, "lm_head.bias"), kTolerance);

  copy.add("lm_head.decoder.weight", {140, 32});
  EXPECT_LE(logits_error(words, "lm_head.bias"), kTolerance);

  // transformers 5 stores both biases, of which the untied decoder reads its own.
  copy.add("lm_head.decoder.bias", {140});
  EXPECT_LE(logits_error(words, "lm_head.bias"), kTolerance);
  copy.config["tie_word_embeddings"] = "false";
  EXPECT_LE(logits_error("lm_head.decoder.weight", "lm_head.decoder.bias"), kTolerance);
  copy.tensors.erase("lm_head.bias");
  EXPECT_LE(logits_error("lm_head.decoder.weight", "lm_head.decoder.bias"), kTolerance);

  copy.tensors.erase("lm_head.decoder.weight");
  EXPECT_THAT(error_of([&] { copy.open(); }),
              testing::HasSubstr("no tensor \"lm_head.decoder.weight\""));
}

TEST(HeadsTest, TheBiasMayBeStoredUnderTheDecoderAlone) {
  CheckpointCopy copy("roberta-mlm");
  const Results expected = compute(copy.open(), kSequences);
  copy.rename("lm_head.bias", "lm_head.decoder.bias");
  EXPECT_EQ(compute(copy.open(), kSequences), expected);
}

TEST(HeadsTest, LabelsComeFromIdOrNumber) {
  CheckpointCopy copy("bert-seqcls");
  copy.config["id2label"] = "{\"\\u001b" + std::string(5000, 'x') + "\": \"a\"}";
  const std::string message =
      error_of([&] { copy.open(); });  // what a file says is cut and escaped
  EXPECT_LT(message.size(), 1000U);
  EXPECT_THAT(message, testing::HasSubstr("got \"\\u001bxxx"));
  copy.config["id2label"] = R"({"2": "c", "0": "a", "1": "b"})";
  copy.config["num_labels"] = "7";  // id2label wins
  copy.config["problem_type"] = "\"multi_label_classification\"";
  EXPECT_THAT(copy.open().labels, testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(copy.open().problem_type, "multi_label_classification");
  copy.config.erase("id2label");
  EXPECT_THAT(error_of([&] { copy.open(); }),
              testing::HasSubstr("\"classifier.weight\" has shape (3,32), expected (7,32) from "
                                 "config.json num_labels=7"));
  copy.config["num_labels"] = "3";
  EXPECT_THAT(copy.open().labels, testing::ElementsAre("LABEL_0", "LABEL_1", "LABEL_2"));
}

}  // namespace
}  // namespace tessera::test
