// SPDX-License-Identifier: Apache-2.0
//
// MPNet (Song et al. 2020): BERT without token types, with one relative position bias for all
// layers (T5's buckets, both directions). Ports transformers v4.57 modeling_mpnet.py.
#include "models/bert/mpnet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/bert/bert_like.hpp"

namespace tessera::models {
namespace {

/// MPNetEncoder.compute_position_bias() leaves num_buckets and max_distance at their defaults,
/// whatever relative_attention_num_buckets (the rows of the table) says.
constexpr Index kBuckets = 32;
constexpr Index kMaxDistance = 128;
/// self.padding_idx = 1, whatever pad_token_id says.                          MPNetEmbeddings
constexpr Index kPaddingIndex = 1;

constexpr LayerTensors kLayer{.query = "attention.attn.q",
                              .key = "attention.attn.k",
                              .value = "attention.attn.v",
                              .attention_output = "attention.attn.o",
                              .attention_norm = "attention.LayerNorm",
                              .ffn_in = "intermediate.dense",
                              .ffn_out = "output.dense",
                              .ffn_norm = "output.LayerNorm"};

ParameterId position_bias(BuildContext& context, const BertConfig& config) {
  const Dim rows = context.config.dim("relative_attention_num_buckets", kBuckets);
  if (rows.size < kBuckets) {
    context.config.wrong(rows.key,
                         fmt::format("at least {}: the reference computes {} buckets whatever "
                                     "the table has",
                                     kBuckets, kBuckets));
  }
  // All distances within a sequence, and as much again for the columns of a padded batch whose
  // padding takes no position.
  const Index reach = 2 * std::max(config.positions.size, kMaxDistance);
  std::vector<std::int32_t> gather;
  for (Index relative = -reach; relative <= reach; ++relative) {
    gather.push_back(mpnet_bucket(relative));
  }
  return context.builder.relative_bias(
      context.prefix + "encoder.relative_attention_bias.weight", rows,
      Dim{.size = config.layer.heads, .key = "num_attention_heads"}, std::move(gather));
}

}  // namespace

std::int32_t mpnet_bucket(Index relative_position) noexcept {
  // MPNetEncoder.relative_position_bucket; its logarithm is in f32.
  constexpr Index kHalf = kBuckets / 2;  // per direction
  constexpr Index kExact = kHalf / 2;    // distances with a bucket of their own
  const Index n = std::abs(relative_position);
  const Index side = relative_position > 0 ? kHalf : 0;
  if (n < kExact) return static_cast<std::int32_t>(side + n);
  const auto scale =
      static_cast<float>(std::log(static_cast<double>(kMaxDistance) / static_cast<double>(kExact)));
  const float ratio = std::log(static_cast<float>(n) / static_cast<float>(kExact)) / scale;
  const Index large = kExact + static_cast<Index>(ratio * static_cast<float>(kHalf - kExact));
  return static_cast<std::int32_t>(side + std::min(large, kHalf - 1));
}

ValueId build_mpnet(BuildContext& context) {
  // MPNetConfig
  BertConfig config = read_bert_config(context, {.vocab_size = 30527, .type_vocab_size = 0});
  TokenSpec tokens = positions_from_ids(context.config, config, kPaddingIndex);
  tokens.far_distance = kMaxDistance;
  context.package.program.inputs = tokens;
  // x = self.LayerNorm(inputs_embeds + position_embeddings)                   MPNetEmbeddings
  ValueId x = bert_embeddings(context, config);  // (ΣT,H)
  // After the position table: a lying max_position_embeddings has been refused by its shape.
  config.layer.attention.position = RelativeBias{position_bias(context, config)};
  x = bert_encoder(context, equal_layers(context, config.layer, kLayer, "encoder.layer."), x);
  bert_head(context, kRobertaHeads, config, x);
  return x;
}

}  // namespace tessera::models
