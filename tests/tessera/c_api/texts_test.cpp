// SPDX-License-Identifier: Apache-2.0
// Texts through the library have the tokens that the model's processor gives them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "tessera/tessera.h"
#include "tests/models/text/json_sections.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::c_api {
namespace {

TEST(TextsTest, ThoseOfSiglipArePadded) {
  const test::TemporaryDirectory directory;
  const std::filesystem::path golden = TESSERA_SOURCE_DIR "/tests/golden/data/siglip-full";
  for (const char* name : {"config.json", "model.safetensors"}) {
    std::filesystem::copy_file(golden / name, directory / name);
  }
  directory.write("tokenizer.json", text::JsonSections{}.text());
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  options.tower = TESSERA_TOWER_TEXT;
  tessera_model* model = nullptr;
  ASSERT_EQ(tessera_model_open(directory.path().c_str(), &options, &model), TESSERA_OK)
      << tessera_last_error();
  const char* const two[] = {"hello", "hello world"};
  tessera_texts texts = TESSERA_TEXTS_INIT;
  texts.texts = two;
  texts.count = 2;
  std::vector<std::int32_t> ids(32);
  std::vector<std::int64_t> offsets(3);
  ASSERT_EQ(tessera_tokenize(model, &texts, ids.data(), nullptr, ids.size(), offsets.data()),
            TESSERA_OK)
      << tessera_last_error();
  EXPECT_THAT(offsets, testing::ElementsAre(0, 16, 32));
  EXPECT_THAT(ids, testing::ElementsAre(2, 5, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  //
                                        2, 5, 6, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1));
  tessera_model_close(model);
}

}  // namespace
}  // namespace tessera::c_api
