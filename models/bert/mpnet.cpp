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
#include "models/heads.hpp"

namespace tessera::models {
namespace {

/// MPNetEncoder.compute_position_bias() leaves num_buckets and max_distance at their defaults,
/// whatever relative_attention_num_buckets (the rows of the table) says.
constexpr Index kBuckets = 32;
constexpr Index kMaxDistance = 128;
/// self.padding_idx = 1, whatever pad_token_id says.                          MPNetEmbeddings
constexpr Index kPaddingIndex = 1;

LayerTensors layer_tensors(const std::string& prefix, Index i) {
  const std::string l = fmt::format("{}encoder.layer.{}.", prefix, i);
  return {.query = l + "attention.attn.q",
          .key = l + "attention.attn.k",
          .value = l + "attention.attn.v",
          .attention_output = l + "attention.attn.o",
          .attention_norm = l + "attention.LayerNorm",
          .ffn_in = l + "intermediate.dense",
          .ffn_out = l + "output.dense",
          .ffn_norm = l + "output.LayerNorm"};
}

ParameterId position_bias(BuildContext& context, const BertConfig& config,
                          const std::string& prefix) {
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
      prefix + "encoder.relative_attention_bias.weight", rows,
      Dim{.size = config.shape.heads, .key = "num_attention_heads"}, std::move(gather));
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
  BertConfig config =
      read_bert_config(context, BertDefaults{.vocab_size = 30527, .type_vocab_size = 0});
  const Dim& H = config.shape.hidden;
  context.package.program.tokens = positions_from_ids(context.config, config, kPaddingIndex);
  context.package.program.tokens.far_distance = kMaxDistance;

  const std::string prefix = "mpnet.";
  // x = self.LayerNorm(inputs_embeds + position_embeddings)                   MPNetEmbeddings
  ValueId x = bert_embeddings(context, config, prefix, H);  // (ΣT,H)
  // After the position table: a lying max_position_embeddings has been refused by its shape.
  config.shape.attention_bias = position_bias(context, config, prefix);
  x = encoder_stack(
      context, config.shape, [&](Index i) { return layer_tensors(prefix, i); }, x);

  switch (context.package.task) {
    case Task::features:
      pooler_if_present(context, x, prefix + "pooler.dense", H);
      break;
    case Task::masked_lm:
      // x = self.layer_norm(gelu(self.dense(x))); x = self.decoder(x)             MPNetLMHead
      masked_lm(context, x,
                {.dense = "lm_head.dense",
                 .norm = "lm_head.layer_norm",
                 .decoder = "lm_head.decoder",
                 .bias = "lm_head.bias",
                 .word_embeddings = prefix + "embeddings.word_embeddings.weight",
                 .activation = Activation::gelu_erf,
                 .width = H,
                 .norm_eps = config.shape.norm_eps},
                H, config.vocab);
      break;
    case Task::sequence_classification:
      // x = tanh(self.dense(x[:, 0])); x = self.out_proj(x)          MPNetClassificationHead
      classify_first_token(context, x, "classifier.dense", Activation::tanh, "classifier.out_proj",
                           H);
      break;
    case Task::token_classification:
      classify_tokens(context, x, H);
      break;
    case Task::pretraining:
    case Task::discriminator:
      break;  // no such class
  }
  return x;
}

}  // namespace tessera::models
