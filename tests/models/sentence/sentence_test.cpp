// SPDX-License-Identifier: Apache-2.0
//
// sentence-transformers directories: every module against its formula in double over the last
// hidden state, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/sentence/embedding.hpp"
#include "tests/models/sentence/sentence_directory.hpp"

namespace tessera::test {
namespace {

using models::Package;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

Matrix joined(const Matrix& a, const Matrix& b) {
  Matrix result = a;
  for (std::size_t i = 0; i < a.size(); ++i) {
    result[i].insert(result[i].end(), b[i].begin(), b[i].end());
  }
  return result;
}

struct Mode {
  const char *flag, *name;
  Pooling pooling;
};
constexpr Mode kModes[] = {
    {"pooling_mode_cls_token", "cls", Pooling::first},
    {"pooling_mode_max_tokens", "max", Pooling::max},
    {"pooling_mode_mean_tokens", "mean", Pooling::mean},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::mean_sqrt_len},
    {"pooling_mode_weightedmean_tokens", "weightedmean", Pooling::weighted_mean},
    {"pooling_mode_lasttoken", "lasttoken", Pooling::last},
};

std::string flags(const std::vector<Mode>& on) {
  std::string text = R"({"word_embedding_dimension": 48)";
  for (const Mode& mode : kModes) {
    bool is_on = false;
    for (const Mode& m : on) is_on = is_on || m.pooling == mode.pooling;
    text += ", \"" + std::string(mode.flag) + "\": " + (is_on ? "true" : "false");
  }
  return text + "}";
}

TEST(SentenceTest, EveryPoolingModeInBothForms) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}}));
  for (const Mode& mode : kModes) {
    for (const std::string& config :
         {flags({mode}),
          R"({"embedding_dimension": 48, "pooling_mode": ")" + std::string(mode.name) + "\"}"}) {
      directory.write("1_Pooling/config.json", config);
      const Package package = directory.open();
      EXPECT_EQ(package.embedding_description, std::string(mode.name) + " pooling");
      EXPECT_TRUE(package.embedding_from_files);
      EXPECT_FALSE(package.embedding_is_normalized);
      const Results results = compute(package, kSequences);
      EXPECT_LE(max_difference(results.at("embedding"),
                               pooled(results.at("last_hidden_state"), mode.pooling)),
                kTolerance)
          << mode.name;
    }
  }
}

TEST(SentenceTest, SeveralPoolingsAreJoinedInTheReferencesOrder) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}}));
  directory.write("1_Pooling/config.json", flags({kModes[2], kModes[0]}));  // mean, cls
  Results results = compute(directory.open(), kSequences);
  const Matrix& x = results.at("last_hidden_state");
  EXPECT_LE(max_difference(results.at("embedding"),
                           joined(pooled(x, Pooling::first), pooled(x, Pooling::mean))),
            kTolerance);
  EXPECT_EQ(directory.open().embedding_description, "cls+mean pooling");

  // The list of the newer form keeps its own order.
  directory.write("1_Pooling/config.json", R"({"pooling_mode": ["mean", "cls"]})");
  results = compute(directory.open(), kSequences);
  EXPECT_LE(max_difference(results.at("embedding"),
                           joined(pooled(results.at("last_hidden_state"), Pooling::mean),
                                  pooled(results.at("last_hidden_state"), Pooling::first))),
            kTolerance);
}

