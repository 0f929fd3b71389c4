// SPDX-License-Identifier: Apache-2.0
//
// Pooling and normalisation that the caller asks for: against their formulas in double, and where the
// directory says it itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/sentence/sentence_directory.hpp"

namespace tessera::test {
namespace {

using models::Package;
using models::PackageOptions;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string golden(const std::string& name) {
  return TESSERA_SOURCE_DIR "/tests/golden/data/" + name;
}

PackageOptions asked(std::optional<Pooling> pooling, bool normalize = false) {
  PackageOptions options;
  options.pooling = pooling;
  options.normalize = normalize;
  return options;
}

TEST(ByHandTest, EveryPoolingOfADirectoryThatSaysNone) {
  struct Mode {
    Pooling pooling;
    const char* name;
  };
  for (const Mode& mode :
       {Mode{Pooling::first, "cls"}, Mode{Pooling::max, "max"}, Mode{Pooling::mean, "mean"},
        Mode{Pooling::mean_sqrt_len, "mean_sqrt_len_tokens"},
        Mode{Pooling::weighted_mean, "weightedmean"}, Mode{Pooling::last, "lasttoken"}}) {
    for (const bool normalize : {false, true}) {
      const Package package =
          models::open_package(golden("bert-model"), asked(mode.pooling, normalize));
      EXPECT_EQ(package.embedding_description,
                std::string(mode.name) + " pooling" + (normalize ? ", normalised" : ""));
      EXPECT_TRUE(package.embedding_from_files);
      EXPECT_EQ(package.embedding_is_normalized, normalize);
      const Results results = compute(package, kSequences);
      const Matrix expected = pooled(results.at("last_hidden_state"), mode.pooling);
      EXPECT_LE(
          max_difference(results.at("embedding"), normalize ? normalized(expected) : expected),
          kTolerance)
          << mode.name;
    }
  }
}

TEST(ByHandTest, ModulesWithoutAPoolingGetOne) {
  const SentenceDirectory directory(modules({}));
  EXPECT_EQ(directory.open().program.find_output("embedding"), kNone);
  EXPECT_EQ(directory.open(asked(Pooling::max)).embedding_description, "max pooling");
  directory.write("modules.json", modules({{"Normalize", "1_Normalize"}}));
  const Package package = directory.open(asked(Pooling::first));
  EXPECT_EQ(package.embedding_description, "cls pooling, normalised");
  const Results results = compute(package, kSequences);
  EXPECT_LE(max_difference(results.at("embedding"),
                           normalized(pooled(results.at("last_hidden_state"), Pooling::first))),
            kTolerance);
}

TEST(ByHandTest, NormalizeIsBehindEverythingAndDimsBehindIt) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  PackageOptions options = asked({}, true);
  options.dims = 17;
  const Package package = directory.open(options);
  EXPECT_TRUE(package.embedding_is_normalized);
  const Results results = compute(package, kSequences);
  Matrix expected = pooled(results.at("last_hidden_state"), Pooling::mean);
  for (auto& row : expected) row.resize(17);
  EXPECT_LE(max_difference(results.at("embedding"), normalized(expected)), kTolerance);

  directory.write("modules.json", modules({{"Pooling", "1_Pooling"}, {"Normalize", "2_N"}}));
  const Package plain = directory.open(), again = directory.open(asked({}, true));
  EXPECT_EQ(again.embedding_description, plain.embedding_description);
  EXPECT_EQ(again.program.ops.size(), plain.program.ops.size()) << "it was normalised already";
}

TEST(ByHandTest, WhatTheDirectorySaysIsNotReplaced) {
  const SentenceDirectory directory(modules({{"Pooling", "1_Pooling"}, {"Normalize", "2_N"}}));
  directory.write("1_Pooling/config.json", kMeanPooling);
  EXPECT_EQ(directory.error(asked(Pooling::first)),
            "invalid_argument: " + directory.path().string() +
                ": pooling: got cls, expected none: modules.json says mean pooling, normalised");
  EXPECT_THAT(directory.error(asked(Pooling::mean)), HasSubstr("pooling: got mean, expected none"));
  const auto error = [](const char* name) {
    return error_of([&] { models::open_package(golden(name), asked(Pooling::last)); });
  };
  EXPECT_THAT(error("splade-bert"), HasSubstr("modules.json says max over the tokens of log("));
  EXPECT_THAT(error("colbert-bert"), HasSubstr("HF_ColBERT says a vector per token"));
  EXPECT_THAT(error("clip-full"), HasSubstr("CLIPModel says "));
  EXPECT_THAT(error("vit-model"), HasSubstr("ViTModel says "));
  EXPECT_THAT(error("bge-m3"), HasSubstr("says cls pooling, normalised"));
}

TEST(ByHandTest, OnlyADenseEmbeddingIsNormalised) {
  const auto error = [](const char* name) {
    return error_of([&] { models::open_package(golden(name), asked({}, true)); });
  };
  EXPECT_THAT(error("splade-bert"), AllOf(StartsWith("unsupported_model: " + golden("splade-bert")),
                                          HasSubstr("normalize: got a sparse embedding")));
  EXPECT_THAT(error("colbert-bert"),
              AllOf(StartsWith("invalid_argument: " + golden("colbert-bert")),
                    HasSubstr("normalize: got a HF_ColBERT without an embedding, expected")));
}

}  // namespace
}  // namespace tessera::test
