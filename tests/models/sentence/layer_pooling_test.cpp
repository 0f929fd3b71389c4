// SPDX-License-Identifier: Apache-2.0
//
// WeightedLayerPooling against its formula in double over the hidden states, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/sentence/sentence_directory.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kModule = "1_WeightedLayerPooling";

/// bert-model, which has 3 layers, so 4 hidden states, behind it a Pooling.
class LayerPoolingTest : public testing::Test {
 protected:
  LayerPoolingTest() {
    directory_.write("1_Pooling/config.json", kMeanPooling);
    says_hidden_states("true");
    config(0);
    weights({1.0F, 1.0F, 1.0F, 1.0F});
  }

  void says_hidden_states(const std::string& value) const {
    CheckpointCopy copy("bert-model");
    copy.config["output_hidden_states"] = value;
    directory_.write("config.json", copy.config_text());
  }
  void config(int start, int layers = 3, const std::string& more = "") const {
    directory_.write(std::string(kModule) + "/config.json",
                     R"({"word_embedding_dimension": 48, "layer_start": )" + std::to_string(start) +
                         R"(, "num_hidden_layers": )" + std::to_string(layers) + more + "}");
  }
  void weights(const std::vector<float>& w, const char* name = "layer_weights") const {
    write_tensors(directory_.path() / kModule / "model.safetensors",
                  {{name, Tensor{.shape = {static_cast<std::int64_t>(w.size())}, .data = w}}});
  }

  /// Mean pooling of Σ w_l h_l / Σ w_l, l from `start` on.
  static Matrix expected(const Results& results, Index start, const std::vector<float>& w) {
    Matrix tokens;
    double sum = 0.0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double weight = static_cast<double>(w[i]);
      sum += weight;
      const Matrix& state =
          results.at("hidden_states." + std::to_string(start + static_cast<Index>(i)));
      if (tokens.empty()) tokens.assign(state.size(), std::vector<double>(state[0].size(), 0.0));
      for (std::size_t t = 0; t < state.size(); ++t) {
        for (std::size_t n = 0; n < state[t].size(); ++n) tokens[t][n] += weight * state[t][n];
      }
    }
    for (auto& row : tokens) {
      for (double& v : row) v /= sum;
    }
    return pooled(tokens, Pooling::mean);
  }

  SentenceDirectory directory_{
      modules({{"WeightedLayerPooling", kModule}, {"Pooling", "1_Pooling"}})};
};

TEST_F(LayerPoolingTest, IsTheWeightedMeanOfTheHiddenStates) {
  struct Case {
    int start;
    std::vector<float> w;
  };
  for (const Case& c : {Case{0, {1.0F, 1.0F, 1.0F, 1.0F}}, Case{0, {0.5F, -1.25F, 0.0F, 3.0F}},
                        Case{1, {0.2F, 0.3F, 7.0F}}, Case{2, {-1.0F, -2.0F}}, Case{3, {4.0F}}}) {
    config(c.start);
    weights(c.w);
    const Results results = compute(directory_.open(), kSequences);
    EXPECT_LE(max_difference(results.at("embedding"), expected(results, c.start, c.w)), kTolerance)
        << c.start;
  }
  EXPECT_EQ(directory_.open().embedding_description, "layers 3 to 3 weighted, mean pooling");
}

TEST_F(LayerPoolingTest, EveryPoolingReadsThePooledLayers) {
  config(1);
  const std::vector<float> w{0.2F, 0.3F, 7.0F};
  weights(w);
  directory_.write("1_Pooling/config.json", R"({"pooling_mode": "cls"})");
  // Alone, as a session for the embedding computes it: the sums of one row per sequence.
  models::Package package = directory_.open();
  const Results all = compute(package, kSequences);
  std::erase_if(package.program.outputs, [](const Output& o) { return o.name != "embedding"; });
  const Matrix embedding = compute(package, kSequences).at("embedding");
  EXPECT_LE(max_difference(embedding, all.at("embedding")), kTolerance);
  Matrix first;
  std::size_t begin = 0;
  for (const auto& sequence : kSequences) {
    std::vector<double> row(48, 0.0);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const Matrix& state = all.at("hidden_states." + std::to_string(i + 1));
      for (std::size_t n = 0; n < row.size(); ++n) {
        row[n] += static_cast<double>(w[i]) * state[begin][n] / 7.5;
      }
    }
    first.push_back(row);
    begin += sequence.size();
  }
  EXPECT_LE(max_difference(embedding, first), kTolerance);
}

