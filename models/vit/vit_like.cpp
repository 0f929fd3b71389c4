// SPDX-License-Identifier: Apache-2.0
#include "models/vit/vit_like.hpp"

#include <fmt/format.h>

#include "models/bert/bert_like.hpp"

namespace tessera::models {
namespace {

/// More layers than any encoder has; keeps a broken config from building forever.
constexpr Index kMostLayers = 4096;
/// Larger than any image that a model was trained on; keeps sums of sizes within range.
constexpr Index kMostPixels = 1 << 16;
constexpr Index kMostChannels = 1024;

}  // namespace

EncoderShape read_encoder_shape(BuildContext& context, const Config& config,
                                const VisionDefaults& defaults) {
  refuse_unsupported(config);
  EncoderShape shape;
  shape.hidden = config.dim("hidden_size", defaults.hidden_size);
  if (defaults.intermediate_size > 0) {
    shape.intermediate = config.dim("intermediate_size", defaults.intermediate_size);
  } else {
    // hidden_features = int(hidden_size * mlp_ratio)                             Dinov2MLP
    const double ratio = config.number("mlp_ratio", 4.0, 0.0);
    shape.intermediate = {static_cast<Index>(static_cast<double>(shape.hidden.size) * ratio),
                          "mlp_ratio"};
    if (shape.intermediate.size < 1 || ratio > 1024)
      config.wrong("mlp_ratio", "a ratio from 1/hidden_size to 1024");
  }
  shape.layers = config.integer("num_hidden_layers", defaults.num_hidden_layers, 0, kMostLayers);
  shape.heads = config.integer("num_attention_heads", defaults.num_attention_heads, 1);
  check_heads(config, shape.hidden, shape.heads, "num_attention_heads");
  shape.activation = config.activation("hidden_act", defaults.hidden_act);
  shape.norm_eps =
      static_cast<float>(config.number("layer_norm_eps", defaults.layer_norm_eps, 0.0));

  Package& package = context.package;
  package.hidden = shape.hidden.size;
  package.intermediate = shape.intermediate.size;
  package.layers = shape.layers;
  package.heads = shape.heads;
  return shape;
}

ImageSpec read_image_spec(const Config& config, const VisionDefaults& defaults) {
  const auto [height, width] = config.pair("image_size", defaults.image_size);
  const auto [patch_height, patch_width] = config.pair("patch_size", defaults.patch_size);
  if (height > kMostPixels || width > kMostPixels) {
    config.wrong("image_size", fmt::format("at most {}", kMostPixels));
  }
  if (patch_height > height || patch_width > width) {
    config.wrong("patch_size", fmt::format("at most the image size {} x {}", height, width));
  }
  return {.channels = config.integer("num_channels", 3, 1, kMostChannels),
          .height = height,
          .width = width,
          .patch_height = patch_height,
          .patch_width = patch_width};
}

ImageSpec interpolated(ImageSpec spec, ImageSizes sizes, PositionResize resize) {
  if (spec.grid_rows() != spec.grid_cols()) return spec;
  spec.sizes = sizes;
  spec.resize = resize;
  return spec;
}

Source rows_of(const BuildContext& context, const std::string& name, Index rows, const Dim& width,
               int leading_ones) {
  const WeightMap& weights = context.builder.weights();
  const Dim one{1, ""}, n{rows, ""};
  if (leading_ones == 0) return {.tensor = weights.find(name, {n, width}), .rows = rows};
  return {.tensor = weights.find(name, {one, n, width}), .rows = rows};
}

LayerTensors vit_layer_tensors(const std::string& prefix, Index i) {
  const std::string l = fmt::format("{}encoder.layer.{}.", prefix, i);
  return {.query = l + "attention.attention.query",
          .key = l + "attention.attention.key",
          .value = l + "attention.attention.value",
          .attention_output = l + "attention.output.dense",
          .attention_norm = l + "layernorm_before",
          .ffn_in = l + "intermediate.dense",
          .ffn_out = l + "output.dense",
          .ffn_norm = l + "layernorm_after"};
}

ValueId normed_row(BuildContext& context, const std::string& name, ValueId x, Index row,
                   const std::string& norm, const EncoderShape& shape) {
  Builder& b = context.builder;
  const ValueId picked = b.pool(name + ".row", x, Pooling::first, row);
  return b.layer_norm(name + ".normed", picked, norm, shape.hidden, shape.norm_eps);
}

void vit_pooler(BuildContext& context, ValueId class_row, const std::string& tensor,
                const Dim& hidden) {
  // pooled = self.activation(self.dense(hidden_states[:, 0]))   v4.57 modeling_vit.py ViTPooler
  Builder& b = context.builder;
  const WeightMap& weights = b.weights();
  if (!weights.has(tensor + ".weight") && !weights.has(tensor + ".bias")) return;
  const Dim out = context.config.dim("pooler_output_size", hidden.size);
  const ValueId dense = b.linear("pooler.dense", class_row, tensor, out, hidden);
  b.output("pooler_output",
           b.activation("pooler.out", dense, context.config.activation("pooler_act", "tanh")));
}

void output_embedding(BuildContext& context, ValueId value, const std::string& description) {
  context.builder.output("embedding", value);
  context.package.embedding_description = description;
}

}  // namespace tessera::models
