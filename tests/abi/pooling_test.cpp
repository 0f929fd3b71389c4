// SPDX-License-Identifier: Apache-2.0
// Pooling and normalisation by hand, through tessera.h and tessera.hpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

const std::string kPlain = TESSERA_SOURCE_DIR "/tests/golden/data/bert-model";
const std::vector<std::int32_t> kIds{2, 17, 19, 23, 3};

/// An output of one sequence, from a session of its own.
std::vector<float> output_of(const Model& model, const char* name, std::size_t elements) {
  Session session(model, {.outputs = {name}});
  const std::int64_t offsets[] = {0, std::ssize(kIds)};
  tessera_tokens tokens = TESSERA_TOKENS_INIT;
  tokens.ids = kIds.data(), tokens.offsets = offsets, tokens.count = 1;
  std::vector<float> row(elements);
  tessera_output output = TESSERA_OUTPUT_INIT;
  output.name = name, output.data = row.data(), output.capacity = row.size();
  EXPECT_EQ(tessera_encode_ids(session.get(), &tokens, nullptr, &output, 1), TESSERA_OK)
      << tessera_last_error();
  return row;
}

double sum_of(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0);
}

TEST(PoolingAbiTest, IsOfTheRowsOfTheTokens) {
  const std::size_t width = 48, rows = kIds.size();
  const std::vector<float> tokens =
      output_of(Model(kPlain), "last_hidden_state", rows * width);  // (5,48)
  struct Case {
    tessera_pooling pooling;
    const char* name;
    /// What column n is, of its 5 values.
    double (*of)(const std::vector<double>& x);
  };
  const Case cases[] = {
      {TESSERA_POOLING_AUTOMATIC, "mean", [](const auto& x) { return sum_of(x) / 5.0; }},
      {TESSERA_POOLING_CLS, "cls", [](const auto& x) { return x[0]; }},
      {TESSERA_POOLING_MAX, "max",
       [](const auto& x) { return *std::max_element(x.begin(), x.end()); }},
      {TESSERA_POOLING_MEAN, "mean", [](const auto& x) { return sum_of(x) / 5.0; }},
      {TESSERA_POOLING_MEAN_SQRT_LEN_TOKENS, "mean_sqrt_len_tokens",
       [](const auto& x) { return sum_of(x) / std::sqrt(5.0); }},
      {TESSERA_POOLING_WEIGHTEDMEAN, "weightedmean",
       [](const auto& x) { return (x[0] + 2 * x[1] + 3 * x[2] + 4 * x[3] + 5 * x[4]) / 15.0; }},
      {TESSERA_POOLING_LASTTOKEN, "lasttoken", [](const auto& x) { return x[4]; }},
  };
  for (const Case& c : cases) {
    for (const bool normalize : {false, true}) {
      const Model model(kPlain, {.pooling = c.pooling, .normalize = normalize});
      EXPECT_EQ(model.info().is_normalized, normalize ? 1U : 0U);
      EXPECT_EQ(std::string(model.info().embedding),
                std::string(c.name) + " pooling" + (normalize ? ", normalised" : ""));
      std::vector<double> expected;
      double squares = 0.0;
      for (std::size_t n = 0; n < width; ++n) {
        std::vector<double> column;
        for (std::size_t t = 0; t < rows; ++t)
          column.push_back(static_cast<double>(tokens[t * width + n]));
        expected.push_back(c.of(column));
        squares += expected.back() * expected.back();
      }
      const std::vector<float> got = output_of(model, "embedding", width);
      for (std::size_t n = 0; n < width; ++n) {
        // Sums of 5 values below 2 in f32: 5 · 2^-24 · 10.
        EXPECT_NEAR(static_cast<double>(got[n]),
                    normalize ? expected[n] / std::sqrt(squares) : expected[n], 4e-6)
            << c.name << " " << n;
      }
    }
  }
}

TEST(PoolingAbiTest, OptionsOfBeforeItWorkAndBadOnesAreNamed) {
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  tessera_model* model = nullptr;
  const auto refused = [&](const std::string& directory, const char* part) {
    EXPECT_EQ(tessera_model_open(directory.c_str(), &options, &model), TESSERA_INVALID_ARGUMENT);
    EXPECT_THAT(tessera_last_error(), HasSubstr(part));
    EXPECT_EQ(model, nullptr);
  };
  options.pooling = static_cast<tessera_pooling>(7);
  refused(kPlain, "pooling is 7, expected 0 to 6");
  options.pooling = TESSERA_POOLING_CLS;
  refused(kDemo, "pooling: got cls, expected none: modules.json says ");
  options.pooling = TESSERA_POOLING_AUTOMATIC;
  options.normalize = 2;
  refused(kPlain, "normalize is 2, expected 0 or 1");
  // A caller that was compiled before there was a pooling.
  options.pooling = TESSERA_POOLING_CLS;
  options.struct_size = offsetof(tessera_model_options, pooling);
  ASSERT_EQ(tessera_model_open(kPlain.c_str(), &options, &model), TESSERA_OK)
      << tessera_last_error();
  tessera_model_info info = TESSERA_MODEL_INFO_INIT;
  ASSERT_EQ(tessera_model_get_info(model, &info), TESSERA_OK);
  EXPECT_STREQ(info.embedding, "mean pooling");
  EXPECT_EQ(info.is_normalized, 0U);
  tessera_model_close(model);
}

}  // namespace
}  // namespace tessera::test
