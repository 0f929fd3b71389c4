// SPDX-License-Identifier: Apache-2.0
//
// Embeddings without layers against sums in double: StaticEmbedding, SparseStaticEmbedding, model2vec;
// how they read texts, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/models/checkpoint_copy.hpp"
#include "tests/models/sentence/static_directory.hpp"

namespace tessera::test {
namespace {

using models::Package;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::int64_t kWidth = 20;
const std::vector<std::vector<std::int32_t>> kSequences{{4, 5, 4, 8, 0}, {7, 3}, {6}};
/// Sums of at most 5 rows in f32 of values of size 1.
constexpr double kTolerance = 1e-6;

Matrix means(const Tensor& table) {
  Matrix rows;
  for (const auto& sequence : kSequences) {
    std::vector<double> row(static_cast<std::size_t>(table.shape[1]), 0.0);
    for (const std::int32_t id : sequence) {
      for (std::size_t j = 0; j < row.size(); ++j) {
        row[j] += static_cast<double>(table.at(id, static_cast<Index>(j))) /
                  static_cast<double>(sequence.size());
      }
    }
    rows.push_back(row);
  }
  return rows;
}

Matrix of_length_one(Matrix x) {
  for (auto& row : x) {
    double sum = 0.0;
    for (const double v : row) sum += v * v;
    for (double& v : row) v /= std::sqrt(sum);
  }
  return x;
}

Package open(const TemporaryDirectory& directory, const models::PackageOptions& options = {}) {
  return models::open_package(directory.path(), options);
}
std::string error(const TemporaryDirectory& directory) {
  return error_of([&] { open(directory); });
}

TEST(StaticEmbeddingTest, IsTheMeanOfTheRowsOfTheTokens) {
  for (const std::string type :
       {"sentence_transformers.models.StaticEmbedding",
        "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"}) {
    for (const std::string path : {"", ".", "0_StaticEmbedding"}) {
      const TemporaryDirectory directory;
      directory.write("modules.json", fmt::format("[{}]", module_json(type, path)));
      const Tensor table = static_table(kWidth);
      write_static(directory / path, table);
      const Package package = open(directory);
      EXPECT_EQ(package.model_type, "static-embedding");
      EXPECT_EQ(package.architecture, "StaticEmbedding");
      EXPECT_EQ(package.embedding_description, "mean of the rows of the tokens");
      EXPECT_FALSE(package.adds_special_tokens || package.strips_texts);
      EXPECT_TRUE(package.tokenizer.has_value()) << package.tokenizer_problem;
      EXPECT_LE(max_difference(compute(package, kSequences).at("embedding"), means(table)),
                kTolerance);
    }
  }
}

TEST(StaticEmbeddingTest, ModulesBehindItAreThoseBehindAPooling) {
  const TemporaryDirectory directory;
  directory.write("modules.json", modules_json({{"StaticEmbedding", "0_StaticEmbedding"},
                                                {"Dense", "1_Dense"},
                                                {"LayerNorm", "2_LayerNorm"},
                                                {"Normalize", "3_Normalize"}}));
  const Tensor table = static_table(kWidth);
  write_static(directory / "0_StaticEmbedding", table);
  const Tensors dense{{"linear.weight", random_tensor({12, kWidth}, 1)},
                      {"linear.bias", random_tensor({12}, 2)}};
  const Tensors norm{{"norm.weight", random_tensor({12}, 7)},
                     {"norm.bias", random_tensor({12}, 8)}};
  write_tensors(directory / "1_Dense/model.safetensors", dense);
  write_tensors(directory / "2_LayerNorm/model.safetensors", norm);
  directory.write("1_Dense/config.json",
                  R"({"in_features": 20, "out_features": 12, "bias": true,
                      "activation_function": "torch.nn.modules.activation.Tanh"})");
  directory.write("2_LayerNorm/config.json", R"({"dimension": 12})");
  const Matrix expected = of_length_one(
      layer_norm(norm, "norm", map(linear(dense, "linear", means(table)), tanh_of), 1e-5));
  const Package package = open(directory);
  EXPECT_TRUE(package.embedding_is_normalized);
  EXPECT_EQ(package.embedding_description,
            "mean of the rows of the tokens, dense 20 to 12, tanh, layer norm, normalised");
  EXPECT_LE(max_difference(compute(package, kSequences).at("embedding"), expected), 2e-5);

