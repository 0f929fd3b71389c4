// SPDX-License-Identifier: Apache-2.0
#include "models/vit/vit_like.hpp"

#include <fmt/format.h>

#include "models/heads.hpp"

namespace tessera::models {
namespace {

/// Larger than any image that a model was trained on; keeps sums of sizes within range.
constexpr Index kMostPixels = 1 << 16;
constexpr Index kMostChannels = 1024;

}  // namespace

LayerOptions read_pre_norm_encoder(BuildContext& context, const Config& config,
                                   const EncoderDefaults& defaults) {
  LayerOptions layer = read_encoder(context, config, defaults);
  layer.attention_norm = layer.ffn_norm = NormPlace::before;
  return layer;
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

ValueId normed_row(BuildContext& context, const std::string& name, ValueId x, Index row,
                   const std::string& norm, const LayerOptions& layer) {
  Builder& b = context.builder;
  const ValueId picked = b.pool(name + ".row", x, Pooling::first, row);
  return b.layer_norm(name + ".normed", picked, norm, layer.hidden, layer.norm_eps);
}

void vit_head(BuildContext& context, ValueId class_row, const std::string& pooler,
              const Dim& hidden) {
  if (context.package.task == Task::sequence_classification) {
    // logits = self.classifier(sequence_output[:, 0, :])            ViTForImageClassification
    return classify_pooled(context, class_row, hidden);
  }
  // pooled = self.activation(self.dense(hidden_states[:, 0]))   v4.57 modeling_vit.py ViTPooler
  Builder& b = context.builder;
  if (!b.weights().has_linear(pooler)) return;
  const Dim out = context.config.dim("pooler_output_size", hidden.size);
  const ValueId dense = b.linear("pooler.dense", class_row, pooler, out, hidden);
  b.output("pooler_output",
           b.activation("pooler.out", dense, context.config.activation("pooler_act", "tanh")));
}

void output_embedding(BuildContext& context, ValueId value, const std::string& description) {
  context.builder.output("embedding", value);
  context.package.embedding_description = description;
}

}  // namespace tessera::models
