// SPDX-License-Identifier: Apache-2.0
// Every pooling and activation of SpladePooling on the conformance cases, which have all four results.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/base/error.hpp"
#include "tests/golden/compare_run.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;

class SpladeTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  /// splade-bert with this 1_SpladePooling/config.json.
  fs::path with_config(const std::string& json) const {
    const fs::path copy = directory_.path() / "model";
    fs::remove_all(copy);
    fs::copy(kGoldenData / "splade-bert", copy, fs::copy_options::recursive);
    std::ofstream(copy / "1_SpladePooling" / "config.json") << json;
    return copy;
  }

  TemporaryDirectory directory_;
};
INSTANTIATE_FOR_ALL_ISAS(SpladeTest);

TEST_P(SpladeTest, EveryPoolingAndActivationIsTheReferences) {
  for (const std::string pooling : {"max", "sum"}) {
    for (const std::string activation : {"relu", "log1p_relu"}) {
      const models::Package package =
          models::open_package(with_config(R"({"pooling_strategy": ")" + pooling +
                                           R"(", "activation_function": ")" + activation + "\"}"));
      EXPECT_TRUE(package.embedding_is_sparse);
      EXPECT_EQ(package.architecture, "BertForMaskedLM");
      ASSERT_TRUE(package.similarity_measure.has_value());
      EXPECT_EQ(*package.similarity_measure, models::SimilarityMeasure::dot);
      for (const int threads : {1, 2}) {
        Runner runner(package, GetParam(), threads);
        for (const std::string run : {"", "left_pad.", "max_len.", "seq1.", "single."}) {
          const fs::path data = kGoldenData / "splade-bert";
          const SafetensorsFile stored =
              SafetensorsFile::open(data / ("inputs." + run + "safetensors"));
          const SafetensorsFile expected =
              SafetensorsFile::open(data / ("embeddings." + run + "safetensors"));
          const StoredInputs inputs = read_inputs(stored);
          const models::ReferenceBatch batch = runner.batch(inputs);
          const StoredTensor* const tensor = expected.find("splade_" + pooling + "_" + activation);
          ASSERT_NE(tensor, nullptr);
          EXPECT_LE(output_distance(runner.run(batch), batch, "embedding",
                                    elements_of<float>(*tensor), inputs.tokens),
                    kGoldenTolerance)
              << pooling << ' ' << activation << ' ' << run;
        }
      }
    }
  }
}

TEST_P(SpladeTest, DirectoriesOfNewerVersionsAreUnderstood) {
  const fs::path copy = with_config("{}");
  std::ofstream(copy / "modules.json")
      << R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
             {"type": "sentence_transformers.sparse_encoder.models.SpladePooling", "path": "1_SpladePooling"}])";
  std::ofstream(copy / "sentence_bert_config.json")
      << R"({"transformer_task": "fill-mask", "module_output_name": "token_embeddings",
             "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}})";
  const models::Package package = models::open_package(copy);
  EXPECT_TRUE(package.embedding_is_sparse);
  EXPECT_NE(package.program.find_output("embedding"), kNone);
}

TEST_P(SpladeTest, WhatOtherModulesMakeOfItIsNotSparse) {
  const fs::path copy = with_config("{}");
  const auto open_with = [&](const char* module) {
    std::ofstream(copy / "modules.json")
        << R"([{"type": "sentence_transformers.sparse_encoder.models.MLMTransformer", "path": ""},
               {"type": "sentence_transformers.sparse_encoder.models.SpladePooling", "path": "1_SpladePooling"},)"
        << R"({"type": "sentence_transformers.models.)" << module << R"(", "path": "2_M"}])";
    return models::open_package(copy).embedding_is_sparse;
  };
  EXPECT_TRUE(open_with("Normalize"));
  fs::create_directory(copy / "2_M");
  std::ofstream(copy / "2_M" / "config.json") << R"({"dimension": 140})";
  const std::vector<float> ones(140, 1.0F);
  const TensorToWrite tensors[] = {{.name = "norm.weight",
                                    .type = StoredType::f32,
                                    .shape = {140},
                                    .data = std::as_bytes(std::span(ones))},
                                   {.name = "norm.bias",
                                    .type = StoredType::f32,
                                    .shape = {140},
                                    .data = std::as_bytes(std::span(ones))}};
  write_safetensors(copy / "2_M" / "model.safetensors", tensors);
  EXPECT_FALSE(open_with("LayerNorm"));
}

TEST_P(SpladeTest, Bf16IsThatOfTheEmbeddingWhateverElseIsComputed) {
  if (!can_run(GetParam(), Precision::bf16))
    GTEST_SKIP() << "this CPU lacks " << to_string(GetParam());
  const models::Package package = models::open_package(kGoldenData / "splade-bert");
  const SafetensorsFile stored =
      SafetensorsFile::open(kGoldenData / "splade-bert" / "inputs.safetensors");
  const auto embedding = [&](std::vector<std::string> outputs) {
    const auto model = Model::create(package.program, package.checkpoint,
                                     {.isa = GetParam(),
                                      .kernels = kernels_for(GetParam()),
                                      .outputs = outputs,
                                      .precision = Precision::bf16});
    const StoredInputs inputs = read_inputs(stored);
    const models::ReferenceBatch batch(*package.program.tokens(), inputs.sequences, inputs.tokens,
                                       inputs.ids, inputs.mask, inputs.types);
    const auto session = Session::create(
        model, {.max_rows = batch.rows(), .max_sequences = batch.sequences(), .outputs = outputs});
    session->run(batch.view());
    const TensorView<const float> out = session->output("embedding");
    return std::vector<float>(out.row(0).begin(), out.row(0).end());
  };
  EXPECT_EQ(embedding({"embedding"}), embedding({"embedding", "logits"}));
}

TEST_P(SpladeTest, WhatIsNotUnderstoodIsNamed) {
  const auto expect_refusal = [&](const std::string& json, const std::string& part) {
    try {
      models::open_package(with_config(json));
      ADD_FAILURE() << json;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  expect_refusal(R"({"pooling_strategy": "mean"})", "\"pooling_strategy\" is \"mean\"");
  expect_refusal(R"({"activation_function": "gelu"})", "\"activation_function\" is \"gelu\"");
  expect_refusal(R"({"word_embedding_dimension": 7})", "the vocabulary's size 140");
  const auto expect_refused_modules = [&](const std::string& first, const std::string& second,
                                          const std::string& part) {
    const fs::path copy = with_config("{}");
    std::ofstream(copy / "modules.json")
        << R"([{"type": "sentence_transformers.models.)" << first
        << R"(", "path": ""}, {"type": "sentence_transformers.models.)" << second
        << R"(", "path": "1_SpladePooling"}])";
    try {
      models::open_package(copy);
      ADD_FAILURE() << first << ' ' << second;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  expect_refused_modules("Transformer", "SpladePooling", "is a SpladePooling over a BertModel");
  expect_refused_modules("MLMTransformer", "Pooling", "no SpladePooling behind a masked");
}

}  // namespace
}  // namespace tessera::test
