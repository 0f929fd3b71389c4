// SPDX-License-Identifier: Apache-2.0
//
// What sets the families apart, where no golden case shows it: MPNet's buckets and the size of its
// table, ALBERT's groups, ELECTRA without projection, other activations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/bert/mpnet.hpp"
#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::Package;

const std::vector<std::vector<std::int32_t>> kSequences{{5, 9, 7, 2, 30}, {11, 3}, {6}};

TEST(MpnetBucketTest, FollowsTheDefinition) {
  // 16 buckets per direction: distances 0 to 7, then 8 + ⌊8·log(n/8)/log(16)⌋ up to 15.
  for (Index n = 0; n < 600; ++n) {
    // In exact arithmetic n reaches step k at n = 8·2^(k/2): n² ≥ 64·2^k.
    Index bucket = std::min<Index>(n, 7);
    for (Index k = 0; k < 8 && n * n >= (64 << k); ++k) bucket = 8 + k;
    EXPECT_EQ(models::mpnet_bucket(-n), bucket) << n;
    if (n > 0) {
      EXPECT_EQ(models::mpnet_bucket(n), bucket + 16) << n;
    }
  }
}

TEST(FamiliesTest, MpnetUsesThirtyTwoBucketsWhateverTheTableHas) {
  CheckpointCopy copy("mpnet-model");
  const Results expected = compute(copy.open(), kSequences);
  Tensor& table = copy.tensors.at("encoder.relative_attention_bias.weight");
  table.shape[0] = 40;
  table.data.resize(40 * 4, 1e3F);
  copy.config["relative_attention_num_buckets"] = "40";
  EXPECT_EQ(compute(copy.open(), kSequences), expected);
}

TEST(FamiliesTest, MpnetIgnoresItsPaddingId) {
  CheckpointCopy copy("mpnet-model");
  const Results expected = compute(copy.open(), kSequences);
  copy.config["pad_token_id"] = "5";
  EXPECT_EQ(compute(copy.open(), kSequences), expected);
}

constexpr const char* kGroup0 = "encoder.albert_layer_groups.0.albert_layers.0.";

/// Copies group 0's layer to another place, with weights that differ by a factor.
void copy_layer(CheckpointCopy& copy, const std::string& to, float factor) {
  Tensors added;
  for (const auto& [name, tensor] : copy.tensors) {
    if (!name.starts_with(kGroup0)) continue;
    Tensor scaled = tensor;
    for (float& v : scaled.data) v *= factor;
    added[to + name.substr(std::string(kGroup0).size())] = scaled;
  }
  copy.tensors.insert(added.begin(), added.end());
}

TEST(FamiliesTest, AlbertGroupsAreTakenInOrder) {
  // 4 layers in 2 groups: 0 0 1 1. With equal groups nothing changes; a changed group 1 shows
  // from layer 2 on.
  CheckpointCopy copy("albert-model");
  const Results one = compute(copy.open(), kSequences);
  copy.config["num_hidden_groups"] = "2";
  CheckpointCopy same = copy;
  copy_layer(same, "encoder.albert_layer_groups.1.albert_layers.0.", 1.0F);
  EXPECT_EQ(compute(same.open(), kSequences), one);
  copy_layer(copy, "encoder.albert_layer_groups.1.albert_layers.0.", 0.5F);
  const Results two = compute(copy.open(), kSequences);
  EXPECT_EQ(two.at("hidden_states.2"), one.at("hidden_states.2"));
  EXPECT_GT(max_difference(two.at("hidden_states.3"), one.at("hidden_states.3")), 1e-2);
}

TEST(FamiliesTest, AlbertInnerLayersMakeOneState) {
  // 2 layers of 2 equal inner layers are the 4 layers, with every other state.
  CheckpointCopy copy("albert-model");
  const Results four = compute(copy.open(), kSequences);
  copy_layer(copy, "encoder.albert_layer_groups.0.albert_layers.1.", 1.0F);
  copy.config["inner_group_num"] = "2";
  copy.config["num_hidden_layers"] = "2";
  const Package package = copy.open();
  EXPECT_EQ(package.program.find_output("hidden_states.3"), kNone);
  const Results two = compute(package, kSequences);
  EXPECT_EQ(two.at("hidden_states.1"), four.at("hidden_states.2"));
  EXPECT_EQ(two.at("last_hidden_state"), four.at("last_hidden_state"));
}

TEST(FamiliesTest, AlbertStoresItsSharedLayerOnce) {
  const Package package = CheckpointCopy("albert-model").open();
  Index matrices = 0;
  for (const Parameter& p : package.program.parameters) {
    if (p.kind == ParameterKind::matrix) ++matrices;
  }
  EXPECT_EQ(matrices, 1 + 4 + 1);  // projection; qkv, output, two of the FFN; pooler
}

TEST(FamiliesTest, ElectraProjectsOnlyWhereTheWidthsDiffer) {
  CheckpointCopy copy("electra-model");
  for (const char* name : {"word", "position", "token_type"}) {
    const std::string tensor = "embeddings." + std::string(name) + "_embeddings.weight";
    copy.add(tensor, {copy.tensors.at(tensor).shape[0], 48});
  }
  copy.add("embeddings.LayerNorm.weight", {48});
  copy.add("embeddings.LayerNorm.bias", {48});
  copy.tensors.erase("embeddings_project.weight");
  copy.tensors.erase("embeddings_project.bias");
  copy.config["embedding_size"] = "48";
  EXPECT_EQ(compute(copy.open(), kSequences).at("last_hidden_state").size(), 8U);
}

TEST(FamiliesTest, TheActivationOfTheConfigIsUsed) {
  CheckpointCopy copy("bert-model");
  const Results erf = compute(copy.open(), kSequences);
  std::vector<Matrix> seen{erf.at("last_hidden_state")};
  for (const char* name : {"gelu_new", "quick_gelu", "relu", "silu", "tanh", "sigmoid", "linear"}) {
    copy.config["hidden_act"] = "\"" + std::string(name) + "\"";
    seen.push_back(compute(copy.open(), kSequences).at("last_hidden_state"));
    for (std::size_t i = 0; i + 1 < seen.size(); ++i) {
      EXPECT_GT(max_difference(seen[i], seen.back()), 0.0) << name;
    }
  }
}

}  // namespace
}  // namespace tessera::test