  const Package cut = open(directory, {.architecture = "", .dims = 5});
  Matrix first = expected;
  for (auto& row : first) row.resize(5);
  EXPECT_LE(max_difference(compute(cut, kSequences).at("embedding"), of_length_one(first)), 2e-5);
}

TEST(StaticEmbeddingTest, TextsAreCutAsTokenizerJsonSaysAlone) {
  const TemporaryDirectory directory;
  directory.write("modules.json", modules_json({{"StaticEmbedding", ""}}));
  directory.write("tokenizer_config.json", R"({"model_max_length": 3})");  // not read
  write_static(directory.path(), static_table(kWidth));
  EXPECT_EQ(open(directory).max_tokens, kAnyLength);
  EXPECT_EQ(open(directory).max_tokens_from, "no limit");
  write_static(directory.path(), static_table(kWidth), "embedding.weight",
               static_tokenizer_json(R"({"direction": "Right", "max_length": 7,
                                         "strategy": "LongestFirst", "stride": 0})"));
  EXPECT_EQ(open(directory).max_tokens, 7);
  EXPECT_EQ(open(directory).max_tokens_from, "truncation of tokenizer.json");
}

TEST(StaticEmbeddingTest, WithoutATokenizerThereAreIdsAlone) {
  const TemporaryDirectory directory;
  directory.write("modules.json", modules_json({{"StaticEmbedding", ""}}));
  const Tensor table = static_table(kWidth);
  write_tensors(directory / "model.safetensors", {{"embedding.weight", table}});
  const Package package = open(directory);
  EXPECT_FALSE(package.tokenizer);
  EXPECT_THAT(package.tokenizer_problem, HasSubstr("tokenizer.json"));
  EXPECT_LE(max_difference(compute(package, kSequences).at("embedding"), means(table)), kTolerance);
}

TEST(StaticEmbeddingTest, WhatIsNoTableIsRefused) {
  const TemporaryDirectory directory;
  directory.write("modules.json", modules_json({{"StaticEmbedding", ""}}));
  EXPECT_THAT(error(directory), StartsWith("not_found: "));  // no weights at all
  const auto error_with = [&](const Tensors& tensors) {
    write_tensors(directory / "model.safetensors", tensors);
    return error(directory);
  };
  EXPECT_THAT(error_with({{"embedding", static_table(kWidth)}}),
              AllOf(StartsWith("not_found: StaticEmbedding: no tensor \"embedding.weight\" among "
                               "the 1 of "),
                    HasSubstr("expected it with shape (tokens, width)")));
  EXPECT_THAT(error_with({{"embedding.weight", random_tensor({9}, 1)}}),
              AllOf(StartsWith("corrupt_file: StaticEmbedding: tensor \"embedding.weight\" has "
                               "shape "),
                    HasSubstr("expected (tokens, width)")));
  EXPECT_THAT(error_with({{"embedding.weight", random_tensor({0, 4}, 1)}}),
              StartsWith("corrupt_file: StaticEmbedding: tensor \"embedding.weight\" has shape "));
  const std::vector<std::int8_t> bytes(36);
  const std::vector<TensorToWrite> narrow{{.name = "embeddings",
                                           .type = StoredType::i8,
                                           .shape = {9, 4},
                                           .data = std::as_bytes(std::span(bytes))}};
  write_safetensors(directory / "model.safetensors", narrow);
  EXPECT_THAT(error(directory), AllOf(StartsWith("unsupported_model: StaticEmbedding: tensor "),
                                      HasSubstr("is stored as I8, expected F64, F32, F16 or BF16; "
                                                "the class StaticModel reads it")));
  write_static(directory.path(), static_table(kWidth));
  EXPECT_THAT(error_of([&] { open(directory, {.architecture = "BertModel"}); }),
              StartsWith("unsupported_model: class: got BertModel, expected StaticEmbedding"));
  directory.write("modules.json",
                  modules_json({{"StaticEmbedding", ""}, {"Pooling", "1_Pooling"}}));
  EXPECT_THAT(error(directory), HasSubstr("module 1 (\"1_Pooling\") pools again"));
}

/// What model2vec writes of a vocabulary that it made smaller, of any types.
struct Quantised {
  std::vector<std::int32_t> mapping{3, 0, 1, 1, 2, 3, 0, 2, 2};  // of kStaticWords
  Tensor table = random_tensor({4, kWidth}, 21), weights = random_tensor({9}, 22);

