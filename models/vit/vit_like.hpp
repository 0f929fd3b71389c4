// SPDX-License-Identifier: Apache-2.0
//
// What the ViT family shares: sizes out of config.json, the names of a layer's tensors, what pools
// images. Each member's own file says how it differs.
#pragma once

#include <string>
#include <vector>

#include "models/encoder.hpp"
#include "models/registry.hpp"

namespace tessera::models {

/// Defaults of the reference's config class: those of ViTConfig, where a member does not say
/// otherwise.
struct VisionDefaults {
  EncoderDefaults encoder{};
  Index image_size = 224;
  Index patch_size = 16;
};

/// As read_encoder(), of layers whose norms come before.
LayerOptions read_pre_norm_encoder(BuildContext& context, const Config& config,
                                   const EncoderDefaults& defaults);

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

/// A layer of ViTEncoder, below "vit.encoder.layer.3.".
inline constexpr LayerTensors kVitLayer{.query = "attention.attention.query",
                                        .key = "attention.attention.key",
                                        .value = "attention.attention.value",
                                        .attention_output = "attention.output.dense",
                                        .attention_norm = "layernorm_before",
                                        .ffn_in = "intermediate.dense",
                                        .ffn_out = "output.dense",
                                        .ffn_norm = "layernorm_after"};

/// Row `row` of every image under a layer norm of its own, (S,H): what a head reads of
/// LayerNorm(x)[:, row], without the norm of the other rows.
ValueId normed_row(BuildContext& context, const std::string& name, ValueId x, Index row,
                   const std::string& norm, const LayerOptions& layer);

/// The head over the normed class row: the classifier where the class has one; else
/// act(W x + b) as "pooler_output", where the checkpoint has a pooler.
void vit_head(BuildContext& context, ValueId class_row, const std::string& pooler,
              const Dim& hidden);

/// "embedding" (S,D): `value`, and what it is in words.
void output_embedding(BuildContext& context, ValueId value, const std::string& description);

}  // namespace tessera::models
