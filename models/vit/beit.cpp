// SPDX-License-Identifier: Apache-2.0
//
// BEiT (Bao et al. 2022): ViT with LayerScale, a relative position bias in every layer in place of
// positions, no bias on keys, mean pooling. Ports transformers v4.57 modeling_beit.py. Images of
// the native size only: the bias is one of this grid.
#include <fmt/format.h>

#include <optional>

#include "models/heads.hpp"
#include "models/vit/vit_like.hpp"

namespace tessera::models {
namespace {

/// Most rows of an image whose layers have a bias for each pair of them: 64 MiB of indices. The
/// largest that is published has 1025.
constexpr Index kMostPairedRows = 4096;

/// For every pair (query, key) of rows the row of the bias table: (2·gh−1)(2·gw−1) differences of
/// places on the grid, then class→patch, patch→class, class→class.
///                              BeitRelativePositionBias.generate_relative_position_index
std::vector<std::int32_t> relative_position_index(Index rows, Index cols) {
  const Index T = rows * cols + 1, differences = (2 * rows - 1) * (2 * cols - 1);
  std::vector<std::int32_t> index;
  index.reserve(static_cast<std::size_t>(T * T));
  for (Index q = 0; q < T; ++q) {
    for (Index k = 0; k < T; ++k) {
      Index bucket = 0;
      if (q == 0 || k == 0) {
        bucket = differences + (q == 0 && k == 0 ? 2 : q == 0 ? 0 : 1);
      } else {
        const Index dy = (q - 1) / cols - (k - 1) / cols, dx = (q - 1) % cols - (k - 1) % cols;
        bucket = (dy + rows - 1) * (2 * cols - 1) + dx + cols - 1;
      }
      index.push_back(static_cast<std::int32_t>(bucket));
    }
  }
  return index;
}

/// The table of a bias that all layers share, or of layer i.
ParameterId position_bias(BuildContext& context, Index heads, const std::string& module) {
  const ImageSpec& images = *context.package.program.images();
  const Index rows = images.grid_rows(), cols = images.grid_cols();
  const std::string table = module + "relative_position_bias.relative_position_bias_table";
  const Dim differences{.size = (2 * rows - 1) * (2 * cols - 1) + 3, .key = "image_size"};
  const Dim each{.size = heads, .key = "num_attention_heads"};
  // Before there is an index of all pairs: a lying image_size is refused by the table's shape.
  (void)context.builder.weights().find(table, {differences, each});
  if (images.native_rows() > kMostPairedRows) {
    context.config.unsupported(
        "image_size", fmt::format("at most {} patches and a class token, of which every pair has a "
                                  "bias",
                                  kMostPairedRows - 1));
  }
  return context.builder.pair_bias(table, differences, each, relative_position_index(rows, cols));
}

/// What follows the encoder; returns the last hidden state.
ValueId pooled_heads(BuildContext& context, const LayerOptions& layer, ValueId x) {
  Builder& b = context.builder;
  const Dim& H = layer.hidden;
  const bool mean = context.config.boolean("use_mean_pooling", true);
  ValueId last = x, pooled = kNone;
  if (mean) {
    // pooled = self.layernorm(hidden_states[:, 1:, :].mean(1))                    BeitPooler
    const ValueId patches = b.pool("pooler.mean", x, Pooling::mean, 1);
    pooled =
        b.layer_norm("pooler.out", patches, context.prefix + "pooler.layernorm", H, layer.norm_eps);
  } else {
    last = b.layer_norm("last_hidden_state", x, context.prefix + "layernorm", H, layer.norm_eps);
    pooled = normed_row(context, "pooler", x, 0, context.prefix + "layernorm", layer);
  }
  b.output("last_hidden_state", last);
  b.output("pooler_output", pooled);
  if (context.package.task == Task::sequence_classification) classify_pooled(context, pooled, H);
  output_embedding(context, pooled, mean ? "mean of the patches, layer norm" : "class token");
  return last;
}

}  // namespace

ValueId build_beit(BuildContext& context) {
  Builder& b = context.builder;
  const Config& config = context.config;
  LayerOptions layer = read_pre_norm_encoder(context, config, {});
  layer.biases.key = false;
  ImageSpec images = read_image_spec(config, {});
  images.special_tokens = 1;
  context.package.program.inputs = images;
  const Dim& H = layer.hidden;
  const std::string e = context.prefix + "embeddings.";

  // x = cat(cls_token, projection(pixels)); if position_embeddings: x = x + …  BeitEmbeddings
  Builder::PatchTensors patches{.weight = e + "patch_embeddings.projection.weight",
                                .bias = e + "patch_embeddings.projection.bias",
                                .special = {rows_of(context, e + "cls_token", 1, H, 1)}};
  if (config.boolean("use_absolute_position_embeddings", false)) {
    patches.positions = rows_of(context, e + "position_embeddings", images.native_rows(), H, 1);
    patches.positioned = 1;
  }
  ValueId x = b.patch_embed("embeddings.out", patches, H);  // (ΣT,H)

  const bool each = config.boolean("use_relative_position_bias", false);
  const bool shared = config.boolean("use_shared_relative_position_bias", false);
  if (each && shared)
    config.unsupported("use_shared_relative_position_bias", "false beside one per layer");
  if (shared)
    layer.attention.position =
        PairBias{position_bias(context, layer.heads, context.prefix + "encoder.")};
  LayerTensors tensors = kVitLayer;
  if (config.number("layer_scale_init_value", 0.1, 0.0) > 0.0) {
    tensors.attention_scale = "lambda_1";
    tensors.ffn_scale = "lambda_2";
  }
  const LayerOf equal = equal_layers(context, layer, tensors, "encoder.layer.");
  const auto layer_of = [&](Index i) {
    Layer l = equal(i);
    if (each) {
      l.options.attention.position =
          PairBias{position_bias(context, layer.heads, l.prefix + "attention.attention.")};
    }
    return l;
  };
  x = encoder_stack(context, layer_of, x);
  return pooled_heads(context, layer, x);
}

}  // namespace tessera::models