  template <class To>
  static std::vector<To> as(const std::vector<float>& from) {
    return {from.begin(), from.end()};
  }
  void write(const std::filesystem::path& file, StoredType of_table, StoredType of_mapping,
             StoredType of_weights) const {
    const auto f64 = as<double>(table.data);
    const auto i8 = as<std::int8_t>(table.data);
    const auto wide = std::vector<std::int64_t>(mapping.begin(), mapping.end());
    const auto weights64 = as<double>(weights.data);
    std::vector<TensorToWrite> tensors;
    tensors.push_back({.name = "embeddings",
                       .type = of_table,
                       .shape = table.shape,
                       .data = of_table == StoredType::f64 ? std::as_bytes(std::span(f64))
                               : of_table == StoredType::i8
                                   ? std::as_bytes(std::span(i8))
                                   : std::as_bytes(std::span(table.data))});
    tensors.push_back({.name = "mapping",
                       .type = of_mapping,
                       .shape = {std::ssize(mapping)},
                       .data = of_mapping == StoredType::i64 ? std::as_bytes(std::span(wide))
                                                             : std::as_bytes(std::span(mapping))});
    if (!weights.data.empty()) {
      tensors.push_back({.name = "weights",
                         .type = of_weights,
                         .shape = weights.shape,
                         .data = of_weights == StoredType::f64
                                     ? std::as_bytes(std::span(weights64))
                                     : std::as_bytes(std::span(weights.data))});
    }
    write_safetensors(file, tensors);
  }
  /// A row for each token.
  Tensor rows() const {
    Tensor all = random_tensor({std::ssize(mapping), kWidth}, 1);
    for (std::size_t t = 0; t < mapping.size(); ++t) {
      for (std::int64_t k = 0; k < kWidth; ++k) {
        all.data[t * kWidth + static_cast<std::size_t>(k)] =
            table.at(mapping[t], k) * (weights.data.empty() ? 1.0F : weights.data[t]);
      }
    }
    return all;
  }
};

TEST(StaticEmbeddingTest, AVocabularyThatModel2vecMadeSmallerIsRead) {
  const TemporaryDirectory st, own;
  st.write("modules.json", modules_json({{"StaticEmbedding", "."}}));
  own.write("config.json", R"({"model_type": "model2vec", "vocabulary_quantization": 4})");
  for (const bool has_weights : {true, false}) {
    for (const StoredType of_table : {StoredType::f32, StoredType::f64, StoredType::i8}) {
      Quantised quantised;
      if (!has_weights) quantised.weights.data.clear();
      if (of_table == StoredType::i8) {  // the numbers are those that are stored: there is no scale
        for (float& x : quantised.table.data) x = std::round(std::clamp(x * 60, -127.0F, 127.0F));
      }
      for (const auto& [of_mapping, of_weights] : {std::pair(StoredType::i32, StoredType::f32),
                                                   std::pair(StoredType::i64, StoredType::f64)}) {
        for (const TemporaryDirectory* directory : {&st, &own}) {
          std::ofstream(*directory / "tokenizer.json") << static_tokenizer_json();
          quantised.write(*directory / "model.safetensors", of_table, of_mapping, of_weights);
          if (of_table == StoredType::i8 && directory == &st && !has_weights) {
            EXPECT_THAT(error(st), HasSubstr("is stored as I8, expected F64, F32, F16 or BF16; the "
                                             "class StaticModel reads it"));
            continue;
          }
          const Package package = open(*directory);
          EXPECT_EQ(require_tokens(package.program).vocab_size, 9);
          EXPECT_EQ(package.embedding_description,
                    has_weights ? "mean of the weighted rows that the tokens share"
                                : "mean of the rows that the tokens share");
          EXPECT_LE(
              max_difference(compute(package, kSequences).at("embedding"), means(quantised.rows())),
              of_table == StoredType::i8 ? 127 * kTolerance : kTolerance);
        }
      }
    }
  }
}

TEST(StaticEmbeddingTest, OfASmallerVocabularyWhatDoesNotFitIsRefused) {
  const TemporaryDirectory directory;
  directory.write("config.json", R"({"model_type": "model2vec"})");
  const auto error_of_these = [&](const Quantised& these, StoredType of_mapping = StoredType::i32) {
    these.write(directory / "model.safetensors", StoredType::f32, of_mapping, StoredType::f32);
    return error(directory);
  };
  EXPECT_EQ(error_of_these({}), "");
  for (const std::int32_t row : {-1, 4}) {
    Quantised beyond;
    beyond.mapping[5] = row;
    EXPECT_EQ(
        error_of_these(beyond),
        fmt::format("corrupt_file: StaticModel: tensor \"mapping\" has {} at token 5, expected "
                    "a row of the table, 0 to 3",
                    row));
  }
  Quantised fewer;
  fewer.mapping.pop_back();
  EXPECT_EQ(
      error_of_these(fewer),
      "corrupt_file: StaticModel: tensor \"weights\" has shape (9), expected (8), one per token");
  EXPECT_EQ(
      error_of_these({}, StoredType::f32),
      "unsupported_model: StaticModel: tensor \"mapping\" is stored as F32, expected I32 or I64");
  directory.write("modules.json", modules_json({{"StaticEmbedding", "."}}));
  write_tensors(directory / "model.safetensors",
                {{"embedding.weight", static_table(kWidth)}, {"weights", random_tensor({9}, 1)}});
  EXPECT_THAT(error(directory),
              StartsWith("unsupported_model: StaticEmbedding: tensors \"mapping\" "
                         "and \"weights\" beside \"embedding.weight\""));
}

TEST(StaticEmbeddingTest, OfSparseOnesAColumnIsTheWeightOfItsToken) {
  const TemporaryDirectory directory;
  directory.write("modules.json", modules_json({{"SparseStaticEmbedding", "q"}}));
  Tensor weight = random_tensor({9}, 3);
  weight.data[4] = -1.5F;  // a trained weight may fall below 0
  write_static(directory / "q", weight, "weight");
  directory.write("q/config.json", R"({"frozen": false})");
  directory.write("q/tokenizer_config.json", R"({"model_max_length": 6})");
  const Package package = open(directory);
  EXPECT_EQ(package.architecture, "SparseStaticEmbedding");
  EXPECT_TRUE(package.embedding_is_sparse);
  EXPECT_EQ(package.similarity_measure, models::SimilarityMeasure::dot);
  EXPECT_EQ(package.max_tokens, 6);
  const Results results = compute(package, kSequences);
  ASSERT_EQ(results.at("embedding").size(), kSequences.size());
  for (std::size_t s = 0; s < kSequences.size(); ++s) {
    std::vector<double> expected(9, 0.0);
    for (const std::int32_t id : kSequences[s]) {
      expected[static_cast<std::size_t>(id)] =
          static_cast<double>(weight.data[static_cast<std::size_t>(id)]);
    }
    EXPECT_EQ(results.at("embedding")[s], expected) << s;
  }
  directory.write("q/config.json", R"({"frozen": false, "path": "idf.json"})");
  EXPECT_THAT(error(directory), StartsWith("unsupported_model: config.json: \"path\" is "));
  directory.write("q/config.json", "{}");
  write_static(directory / "q", static_table(1), "weight");
  EXPECT_THAT(error(directory), AllOf(StartsWith("corrupt_file: SparseStaticEmbedding: tensor"),
                                      HasSubstr("expected (tokens)")));
  write_static(directory / "q", weight, "idf");
  EXPECT_THAT(error(directory),
              StartsWith("not_found: SparseStaticEmbedding: no tensor \"weight\""));
}

TEST(StaticEmbeddingTest, Model2vecIsReadByItsOwnFiles) {
  const TemporaryDirectory directory;
  const Tensor table = static_table(kWidth);
  write_static(directory.path(), table, "embeddings");
  directory.write("config.json", R"({"model_type": "model2vec", "normalize": true})");
  Package package = open(directory);
  EXPECT_EQ(package.architecture, "StaticModel");
  EXPECT_EQ(package.max_tokens, 512);
  EXPECT_TRUE(package.embedding_is_normalized);
  ASSERT_TRUE(package.static_model_texts.has_value());
  EXPECT_EQ(package.static_model_texts->unknown, 1);
  EXPECT_EQ(package.static_model_texts->token_length, 4U);  // of 3 3 3 3 4 5 5 5 5
  EXPECT_LE(
      max_difference(compute(package, kSequences).at("embedding"), of_length_one(means(table))),
      kTolerance);
  directory.write("config.json", R"({"model_type": "model2vec"})");
  package = open(directory);
  EXPECT_FALSE(package.embedding_is_normalized);
  EXPECT_LE(max_difference(compute(package, kSequences).at("embedding"), means(table)), kTolerance);
  // With a modules.json, as model2vec writes it too, the directory is sentence-transformers'.
  directory.write("modules.json",
                  modules_json({{"StaticEmbedding", "."}, {"Normalize", "1_Normalize"}}));
  package = open(directory);
  EXPECT_EQ(package.architecture, "StaticEmbedding");
  EXPECT_FALSE(package.static_model_texts.has_value());
  EXPECT_LE(
      max_difference(compute(package, kSequences).at("embedding"), of_length_one(means(table))),
      kTolerance);
  EXPECT_EQ(open(directory, {.architecture = "StaticModel"}).architecture, "StaticModel");
  write_static(directory.path(), table, "embedding.weight");
  EXPECT_THAT(error_of([&] { open(directory, {.architecture = "StaticModel"}); }),
              StartsWith("not_found: StaticModel: no tensor \"embeddings\""));
}

}  // namespace
}  // namespace tessera::test