TEST_F(LayerPoolingTest, WeightsMayBeAFileOfPyTorch) {
  config(2);
  std::filesystem::remove(directory_.path() / kModule / "model.safetensors");
  directory_.write(
      std::string(kModule) + "/pytorch_model.bin",
      torch_zip(
          p_dict({{"layer_weights", p_tensor(p_storage("0", 2), 0, p_ints({2}), p_ints({1}))}}),
          {bytes_of(0.25F) + bytes_of(2.0F)}));
  const Results results = compute(directory_.open(), kSequences);
  EXPECT_LE(max_difference(results.at("embedding"), expected(results, 2, {0.25F, 2.0F})),
            kTolerance);
}

TEST_F(LayerPoolingTest, WithoutHiddenStatesTokensStayAsInTheReference) {
  for (const char* value : {"false", "null"}) {
    says_hidden_states(value);
    const models::Package package = directory_.open();
    EXPECT_EQ(package.embedding_description,
              "layers not pooled without output_hidden_states, mean pooling");
    const Results results = compute(package, kSequences);
    EXPECT_LE(max_difference(results.at("embedding"),
                             pooled(results.at("last_hidden_state"), Pooling::mean)),
              kTolerance);
  }
  // config_args go over what config.json says.
  directory_.write("sentence_bert_config.json",
                   R"({"config_args": {"output_hidden_states": true}})");
  EXPECT_EQ(directory_.open().embedding_description, "layers 0 to 3 weighted, mean pooling");
  says_hidden_states("true");
  directory_.write("sentence_bert_config.json",
                   R"({"config_args": {"output_hidden_states": false}})");
  EXPECT_THAT(directory_.open().embedding_description, StartsWith("layers not pooled"));
  // The reference gives model_args to the class, which takes no such argument.
  directory_.write("sentence_bert_config.json",
                   R"({"model_args": {"output_hidden_states": true}})");
  EXPECT_THAT(directory_.error(), HasSubstr("\"model_args\" has \"output_hidden_states\": true"));
  directory_.write("sentence_bert_config.json", R"({"config_args": {"output_hidden_states": 1}})");
  EXPECT_THAT(directory_.error(), HasSubstr("expected true or false"));
}

TEST_F(LayerPoolingTest, WhatDoesNotFitIsRefused) {
  const std::string where = "corrupt_file: " + std::string(kModule) + "/config.json: ";
  config(4);
  EXPECT_THAT(directory_.error(), StartsWith(where + "\"layer_start\" is 4, expected 0 to 3"));
  config(-1);
  EXPECT_THAT(directory_.error(), StartsWith(where + "\"layer_start\" is -1"));
  config(0, 12);
  EXPECT_THAT(
      directory_.error(),
      StartsWith(where + "\"num_hidden_layers\" is 12, expected 3, the layers of the model"));
  config(0, 3, R"(, "layer_weights": [1, 1, 1, 1])");
  EXPECT_THAT(directory_.error(),
              AllOf(StartsWith("unsupported_model: "), HasSubstr("\"layer_weights\" is [1,1,1,1]"),
                    HasSubstr("expected none: they are a tensor")));
  config(0, 3, R"(, "embedding_dimension": 64)");
  EXPECT_THAT(directory_.error(), StartsWith(where + "\"embedding_dimension\" is 64"));
  config(0);
  weights({1.0F, 1.0F, 1.0F});
  EXPECT_THAT(directory_.error(), AllOf(HasSubstr("layer_weights\" has shape (3), expected (4)"),
                                        HasSubstr("num_hidden_layers=3, layer_start=0: layers=4")));
  weights({1.0F, -1.0F, 2.0F, -2.0F});
  EXPECT_THAT(
      directory_.error(),
      HasSubstr("\"layer_weights\" is [1, -1, 2, -2], expected numbers whose sum is not 0"));
  weights({1.0F, 1.0F, 1.0F, HUGE_VALF});
  EXPECT_THAT(directory_.error(), HasSubstr("[1, 1, 1, inf], expected numbers"));
  weights({1.0F, 1.0F, 1.0F, 1.0F}, "weights");
  EXPECT_THAT(directory_.error(), AllOf(StartsWith("not_found: "), HasSubstr("layer_weights")));
  std::filesystem::remove(directory_.path() / kModule / "model.safetensors");
  EXPECT_THAT(directory_.error(), AllOf(StartsWith("not_found: "), HasSubstr(kModule)));
}

TEST_F(LayerPoolingTest, StandsBeforeThePooling) {
  directory_.write("modules.json",
                   modules({{"Pooling", "1_Pooling"}, {"WeightedLayerPooling", kModule}}));
  EXPECT_THAT(directory_.error(),
              HasSubstr("module 2 (\"1_WeightedLayerPooling\") pools again, expected one Pooling"));
  directory_.write("modules.json", modules({{"WeightedLayerPooling", kModule}}));
  EXPECT_EQ(directory_.open().program.find_output("embedding"), kNone);
}

}  // namespace
}  // namespace tessera::test
