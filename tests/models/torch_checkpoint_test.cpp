// SPDX-License-Identifier: Apache-2.0
// Golden checkpoints saved as PyTorch saves them: the model is the same, bit for bit.
#include <gmock/gmock.h>

#include "models/package.hpp"
#include "tests/models/checkpoint_copy.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTorchFile = "pytorch_model.bin";

fs::path golden(const char* name) {
  return fs::path(TESSERA_SOURCE_DIR) / "tests/golden/data" / name;
}

Results compute_ids(const models::Package& package) {
  return compute(package, {{3, 1, 4, 1, 5, 9, 2}, {6}});
}

class TorchCheckpointTest : public testing::TestWithParam<const char*> {};

TEST_P(TorchCheckpointTest, GivesTheSameResultsAsSafetensors) {
  const fs::path from = golden(GetParam());
  const Checkpoint checkpoint = Checkpoint::open(from);
  const Results expected = compute_ids(models::open_package(from));
  ASSERT_FALSE(expected.empty());
  for (const bool transposed : {false, true}) {
    const TemporaryDirectory directory;
    fs::copy_file(from / "config.json", directory / "config.json");
    write_torch(directory / kTorchFile, checkpoint.tensors(), transposed);
    const models::Package package = models::open_package(directory.path());
    EXPECT_EQ(package.checkpoint->path(), directory / kTorchFile);
    EXPECT_EQ(compute_ids(package), expected) << (transposed ? "transposed" : "row-major");
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, TorchCheckpointTest,
                         testing::Values("bert-model", "bert-model-f16", "bert-mlm-legacy",
                                         "xlm-roberta-model-bf16", "distilbert-model-sharded"),
                         [](const testing::TestParamInfo<const char*>& p) {
                           std::string name = p.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(TorchModuleTest, ModulesOfSentenceTransformersMayBeOfPyTorch) {
  const TemporaryDirectory directory;
  const fs::path from = golden("bert-model");
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::copy_file(from / name, directory / name);
  }
  directory.write(
      "modules.json",
      R"([{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
  {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
  {"idx":2,"name":"2","path":"2_Dense","type":"sentence_transformers.models.Dense"}])");
  const Checkpoint checkpoint = Checkpoint::open(from);
  const std::int64_t hidden = checkpoint.at("embeddings.LayerNorm.weight").shape[0];
  const std::string size = std::to_string(hidden);
  directory.write("1_Pooling/config.json", R"({"word_embedding_dimension":)" + size +
                                               R"(,"pooling_mode_mean_tokens":true})");
  directory.write("2_Dense/config.json",
                  R"({"in_features":)" + size + R"(,"out_features":5,"bias":true,)" +
                      R"("activation_function":"torch.nn.modules.activation.Tanh"})");
  Tensors dense;
  add_random_linear(dense, "linear", 5, hidden);
  write_tensors(directory / "2_Dense/model.safetensors", dense);
  const Results expected = compute_ids(models::open_package(directory.path()));

  {
    const Checkpoint module = Checkpoint::open(directory / "2_Dense");
    write_torch(directory / "2_Dense/pytorch_model.bin", module.tensors());
  }
  fs::remove(directory / "2_Dense/model.safetensors");
  const Results got = compute_ids(models::open_package(directory.path()));
  EXPECT_EQ(got, expected);
  EXPECT_EQ(got.at("embedding").front().size(), 5U);
}

}  // namespace
}  // namespace tessera::test
