// SPDX-License-Identifier: Apache-2.0
// BGE-M3's three outputs from one run, on the conformance case, which has them all.
#include <gmock/gmock.h>
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
using testing::HasSubstr;

const fs::path kCase = kGoldenData / "bge-m3";

class M3Test : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(M3Test);

std::vector<float> stored(const SafetensorsFile& file, const char* name) {
  const StoredTensor* const tensor = file.find(name);
  if (tensor == nullptr) {
    ADD_FAILURE() << name;
    return {};
  }
  return elements_of<float>(*tensor);
}

TEST_P(M3Test, DenseSparseAndTokenVectorsAreTheReferences) {
  const models::Package package = models::open_package(kCase);
  EXPECT_EQ(package.embedding_description, "cls pooling, normalised");
  EXPECT_TRUE(package.embedding_from_files);
  EXPECT_TRUE(package.embedding_is_normalized);
  EXPECT_TRUE(package.is_sparse("lexical_weights"));
  EXPECT_FALSE(package.is_sparse("embedding"));
  for (const int threads : {1, 2}) {
    Runner runner(package, GetParam(), threads);
    for (const std::string run : {"", "max_len.", "seq1.", "single."}) {
      const SafetensorsFile given =
          SafetensorsFile::open(kCase / ("inputs." + run + "safetensors"));
      const SafetensorsFile expected =
          SafetensorsFile::open(kCase / ("embeddings." + run + "safetensors"));
      const StoredInputs inputs = read_inputs(given);
      const models::ReferenceBatch batch = runner.batch(inputs);
      Session& session = runner.run(batch);
      for (const auto& [name, of_reference] :
           {std::pair{"embedding", "dense_vecs"}, std::pair{"token_weights", "token_weights"},
            std::pair{"lexical_weights", "lexical_weights"}}) {
        EXPECT_LE(
            output_distance(session, batch, name, stored(expected, of_reference), inputs.tokens),
            kGoldenTolerance)
            << name << ' ' << run;
      }
      // The reference has no row for the first token of a text.
      const std::vector<float> vectors = stored(expected, "colbert_vecs");
      const TensorView<const float> got = session.output("colbert_vecs");
      const auto width = static_cast<std::size_t>(got.cols);
      for (Index row = 0; row < got.rows; ++row) {
        const Index at = batch.padded_index(row), s = at / inputs.tokens, t = at % inputs.tokens;
        if (t == 0) continue;
        const auto begin = static_cast<std::size_t>(s * (inputs.tokens - 1) + t - 1) * width;
        ASSERT_LE(begin + width, vectors.size());
        EXPECT_LE(distance(got.row(row), std::span(vectors).subspan(begin, width)),
                  kGoldenTolerance)
            << run << row;
      }
    }
  }
}

TEST_P(M3Test, AWordThatComesTwiceHasTheLargerWeight) {
  const models::Package package = models::open_package(kCase);
  const auto model =
      Model::create(package.program, package.checkpoint,
                    {.isa = GetParam(), .kernels = kernels_for(GetParam()), .outputs = {}});
  const auto session = Session::create(model, {.max_rows = 16, .max_sequences = 3, .outputs = {}});
  const std::vector<std::int32_t> ids{0, 9, 17, 9, 9, 2, 0, 3, 2, 1, 3};
  const std::vector<std::int32_t> offsets{0, 6, 9, 11};
  session->run({.ids = ids, .offsets = offsets});
  const TensorView<const float> weights = session->output("token_weights"),
                                lexical = session->output("lexical_weights");
  ASSERT_EQ(lexical.cols, 150);
  std::vector<std::vector<float>> expected(3, std::vector<float>(150, 0.0F));
  for (std::size_t s = 0; s < 3; ++s) {
    for (auto i = static_cast<std::size_t>(offsets[s]);
         i < static_cast<std::size_t>(offsets[s + 1]); ++i) {
      if (ids[i] < 4) continue;
      float& largest = expected[s][static_cast<std::size_t>(ids[i])];
      largest = std::max(largest, weights.row(static_cast<Index>(i))[0]);
    }
    EXPECT_THAT(lexical.row(static_cast<Index>(s)), testing::ElementsAreArray(expected[s]));
  }
}

TEST_P(M3Test, WhatIsNoM3IsNamed) {
  const TemporaryDirectory directory;
  const auto copy = [&](const char* of) {
    const fs::path to = directory.path() / "model";
    fs::remove_all(to);
    fs::copy(kGoldenData / of, to, fs::copy_options::recursive);
    return to;
  };
  const auto error_of_open = [](const fs::path& path) -> std::string {
    try {
      models::open_package(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  fs::path model = copy("bert-model");
  fs::copy(kCase / "sparse_linear.pt", model / "sparse_linear.pt");
  EXPECT_THAT(error_of_open(model),
              HasSubstr("sparse_linear.pt: beside a BertModel, expected an XLMRobertaModel"));
  model = copy("xlm-roberta-model-bf16");
  fs::copy(kCase / "colbert_linear.pt", model / "colbert_linear.pt");
  EXPECT_THAT(
      error_of_open(model),
      HasSubstr("colbert_linear.pt: tensor \"weight\" has shape (32, 32), expected (1 or more, "));
  model = copy("bert-seqcls");  // no features: a head of its own
  fs::copy(kCase / "sparse_linear.pt", model / "sparse_linear.pt");
  EXPECT_EQ(error_of_open(model), "");
  model = copy("bge-m3");
  fs::remove(model / "colbert_linear.pt");
  EXPECT_EQ(models::open_package(model).program.find_output("colbert_vecs"), kNone);
  std::ofstream(model / "sparse_linear.pt") << "no file of PyTorch";
  EXPECT_THAT(error_of_open(model), HasSubstr("sparse_linear.pt"));
  fs::copy(kCase / "colbert_linear.pt", model / "sparse_linear.pt",
           fs::copy_options::overwrite_existing);
  EXPECT_THAT(error_of_open(model), HasSubstr("sparse_linear.weight"));
}

}  // namespace
}  // namespace tessera::test