TEST(SentenceTest, NormalizeDividesByTheNorm) {
  const SentenceDirectory directory(
      modules({{"Pooling", "1_Pooling"}, {"Normalize", "2_Normalize"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  const Package package = directory.open();
  EXPECT_EQ(package.embedding_description, "mean pooling, normalised");
  EXPECT_TRUE(package.embedding_is_normalized);
  const Results results = compute(package, kSequences);
  EXPECT_LE(max_difference(results.at("embedding"),
                           normalized(pooled(results.at("last_hidden_state"), Pooling::mean))),
            kTolerance);
}

TEST(SentenceTest, DimsAreTheFirstColumnsOfLengthOneAgain) {
  const auto open = [](const SentenceDirectory& directory, Index dims) {
    models::PackageOptions options;
    options.dims = dims;
    return models::open_package(directory.path(), options);
  };
  for (const bool normalizes : {true, false}) {
    const SentenceDirectory directory(
        normalizes ? modules({{"Pooling", "1_Pooling"}, {"Normalize", "2_Normalize"}})
                   : modules({{"Pooling", "1_Pooling"}}));
    directory.write("1_Pooling/config.json", kMeanPooling);
    for (const Index dims : {1, 2, 17, 31, 32, 33, 47, 48}) {
      const Package package = open(directory, dims);
      EXPECT_EQ(package.embedding_is_normalized, normalizes);
      const Results results = compute(package, kSequences);
      Matrix cut = pooled(results.at("last_hidden_state"), Pooling::mean);
      for (auto& row : cut) row.resize(static_cast<std::size_t>(dims));
      EXPECT_LE(max_difference(results.at("embedding"), normalizes ? normalized(cut) : cut),
                kTolerance)
          << dims;
    }
    for (const Index dims : {-1, 49, 1000}) {
      EXPECT_THAT(error_of([&] { open(directory, dims); }),
                  HasSubstr("expected 1 to 48, the width of the embedding"));
    }
  }
}

TEST(SentenceTest, DenseWithEveryActivation) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}, {"Dense", "2_Dense"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  const Tensors tensors{{"linear.weight", random_tensor({20, 48}, 1)},
                        {"linear.bias", random_tensor({20}, 2)}};
  write_tensors(directory.path() / "2_Dense/model.safetensors", tensors);
  struct Act {
    const char* name;
    double (*f)(double);
  };
  for (const Act& act :
       {Act{"activation.Tanh", tanh_of}, Act{"activation.ReLU", relu}, Act{"activation.GELU", gelu},
        Act{"linear.Identity", [](double x) { return x; }},
        Act{"activation.Sigmoid", [](double x) { return 1.0 / (1.0 + std::exp(-x)); }},
        Act{"activation.SiLU", [](double x) { return x / (1.0 + std::exp(-x)); }}}) {
    directory.write("2_Dense/config.json",
                    R"({"in_features": 48, "out_features": 20, "bias": true,
                        "activation_function": "torch.nn.modules.)" +
                        std::string(act.name) + "\"}");
    const Results results = compute(directory.open(), kSequences);
    const Matrix expected = map(
        linear(tensors, "linear", pooled(results.at("last_hidden_state"), Pooling::mean)), act.f);
    EXPECT_LE(max_difference(results.at("embedding"), expected), kTolerance) << act.name;
  }
}

TEST(SentenceTest, DenseWithoutBiasAndWithResidual) {
  const SentenceDirectory directory(
      modules({{"Pooling", "1_Pooling"}, {"Dense", "2_Dense"}, {"Dense", "3_Dense"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  const Tensors first{{"linear.weight", random_tensor({20, 48}, 3)},
                      {"residual.weight", random_tensor({20, 48}, 4)}};
  const Tensors second{{"linear.weight", random_tensor({20, 20}, 5)},
                       {"linear.bias", random_tensor({20}, 6)}};
  write_tensors(directory.path() / "2_Dense/model.safetensors", first);
  write_tensors(directory.path() / "3_Dense/model.safetensors", second);
  directory.write("2_Dense/config.json",
                  R"({"in_features": 48, "out_features": 20, "bias": false, "use_residual": true,
                      "activation_function": "torch.nn.modules.activation.Tanh"})");
  directory.write("3_Dense/config.json",
                  R"({"in_features": 20, "out_features": 20, "bias": true, "use_residual": true,
                      "activation_function": "torch.nn.modules.linear.Identity"})");
  const auto sum = [](Matrix a, const Matrix& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      for (std::size_t j = 0; j < a[i].size(); ++j) a[i][j] += b[i][j];
    }
    return a;
  };
  const Results results = compute(directory.open(), kSequences);
  const Matrix mean = pooled(results.at("last_hidden_state"), Pooling::mean);
  const Matrix a =
      sum(map(linear(first, "linear", mean), tanh_of), linear(first, "residual", mean));
  EXPECT_LE(max_difference(results.at("embedding"), sum(linear(second, "linear", a), a)),
            kTolerance);
}

TEST(SentenceTest, LayerNormModule) {
  const SentenceDirectory directory(
      modules({{"Pooling", "1_Pooling"}, {"LayerNorm", "2_LayerNorm"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  directory.write("2_LayerNorm/config.json", R"({"dimension": 48})");
  const Tensors tensors{{"norm.weight", random_tensor({48}, 7)},
                        {"norm.bias", random_tensor({48}, 8)}};
  write_tensors(directory.path() / "2_LayerNorm/model.safetensors", tensors);
  const Results results = compute(directory.open(), kSequences);
  EXPECT_LE(
      max_difference(results.at("embedding"),
                     layer_norm(tensors, "norm",
                                pooled(results.at("last_hidden_state"), Pooling::mean), 1e-5)),
      kTolerance);
}

TEST(SentenceTest, ThePathsOfTheNewerClassesAreTheSameModules) {
  const SentenceDirectory directory(R"([
    {"idx": 0, "name": "0", "path": "",
     "type": "sentence_transformers.base.modules.transformer.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling",
     "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize",
     "type": "sentence_transformers.base.modules.normalize.Normalize"}])");
  directory.write("1_Pooling/config.json", kMeanPooling);
  EXPECT_EQ(directory.open().embedding_description, "mean pooling, normalised");
}

TEST(SentenceTest, TheTransformerMayHaveItsOwnFolder) {
  const SentenceDirectory directory(
      "[" + module("Transformer", "0_Transformer") + ", " + module("Pooling", "1_Pooling") + "]",
      "0_Transformer");
  directory.write("1_Pooling/config.json", kMeanPooling);
  directory.write("0_Transformer/sentence_bert_config.json",
                  R"({"max_seq_length": 20, "do_lower_case": true})");
  const Package package = directory.open();
  EXPECT_EQ(package.max_tokens, 20);
  EXPECT_TRUE(package.lower_case_first);
}

TEST(SentenceTest, MaxSeqLengthTakesThePlaceOfTheTokenizersLimit) {
  // As in all-MiniLM-L6-v2, whose tokenizer cuts at 128 and whose max_seq_length is 256.
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  directory.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n");
  directory.write("tokenizer_config.json", R"({"model_max_length": 12})");
  Package package = directory.open();
  ASSERT_TRUE(package.tokenizer.has_value()) << package.tokenizer_problem;
  EXPECT_EQ(package.max_tokens, 12);
  directory.write("sentence_bert_config.json", R"({"max_seq_length": 30})");
  EXPECT_EQ(directory.open().max_tokens, 30);
  directory.write("sentence_bert_config.json", R"({"max_seq_length": 300})");
  EXPECT_EQ(directory.open().max_tokens, 64);
}

TEST(SentenceTest, ArgumentsThatChangeTheModelAreRefusedByName) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  const auto error = [&](const std::string& members) {
    directory.write("sentence_bert_config.json", "{" + members + "}");
    return error_of([&] { directory.open(); });
  };
  EXPECT_EQ(error(R"("tokenizer_args": {}, "config_args": {}, "model_args": null)"), "");
  EXPECT_EQ(error(R"("model_args": {"trust_remote_code": false, "attn_implementation": "sdpa",
                                    "torch_dtype": "bfloat16", "revision": null})"),
            "");
  EXPECT_THAT(error(R"("tokenizer_args": {"do_lower_case": false})"),
              AllOf(HasSubstr("unsupported_model: sentence_bert_config.json"),
                    HasSubstr("tokenizer_args"), HasSubstr("do_lower_case")));
  EXPECT_THAT(error(R"("config_args": {"num_hidden_layers": 1})"), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(error(R"("model_kwargs": {"adapter": "x"})"), HasSubstr("adapter"));
  EXPECT_THAT(error(R"("transformer_task": "text-generation")"), HasSubstr("text-generation"));
  EXPECT_THAT(error(R"("module_output_name": "sentence_embedding")"),
              HasSubstr("module_output_name"));
  EXPECT_EQ(error(R"("module_output_name": "token_embeddings", "modality_config":
                     {"text": {"method": "forward", "method_output_name": "last_hidden_state"}})"),
            "");
  EXPECT_THAT(error(R"("modality_config": {"text": {"method": "get_text_features"}})"),
              HasSubstr("get_text_features"));
}

TEST(SentenceTest, TheClassWithoutHeadIsTakenUnlessTheTaskSaysOtherwise) {
  // all-mpnet-base-v2's config.json names MPNetForMaskedLM, whose head its weights lack.
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  CheckpointCopy copy("bert-model");
  copy.config["architectures"] = "[\"BertForMaskedLM\"]";
  directory.write("config.json", copy.config_text());
  EXPECT_EQ(directory.open().architecture, "BertModel");
  directory.write("sentence_bert_config.json", R"({"transformer_task": "fill-mask"})");
  // Pooling would take the logits for token embeddings.
  EXPECT_THAT(directory.error(), HasSubstr("modules.json: no SpladePooling behind a masked"));
  directory.write("modules.json", modules({{"SpladePooling", "1_Pooling"}}));
  EXPECT_THAT(directory.error(), HasSubstr("cls.predictions.transform.dense.weight"));
}

TEST(SentenceTest, PromptsAreRead) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  directory.write("config_sentence_transformers.json",
                  R"({"prompts": {"query": "query: ", "document": ""},
                      "default_prompt_name": "query", "similarity_fn_name": "cosine"})");
  const Package package = directory.open();
  EXPECT_EQ(package.prompts.at("query"), "query: ");
  EXPECT_EQ(package.default_prompt_name, "query");
  directory.write("config_sentence_transformers.json",
                  R"({"prompts": {"query": "query: "}, "default_prompt_name": "passage"})");
  EXPECT_THAT(directory.error(),
              AllOf(StartsWith("corrupt_file: config_sentence_transformers.json"),
                    HasSubstr("one of the prompts: query")));
  directory.write("config_sentence_transformers.json",
                  R"({"prompts": {"query": "query: "}, "default_prompt_name": null})");
  directory.write("1_Pooling/config.json", R"({"pooling_mode": "mean", "include_prompt": false})");
  EXPECT_FALSE(directory.open().pools_prompts);
  EXPECT_THAT(directory.open().embedding_description,
              StartsWith("mean pooling without the prompt"));
}

TEST(SentenceTest, WhatIsNotComputedIsRefusedByName) {
  const auto error = [](const std::string& text) { return SentenceDirectory(text).error(); };
  EXPECT_THAT(
      error(modules({{"LSTM", "1_LSTM"}})),
      AllOf(StartsWith("unsupported_model: modules.json[1]: \"type\" is "), HasSubstr("LSTM")));
  EXPECT_THAT(error("[" + module("BoW", "0_BoW") + "]"),
              StartsWith("unsupported_model: modules.json[0]: \"type\" is "));
  EXPECT_THAT(error(R"([{"type": "custom.Transformer", "path": ""}])"),
              HasSubstr("custom.Transformer"));
  EXPECT_THAT(error(modules({{"Normalize", "1_Normalize"}})),
              AllOf(StartsWith("unsupported_model: modules.json"), HasSubstr("Pooling")));
  EXPECT_THAT(error("[]"), StartsWith("corrupt_file: modules.json: no modules"));
  EXPECT_THAT(error("{}"), StartsWith("corrupt_file: modules.json: "));
  EXPECT_THAT(error(modules({{"Pooling", "../elsewhere"}})),
              StartsWith("corrupt_file: modules.json[1]: \"path\" is "));
  EXPECT_THAT(error(modules({{"Pooling", "1_Pooling"}})),
              StartsWith("not_found: 1_Pooling/config.json: no such file"));
}

TEST(SentenceTest, PoolingAndDenseConfigsAreChecked) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}, {"Dense", "2_Dense"}}));
  write_tensors(
      directory.path() / "2_Dense/model.safetensors",
      {{"linear.weight", random_tensor({20, 48}, 1)}, {"linear.bias", random_tensor({20}, 2)}});
  const auto pooling_error = [&](const std::string& text) {
    directory.write("1_Pooling/config.json", text);
    return directory.error();
  };
  EXPECT_THAT(
      pooling_error(R"({"word_embedding_dimension": 64})"),
      StartsWith("corrupt_file: 1_Pooling/config.json: \"word_embedding_dimension\" is 64"));
  EXPECT_THAT(pooling_error(R"({"pooling_mode": "median"})"),
              StartsWith("unsupported_model: 1_Pooling/config.json: \"pooling_mode\" is"));
  EXPECT_THAT(pooling_error(R"({"pooling_mode": []})"), HasSubstr("one mode at least"));
  EXPECT_THAT(pooling_error(R"({"pooling_mode_cls_token": 1})"), HasSubstr("true or false"));

  directory.write("1_Pooling/config.json", kMeanPooling);
  const auto dense_error = [&](const std::string& text) {
    directory.write("2_Dense/config.json", text);
    return directory.error();
  };
  const std::string sizes = R"("in_features": 48, "out_features": 20)";
  EXPECT_EQ(dense_error("{" + sizes + "}"), "");
  EXPECT_THAT(
      dense_error("{" + sizes + R"(, "activation_function": "torch.nn.modules.activation.ELU"})"),
      StartsWith("unsupported_model: 2_Dense/config.json: \"activation_function\" is "));
  EXPECT_THAT(dense_error("{" + sizes + R"(, "module_input_name": "token_embeddings"})"),
              StartsWith("unsupported_model: 2_Dense/config.json: \"module_input_name\" is "));
  EXPECT_THAT(dense_error(R"({"in_features": 40, "out_features": 20})"),
              HasSubstr("expected 48, the width of what comes before"));
  EXPECT_THAT(dense_error(R"({"out_features": 20})"), HasSubstr("\"in_features\" is absent"));
  EXPECT_THAT(dense_error(R"({"in_features": 48, "out_features": 21})"),
              HasSubstr("tensor \"2_Dense/linear.weight\" has shape (20,48), expected (21,48) from "
                        "2_Dense/config.json out_features=21, in_features=48"));
  std::filesystem::remove(directory.path() / "2_Dense/model.safetensors");
  EXPECT_THAT(directory.error(), AllOf(StartsWith("not_found: "), HasSubstr("2_Dense")));
}

}  // namespace
}  // namespace tessera::test
