// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/residual_stream.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/package.hpp"
#include "tests/golden/stored.hpp"

namespace tessera {
namespace {

/// The values of the outputs that with_stream() adds.
std::vector<std::string> added(const std::string& golden_case) {
  const Program program = models::open_package(test::kGoldenData / golden_case).program;
  const Program shown = with_stream(program);
  std::vector<std::string> names;
  for (std::size_t i = program.outputs.size(); i < shown.outputs.size(); ++i) {
    EXPECT_EQ(shown.outputs[i].name, shown.values[at(shown.outputs[i].value)].name);
    names.push_back(shown.outputs[i].name);
  }
  return names;
}

// States are outputs already; what the feed-forward of a layer is added to is not.
TEST(ResidualStreamTest, IsWhatIsAddedToAndNotWhatIsAdded) {
  EXPECT_THAT(added("bert-model"),
              testing::ElementsAre("layer.0.attention_norm", "layer.1.attention_norm",
                                   "layer.2.attention_norm"));
  EXPECT_THAT(added("vit-imgcls"),
              testing::ElementsAre("layer.0.attention_sum", "layer.1.attention_sum"));
  EXPECT_THAT(added("swin-imgcls"), testing::Contains("stage.0.block.0.out"));
}

TEST(ResidualStreamTest, AnOutputIsNeverAddedTwice) {
  const Program once = with_stream(models::open_package(test::kGoldenData / "bert-model").program);
  EXPECT_EQ(with_stream(once).outputs.size(), once.outputs.size());
}

}  // namespace
}  // namespace tessera
