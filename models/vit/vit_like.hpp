// SPDX-License-Identifier: Apache-2.0
//
// What the ViT family shares: sizes out of config.json, the pre-norm stack, what pools images. Each
// member's own file says how it differs.
#pragma once

#include <string>
#include <vector>

#include "models/encoder.hpp"
#include "models/registry.hpp"

namespace tessera::models {

/// Defaults of the reference's config class: those of ViTConfig, where a member does not say
/// otherwise.
struct VisionDefaults {
  Index hidden_size = 768;
  Index num_hidden_layers = 12;
  Index num_attention_heads = 12;
  Index intermediate_size = 3072;  ///< 0: mlp_ratio says
  Index image_size = 224;
  Index patch_size = 16;
  const char* hidden_act = "gelu";
  double layer_norm_eps = 1e-12;
};

/// Reads sizes and activation, fills in the package's sizes, refuses what nobody computes. `config`
/// is context.config or the object of one tower in it.
EncoderShape read_encoder_shape(BuildContext& context, const Config& config,
                                const VisionDefaults& defaults);

/// Channels, native size and patches; no special tokens, native size only.
ImageSpec read_image_spec(const Config& config, const VisionDefaults& defaults);

/// As read_image_spec(), but the native grid of patches may be interpolated to others, where the
/// reference can: its code takes the square root of the number of patches.
ImageSpec interpolated(ImageSpec spec, ImageSizes sizes,
                       PositionResize resize = PositionResize::bicubic);

/// `rows` rows of the checkpoint tensor `name`, whose shape ends in (rows, width); `leading` ones
/// come before.
Source rows_of(const BuildContext& context, const std::string& name, Index rows, const Dim& width,
               int leading_ones);

/// Names of a layer as ViT has them under "<prefix>encoder.layer.<i>.".
LayerTensors vit_layer_tensors(const std::string& prefix, Index i);

/// The layers over `x` (hidden_states.0), with hidden_states.0 … .N as outputs; `tensors(i)` names
/// those of layer i. Returns hidden_states.N: no final norm.
template <class Tensors>
ValueId pre_norm_stack(BuildContext& context, const EncoderShape& shape, Tensors&& tensors,
                       ValueId x) {
  Builder& b = context.builder;
  b.output("hidden_states.0", x);
  for (Index i = 0; i < shape.layers; ++i) {
    x = pre_norm_layer(b, "layer." + std::to_string(i), shape, tensors(i), x);
    b.output("hidden_states." + std::to_string(i + 1), x);
  }
  return x;
}

/// Row `row` of every image under a layer norm of its own, (S,H): what a head reads of
/// LayerNorm(x)[:, row], without the norm of the other rows.
ValueId normed_row(BuildContext& context, const std::string& name, ValueId x, Index row,
                   const std::string& norm, const EncoderShape& shape);

/// act(W x + b) over the normed class row as "pooler_output", where the checkpoint has a pooler.
void vit_pooler(BuildContext& context, ValueId class_row, const std::string& tensor,
                const Dim& hidden);

/// "embedding" (S,D): `value`, and what it is in words.
void output_embedding(BuildContext& context, ValueId value, const std::string& description);

}  // namespace tessera::models
