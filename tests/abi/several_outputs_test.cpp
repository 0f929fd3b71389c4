// SPDX-License-Identifier: Apache-2.0
// Several outputs of one run through tessera.h: BGE-M3's dense, lexical and token vectors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

const std::string kM3 = TESSERA_SOURCE_DIR "/tests/golden/data/bge-m3";

TEST(SeveralOutputsAbiTest, OneRunGivesTheBitsOfThreeRuns) {
  const Model model(kM3);
  const std::vector<std::int32_t> ids{0, 17, 19, 23, 2, 0, 9, 2, 0, 40, 41, 40, 6, 2};
  const std::vector<std::int64_t> offsets{0, 5, 8, 14};
  tessera_tokens tokens = TESSERA_TOKENS_INIT;
  tokens.ids = ids.data(), tokens.offsets = offsets.data(), tokens.count = 3;

  std::vector<std::vector<float>> alone, together;
  std::vector<tessera_output> outputs;
  std::vector<std::string> names{"embedding", "lexical_weights", "colbert_vecs"};
  for (const std::string& name : names) {
    tessera_output_info info = TESSERA_OUTPUT_INFO_INIT;
    ASSERT_EQ(tessera_model_find_output(model.get(), name.c_str(), &info), TESSERA_OK);
    const std::size_t rows = info.is_per_token == 1 ? ids.size() : 3;
    const std::size_t floats = rows * static_cast<std::size_t>(info.width);
    alone.emplace_back(floats, -77.0F);
    together.emplace_back(floats, -99.0F);
    tessera_output output = TESSERA_OUTPUT_INIT;
    output.name = name.c_str(), output.data = alone.back().data(), output.capacity = floats;
    Session session(model, {.outputs = {name}});
    ASSERT_EQ(tessera_encode_ids(session.get(), &tokens, nullptr, &output, 1), TESSERA_OK)
        << tessera_last_error();
    output.data = together.back().data();
    outputs.push_back(output);
  }
  Session session(model, {.outputs = names});
  ASSERT_EQ(tessera_encode_ids(session.get(), &tokens, nullptr, outputs.data(), outputs.size()),
            TESSERA_OK)
      << tessera_last_error();
  EXPECT_EQ(together, alone);
}

}  // namespace
}  // namespace tessera::test
