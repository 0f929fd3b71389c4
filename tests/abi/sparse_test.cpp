// SPDX-License-Identifier: Apache-2.0
// Sparse embeddings through tessera.h and tessera.hpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

const std::string kSplade = TESSERA_SOURCE_DIR "/tests/golden/data/splade-bert";

TEST(SparseAbiTest, ElementsAreThoseOfTheRow) {
  const Model model(kSplade);
  EXPECT_EQ(model.info().is_sparse, 1U);
  EXPECT_EQ(Model(kDemo).info().is_sparse, 0U);
  Session session(model);
  const std::vector<std::int32_t> ids{2, 17, 19, 23, 3};
  const std::vector<std::int64_t> offsets{0, 5};
  std::vector<float> row(static_cast<std::size_t>(model.info().vocabulary_size));
  tessera_tokens tokens = TESSERA_TOKENS_INIT;
  tokens.ids = ids.data(), tokens.offsets = offsets.data(), tokens.count = 1;
  tessera_output output = TESSERA_OUTPUT_INIT;
  output.name = "embedding", output.data = row.data(), output.capacity = row.size();
  ASSERT_EQ(tessera_encode_ids(session.get(), &tokens, nullptr, &output, 1), TESSERA_OK)
      << tessera_last_error();
  const std::vector<tessera_element> elements = sparse_elements(row);
  EXPECT_EQ(elements.size(),
            row.size() - static_cast<std::size_t>(std::count(row.begin(), row.end(), 0.0F)));
  ASSERT_GT(elements.size(), 3U);
  EXPECT_EQ(elements[0].value, *std::max_element(row.begin(), row.end()));
  for (std::size_t i = 0; i < elements.size(); ++i) {
    EXPECT_EQ(elements[i].value, row[static_cast<std::size_t>(elements[i].column)]);
    EXPECT_GE(elements[i == 0 ? 0 : i - 1].value, elements[i].value);
  }
  tessera_element two[2];
  std::size_t count = 0;
  ASSERT_EQ(tessera_sparse_elements(row.data(), std::ssize(row), two, 2, &count), TESSERA_OK);
  EXPECT_EQ(count, elements.size());
  EXPECT_EQ(two[1].column, elements[1].column);

  const Model top(kSplade, {.top_k = 5});
  Session of_top(top);
  std::vector<float> kept(10);
  output.data = kept.data(), output.capacity = kept.size();
  ASSERT_EQ(tessera_encode_ids(of_top.get(), &tokens, nullptr, &output, 1), TESSERA_OK)
      << tessera_last_error();
  const std::vector<tessera_element> five = top_elements(kept);
  ASSERT_EQ(five.size(), 5U);
  for (std::size_t i = 0; i < five.size(); ++i) {
    EXPECT_EQ(five[i].column, elements[i].column);
    EXPECT_EQ(five[i].value, elements[i].value);
  }
}

TEST(SparseAbiTest, BadNumbersOfTokensAreNamed) {
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  tessera_model* model = nullptr;
  options.top_k = -1;
  EXPECT_EQ(tessera_model_open(kSplade.c_str(), &options, &model), TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("top_k is -1"));
  options.top_k = 141;
  EXPECT_EQ(tessera_model_open(kSplade.c_str(), &options, &model), TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("top_k: got 141, expected 1 to 140"));
  options.top_k = 2;
  EXPECT_EQ(tessera_model_open(kDemo.c_str(), &options, &model), TESSERA_UNSUPPORTED_MODEL);
  EXPECT_THAT(tessera_last_error(), HasSubstr("top_k: got 2, but no output"));
  EXPECT_EQ(model, nullptr);
}

TEST(SparseAbiTest, BadArgumentsAreNamed) {
  const float row[] = {1.0F, 0.0F};
  tessera_element one[1];
  std::size_t count = 77;
  const auto expect_refusal = [&](tessera_status status, const char* part) {
    EXPECT_EQ(status, TESSERA_INVALID_ARGUMENT);
    EXPECT_THAT(tessera_last_error(), HasSubstr(part));
    EXPECT_EQ(count, 77U);
  };
  expect_refusal(tessera_sparse_elements(nullptr, 2, one, 1, &count), "row");
  expect_refusal(tessera_sparse_elements(row, 0, one, 1, &count), "width is 0");
  expect_refusal(tessera_sparse_elements(row, -1, one, 1, &count), "width is -1");
  expect_refusal(tessera_sparse_elements(row, 2, nullptr, 1, &count), "elements is NULL");
  expect_refusal(tessera_sparse_elements(row, 2, one, 1, nullptr), "count");
  EXPECT_EQ(tessera_sparse_elements(row, 2, nullptr, 0, &count), TESSERA_OK);
  EXPECT_EQ(count, 1U);
}

}  // namespace
}  // namespace tessera::test
